"""The topics of a robot's drivers, shared by the mock robot and the simulation."""
