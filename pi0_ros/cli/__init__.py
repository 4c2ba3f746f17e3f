"""The ``pi0`` command: one module for each verb."""
