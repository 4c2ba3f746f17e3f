"""Encoding, joining and reading the videos of a dataset."""
