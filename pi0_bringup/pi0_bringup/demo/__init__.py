"""The demonstration: runs a robot without hardware, records the run and reports the result."""
