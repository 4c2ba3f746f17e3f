import shutil
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.install_scripts import install_scripts


class InstallScripts(install_scripts):
    """Scripts go to lib/pi0_ros, as ROS wants its executables; the `pi0` command to bin as well."""

    def run(self):
        super().run()
        for script in map(Path, list(self.outfiles)):
            if script.name == "pi0" and script.parent.parent.name == "lib":
                command = script.parents[2] / "bin" / script.name
                command.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(script, command)
                self.outfiles.append(str(command))


setup(
    name="pi0_ros",
    version="0.1.0",
    packages=find_packages(include=["pi0_ros", "pi0_ros.*"]),
    package_data={"pi0_ros": ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/pi0_ros"]),
        ("share/pi0_ros", ["package.xml"]),
        ("share/pi0_ros/embodiments", glob("embodiments/*.yaml")),
        ("share/pi0_ros/launch", glob("launch/*.launch.py")),
    ],
    cmdclass={"install_scripts": InstallScripts},
    entry_points={
        "console_scripts": [
            "pi0 = pi0_ros.cli.main:main",
            "camera_sync = pi0_ros.nodes.camera_sync:main",
            "policy = pi0_ros.nodes.policy.node:main",
            "chunk_executor = pi0_ros.nodes.chunk_executor.node:main",
            "recorder = pi0_ros.nodes.recorder.node:main",
        ],
    },
    extras_require={"jax": ["tensorstore"]},
    zip_safe=False,
    maintainer="π0 on ROS 2 maintainers",
    maintainer_email="maintainers@pi0-ros.dev",
    description="Deploys the π0 vision-language-action flow model on arms and mobile manipulators.",
    license="Apache-2.0",
)
