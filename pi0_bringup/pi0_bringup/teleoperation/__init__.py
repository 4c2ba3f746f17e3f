"""Sources of teleoperation commands: leader arms, gamepad, keyboard, a scripted expert.

What decides is here without ROS; the nodes around it only carry messages.
"""
