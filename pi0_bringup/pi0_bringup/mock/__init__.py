"""Behaviour of the mock robot, as numpy: lag, odometry, test pattern, driver joints."""
