"""Demonstrations of the scripted expert, recorded through ROS without an operator."""
