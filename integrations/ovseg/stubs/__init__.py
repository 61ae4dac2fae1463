"""A folder for ``sys.path``: stand-ins for packages that OVSeg imports and, in evaluation and demo, does not use."""
