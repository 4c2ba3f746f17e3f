"""``pi0 replay``: plays recorded actions to a robot, within its limits."""
