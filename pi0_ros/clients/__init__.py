"""Programs that talk to a running suite."""
