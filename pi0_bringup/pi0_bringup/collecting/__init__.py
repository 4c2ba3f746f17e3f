"""Demonstrations of the scripted expert, recorded through ROS without anybody watching."""
