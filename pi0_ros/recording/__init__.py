"""Episodes on disk: rosbag2 bags, their metadata and their quality."""
