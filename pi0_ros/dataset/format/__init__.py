"""The LeRobot v3.0 format on disk: tables, statistics, reading, writing, validation."""
