"""Sources of teleoperation commands: leader arms, gamepad, keyboard, a scripted expert.

The decisions are in modules without ROS; the nodes around them only carry messages.
"""
