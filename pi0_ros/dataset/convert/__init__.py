"""From episode bags to a dataset."""
