"""The folder that Python finds its start in, below ``opendas-run``."""
