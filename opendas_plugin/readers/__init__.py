"""Readers of labelled datasets, a file each, by name."""
