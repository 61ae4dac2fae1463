"""Runs a program in one process plainly, and below the switch in each of several ways: ways.py JSON.

The JSON has a list of ways, each with a name, the program's words, the folder to run it in, an adapter (or null) and
whether nothing of it is to be at work. Errors of the switch are printed, and the next way follows.
"""

import contextlib
import json
import logging
import os
import runpy
import sys

import opendas_plugin as opendas

ours = logging.getLogger("opendas_plugin")  # with a handler of its own: hydra takes the root's away
ours.addHandler(logging.StreamHandler(sys.stderr))
ours.propagate = False
for way in json.loads(sys.argv[1]):
    print(f"== {way['name']}", file=sys.stderr, flush=True)
    switched = contextlib.nullcontext()
    if way["adapter"] is not None:
        switched = opendas.switched_on(way["adapter"], identity=way["identity"])
    os.chdir(way["cwd"])
    sys.argv, sys.path[0] = way["words"], os.path.dirname(way["words"][0])
    try:
        with switched:
            runpy.run_path(way["words"][0], run_name="__main__")
    except opendas.OpenDASError as error:
        print(f"error: {error}", file=sys.stderr)
