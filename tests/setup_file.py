"""What setup.py says, for the tests that compare it with the code."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path
from unittest import mock

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


@functools.cache
def setup_arguments():
    """The keywords that setup.py calls ``setup`` with."""
    with mock.patch("setuptools.setup") as setup:
        runpy.run_path(str(ROOT / "setup.py"))
    return setup.call_args.kwargs


def names(requirements):
    return {canonicalize_name(Requirement(line).name) for line in requirements}
