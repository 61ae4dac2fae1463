"""The package's version, read by setup.py, adapters and run records alike."""

__version__ = "0.1.0"
