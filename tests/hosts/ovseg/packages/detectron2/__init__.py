"""Stands in for detectron2."""
