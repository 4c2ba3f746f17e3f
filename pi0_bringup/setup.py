from glob import glob

from setuptools import find_packages, setup

setup(
    name="pi0_bringup",
    version="0.1.0",
    packages=find_packages(include=["pi0_bringup", "pi0_bringup.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/pi0_bringup"]),
        ("share/pi0_bringup", ["package.xml"]),
        ("share/pi0_bringup/launch", glob("launch/*.launch.py")),
        ("share/pi0_bringup/config", glob("config/*.*")),
    ],
    entry_points={
        # A row for each simulated scene: EMBODIMENT.SCENE = module:factory.
        "pi0_bringup.scenes": [
            "bimanual_trossen.transfer_cube = pi0_bringup.simulation.transfer_cube:TransferCube",
        ],
        "console_scripts": [
            "mujoco_robot = pi0_bringup.mujoco_robot:main",
            "mock_robot = pi0_bringup.mock_robot:main",
            "demo = pi0_bringup.demo.main:main",
            "collect_demonstrations = pi0_bringup.collecting.main:main",
            "leader_arms = pi0_bringup.teleoperation.leader_arms:main",
            "gamepad_teleop = pi0_bringup.teleoperation.gamepad_teleop:main",
            "keyboard_teleop = pi0_bringup.teleoperation.keyboard_teleop:main",
            "scripted_expert = pi0_bringup.teleoperation.scripted_expert:main",
        ],
    },
    zip_safe=False,
    maintainer="π0 on ROS 2 maintainers",
    maintainer_email="maintainers@pi0-ros.dev",
    description="Simulated and mock robots, launch and configuration files around the π0 suite.",
    license="Apache-2.0",
)
