"""Datasets: every one becomes two manifests of segments and a vocabulary."""
