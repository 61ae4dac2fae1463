"""What Python runs when it starts below ``opendas-run``: the switch, then the environment's own file of this name."""

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path


def _run_other() -> None:
    """Runs the file of this name that this one hides."""
    here = Path(__file__).resolve().parent
    rest = [entry for entry in sys.path if Path(entry).resolve() != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def _start() -> None:
    from opendas_plugin.switch.processes import start

    start()


if not getattr(sys, "_opendas_switch", False):  # a file that runs this one again would go round for ever
    sys._opendas_switch = True  # type: ignore[attr-defined]
    if "OPENDAS_SWITCH" in os.environ:
        _start()
    _run_other()
