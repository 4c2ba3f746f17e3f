"""Episodes on disk: rosbag2 bags, what is known about them, and whether they are any good."""
