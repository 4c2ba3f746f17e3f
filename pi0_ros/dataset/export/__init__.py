"""From a dataset back to bags."""
