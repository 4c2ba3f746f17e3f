"""The ROS edge: lifecycle nodes around the pure rooms."""
