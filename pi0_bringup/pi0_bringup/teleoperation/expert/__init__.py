"""A scripted expert for the scene ``transfer_cube``: waypoints, joint motion, trial runs."""
