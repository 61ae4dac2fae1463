"""The files that a stranger meets before the code say the same as the code."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from opendas_plugin import __version__
from tests.setup_file import setup_arguments

ROOT = Path(__file__).parent.parent


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == __version__ == setup_arguments()["version"]
    newest = re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text("utf-8"), flags=re.MULTILINE)
    assert newest is not None and newest.group(1) == __version__
    assert citation["license"] == setup_arguments()["license"]


def test_the_image_does_the_readmes_first_job():
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    command = next(line for line in lines if line.startswith("CMD "))
    job = re.search(r"&& (opendas-prepare office .*)", (ROOT / "README.md").read_text("utf-8"))
    assert job is not None and job.group(1) in command


def test_the_workflows_run_what_is_here():
    for path in sorted((ROOT / ".github").rglob("*.yml")):
        assert yaml.safe_load(path.read_text("utf-8")), path
    tests = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert "run: .ci/run" in tests and (ROOT / ".ci" / "run").is_file()
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    scripts = {line.split(" = ")[0] for line in setup_arguments()["entry_points"]["console_scripts"]}
    assert set(re.findall(r"opendas-\w+", release)) - {"opendas-plugin"} <= scripts
