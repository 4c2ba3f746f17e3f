"""Conversion of a dataset to episode bags."""
