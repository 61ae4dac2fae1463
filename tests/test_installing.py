"""The core installs from wheels alone on every platform that it is meant for, as uv resolves it for each of them."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from packaging.requirements import Requirement

from tests.setup_file import setup_arguments

PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "aarch64-apple-darwin", "x86_64-pc-windows-msvc")
UNREACHED = ("dns error", "error sending request", "connect error", "Failed to fetch", "operation timed out")

pytestmark = pytest.mark.slow  # it asks the package index


def resolve(requirements, platform, python):
    """What uv would install: (exit code, output)."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed; pip install -e '.[dev]'")
    command = [uv, "pip", "compile", "-", "--quiet", "--no-config", "--no-header", "--no-annotate"]
    command += ["--only-binary", ":all:", "--python-platform", platform, "--python-version", python]
    lines = "\n".join(requirements)
    run = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=600)
    if run.returncode and any(sign in run.stderr for sign in UNREACHED):
        pytest.skip(f"no package index: {run.stderr.splitlines()[0]}")
    return run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize("python", ["3.10", "3.13"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_core_resolves_from_wheels_alone(platform, python):
    code, output = resolve(setup_arguments()["install_requires"], platform, python)
    assert code == 0, output
    assert ("libigl==" in output, "embreex==" in output) == ("aarch64-many" in platform, "aarch64-many" not in platform)
    assert "scikit-learn==" not in output


def test_a_missing_wheel_is_seen():
    """Without its marker embreex is asked for on Linux aarch64 too; once it has a wheel there, libigl can go."""
    requirements = [Requirement(line) for line in setup_arguments()["install_requires"]]
    for requirement in requirements:
        requirement.marker = None
    code, output = resolve([str(line) for line in requirements], "aarch64-manylinux_2_28", "3.12")
    assert code != 0 and "embreex" in output
