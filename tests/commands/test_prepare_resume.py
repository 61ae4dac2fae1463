"""Preparing that was stopped goes on to the same files, and refuses inputs that are others since."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.images import read_labels
from opendas_plugin.readers import folders
from tests.commands.pictures import break_picture


def test_a_killed_run_goes_on_with_resume(street, tmp_path):
    """The kill comes while the eighth of ten frames is read, and some that were read before are written down."""
    assert main(street) == 0
    whole = {path.name: path.read_bytes() for path in Path("out").iterdir() if path.name != "run.json"}
    shutil.rmtree("out")
    program = (
        "import os, signal, sys, time\n"
        "from opendas_plugin.commands import prepare_data\n"
        "from opendas_plugin.readers import folders\n"
        "read = folders.read_labels\n"
        "def kill(path):\n"
        "    while '007' in str(path) and not os.path.exists('.out.partial/train.0.jsonl'):\n"
        "        time.sleep(0.01)\n"
        "    return os.kill(os.getpid(), signal.SIGKILL) if '007' in str(path) else read(path)\n"
        "folders.read_labels = kill\n"
        "sys.exit(prepare_data.main())"
    )
    command = [sys.executable, "-c", program, *street, "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    assert not Path("out").exists() and Path(".out.partial/train.0.jsonl").exists()
    assert main([*street, "--resume", "--seed", "5"]) == 2  # other flags
    assert main([*street, "--resume"]) == 0
    assert {name: Path("out", name).read_bytes() for name in whole} == whole
    assert not Path(".out.partial").exists()


@pytest.fixture
def stopped(street, capsys):
    """A run that went on as far as the ninth of ten frames, which is mended since."""
    content = Path("labels/008.png").read_bytes()
    break_picture("labels/008.png")
    assert main([*street, "--resume", "--workers", "1"]) == 1
    Path("labels/008.png").write_bytes(content)
    capsys.readouterr()
    return street


def test_what_was_read_before_an_error_is_kept_with_resume(stopped, monkeypatch):
    seen = []
    monkeypatch.setattr(folders, "read_labels", lambda path: seen.append(path.name) or read_labels(path))
    os.utime("labels/002.png", ns=(1, 1))  # a new date is no new content
    assert main([*stopped, "--resume"]) == 0
    assert sorted(seen) == ["008.png", "009.png"]


@pytest.mark.parametrize("name", ["labels/002.png", "images/003.png"])
def test_a_resumed_run_refuses_what_was_read_from_a_file_that_changed(stopped, capsys, name):
    Image.new("L", Image.open(name).size, 1).save(name)
    assert main([*stopped, "--resume"]) == 1
    assert f"{name} has changed since" in capsys.readouterr().err.replace(f"{Path.cwd()}/", "")
    assert not Path("out").exists()
    assert main(stopped) == 0


def test_a_resumed_run_refuses_a_file_of_its_settings_that_changed(stopped, capsys):
    classes = Path("classes.txt")
    before = stopped[stopped.index("--classes") + 1]
    given = [str(classes) if flag == before else flag for flag in stopped]
    break_picture("labels/009.png")
    classes.write_text(before.replace(",", "\n"))
    assert main([*given, "--workers", "1"]) == 1
    assert main([*given, "--resume"]) == 1
    classes.write_text(before.replace(",", "\n").upper())
    assert main([*given, "--resume"]) == 2
    assert "the file of --classes has changed" in capsys.readouterr().err


def test_a_damaged_record_of_what_was_begun_is_said_with_what_to_do(stopped, capsys):
    record = Path(".out.partial/flags.json")
    record.write_text("{")
    assert main([*stopped, "--resume"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "flags.json, line 1: expected JSON, got " in line and line.endswith("partial to begin again")
    shutil.rmtree(".out.partial")
    assert main([*stopped, "--resume"]) == 0
