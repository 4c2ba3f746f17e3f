"""LeRobot v3.0 on disk: tables, statistics, reading, writing, checking."""
