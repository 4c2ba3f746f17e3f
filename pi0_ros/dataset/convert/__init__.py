"""Conversion of episode bags to a dataset."""
