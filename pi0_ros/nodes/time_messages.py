"""Nanoseconds to the time messages of ROS."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time

from pi0_ros.stamps import sec_nanosec


def time_message(time_ns: int) -> Time:
    """A time on the ROS clock [ns] as a message."""
    sec, nanosec = sec_nanosec(time_ns)
    return Time(sec=sec, nanosec=nanosec)


def duration_message(duration_ns: int) -> Duration:
    """A duration [ns] as a message."""
    sec, nanosec = sec_nanosec(duration_ns)
    return Duration(sec=sec, nanosec=nanosec)
