"""Stands in for hydra: a yaml file with `key=value` and `+key=value` of the command line."""

import functools
import inspect
import sys
from pathlib import Path

import yaml

from . import utils


class Node(dict):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def _node(value):
    return Node({key: _node(inner) for key, inner in value.items()}) if isinstance(value, dict) else value


def main(config_path, config_name):
    def wrap(function):
        @functools.wraps(function)
        def run():
            file = Path(inspect.getfile(function)).parent / config_path / f"{config_name}.yaml"
            config = _node(yaml.safe_load(file.read_text()))
            for argument in sys.argv[1:]:
                key, _, value = argument.partition("=")
                *path, last = key.lstrip("+").split(".")
                place = config
                for name in path:
                    place = place.setdefault(name, Node()) if key.startswith("+") else place[name]
                place[last] = yaml.safe_load(value)
            function(config)

        return run

    return wrap
