"""`pi0 replay`: recorded actions played to a robot, within its limits."""
