"""``opendas-run``: unmodified programs with the adapter switched on, in all of their processes, or an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from opendas_plugin import methods
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.switch.processes import shell_runs_python
from tests.conftest import TINY

HOME = str(Path(__file__).parents[2])
LOADS = """
import sys
import numpy, open_clip, torch
from open_clip import create_model_and_transforms as load

def features(weights, out):
    open_clip.add_model_config({config!r})
    model, _, _ = load("test-tiny", pretrained=weights)
    model.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        numpy.save(out, model.encode_image(torch.randn(2, 3, 32, 32)).numpy())
"""
MAIN = (
    LOADS
    + """
if __name__ == "__main__":
    features(sys.argv[1], sys.argv[2])
    sys.exit(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
"""
)
WORKERS = (
    LOADS
    + """
if __name__ == "__main__":
    import multiprocessing
    for kind in ("spawn", "fork"):
        process = multiprocessing.get_context(kind).Process(target=features, args=(sys.argv[1], sys.argv[2] + kind))
        process.start()
        process.join()
        assert process.exitcode == 0
"""
)
STARTS = """
import os, subprocess, sys
program, weights, out, lose = sys.argv[1:]
env = {name: value for name, value in os.environ.items() if lose == "no" or name != "PYTHONPATH"}
subprocess.run([sys.executable, program, weights, out], check=True, env=env)
subprocess.run([sys.executable, "--version"], check=True)  # which loads nothing
import open_clip
open_clip.add_model_config({config!r})
open_clip.create_model("test-tiny", weights)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "configs").mkdir()
    (folder / "configs" / "test-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "configs")
    for name, text in (("main", MAIN), ("workers", WORKERS), ("starts", STARTS)):
        (folder / f"{name}.py").write_text(text.replace("{config!r}", repr(str(folder / "configs"))))
    torch.save(OpenDASCLIP.from_backbone("test-tiny", seed=3).model.state_dict(), folder / "tiny.pt")
    torch.save(OpenDASCLIP.from_backbone("test-tiny", seed=4).model.state_dict(), folder / "other.pt")
    method = methods.get("opendas")
    clip = OpenDASCLIP.from_backbone("test-tiny", folder / "tiny.pt", prompts=method.prompts)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.mul_(20)
    clip.save_pretrained(folder / "adapter", method="opendas")
    return folder


def run(folder: Path, *words: str, flags: tuple[str, ...] = ()) -> tuple[int, str]:
    command = [sys.executable, "-m", "opendas_plugin.commands.run", "--adapter", str(folder / "adapter"), *flags]
    found = subprocess.run(
        [*command, *words], capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": HOME}
    )
    return found.returncode, found.stderr


def expected(folder: Path, adapted: bool = True) -> np.ndarray:
    clip = OpenDASCLIP.from_pretrained(folder / "adapter")
    torch.manual_seed(0)
    with torch.no_grad(), clip.prompts_disabled(visual=not adapted, text=not adapted):
        return clip.encode_image(torch.randn(2, 3, 32, 32)).numpy()


def test_a_script_gets_the_adapted_model_and_keeps_its_exit_code(folder, tmp_path) -> None:
    code, said = run(folder, str(folder / "main.py"), str(folder / "tiny.pt"), str(tmp_path / "a.npy"), "3")
    assert code == 3, said
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected(folder), atol=1e-5)
    assert np.abs(expected(folder) - expected(folder, adapted=False)).max() > 1e-2


def test_other_weights_are_said_and_the_run_fails_also_where_the_program_silences_loggers(folder, tmp_path) -> None:
    """``dictConfig`` disables the loggers that it does not name, unless it is told not to."""
    silence = "import logging.config; logging.config.dictConfig({'version': 1, 'root': {'level': 'CRITICAL'}}); "
    silence += "logging.disable(logging.CRITICAL); import runpy, sys"
    silence += "; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    words = (str(folder / "main.py"), str(folder / "other.pt"), str(tmp_path / "b.npy"))
    code, said = run(folder, "-c", f"import opendas_plugin.switch.calls; {silence}", *words)
    assert code == 1
    assert "it stays as it is" in said
    assert "had no effect: it was learnt on test-tiny" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_run_without_effect_can_be_let_pass(folder, tmp_path) -> None:
    words = (str(folder / "main.py"), str(folder / "other.pt"), str(tmp_path / "b.npy"))
    code, said = run(folder, *words, flags=("--backbone-check", "warn"))
    assert code == 0
    assert "had no effect" in said


@pytest.mark.slow
def test_workers_that_are_spawned_or_forked_get_it_too(folder, tmp_path) -> None:
    code, said = run(folder, str(folder / "workers.py"), str(folder / "tiny.pt"), str(tmp_path / "c"))
    assert code == 0, said
    for kind in ("spawn", "fork"):
        np.testing.assert_allclose(np.load(f"{tmp_path}/c{kind}.npy"), expected(folder), atol=1e-5)


@pytest.mark.slow
def test_programs_that_it_starts_get_it_too_and_one_that_does_not_is_an_error(folder, tmp_path) -> None:
    words = (str(folder / "starts.py"), str(folder / "main.py"), str(folder / "tiny.pt"), str(tmp_path / "d.npy"))
    code, said = run(folder, *words, "no")
    assert code == 0, said
    np.testing.assert_allclose(np.load(tmp_path / "d.npy"), expected(folder), atol=1e-5)
    code, said = run(folder, *words, "yes")
    assert code == 1
    assert "a Python program was started without the adapter" in said
    np.testing.assert_allclose(np.load(tmp_path / "d.npy"), expected(folder, adapted=False), atol=1e-5)


SHELL = """
import os, subprocess, sys
program, weights, out, command = sys.argv[1:]
subprocess.run(command, shell=True, check=True)
import open_clip
open_clip.add_model_config({config!r})
open_clip.create_model("test-tiny", weights)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell a process's ancestors")
def test_a_python_that_a_shell_starts_without_the_adapter_is_an_error(folder, tmp_path) -> None:
    (tmp_path / "shell.py").write_text(SHELL.replace("{config!r}", repr(str(folder / "configs"))))
    inner = f"{folder / 'main.py'} {folder / 'tiny.pt'} {tmp_path / 'f.npy'}"
    for python, expected_code in ((sys.executable, 0), (f"env -u PYTHONPATH {sys.executable}", 1)):
        words = (
            str(tmp_path / "shell.py"),
            "",
            str(folder / "tiny.pt"),
            "",
            f"cd {tmp_path} && {python} {inner}; true",
        )
        code, said = run(folder, *words)
        assert code == expected_code, said
        assert ("a Python program was started without the adapter" in said) == bool(expected_code)
        np.testing.assert_allclose(np.load(tmp_path / "f.npy"), expected(folder, not expected_code), atol=1e-5)


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("python x.py", True),
        ("cd a && python -I x.py > log 2>&1", True),
        ("cd a\nA=1 timeout 5 env -u B /usr/bin/python3.12 -m x", True),
        ("a | (python -c 'print(1)')", True),
        ("a || b; python x.py", True),
        ("a || python x.py", False),  # which may not run
        ("if a; then python x.py; fi", False),
        ("which python; python --version; echo python x.py", False),
        ("bash run.sh", False),
        ("'", False),
    ],
)
def test_lines_of_a_shell_that_run_python(line, runs) -> None:
    assert shell_runs_python(["/bin/sh", "-c", line]) == runs


@pytest.mark.slow
def test_modules_run_with_identity_as_plain_clip(folder, tmp_path) -> None:
    code, said = run(folder, "-m", "main", "tiny.pt", str(tmp_path / "e.npy"), flags=("--identity",))
    assert code == 0, said
    np.testing.assert_allclose(np.load(tmp_path / "e.npy"), expected(folder, adapted=False), atol=1e-5)


def test_a_missing_adapter_or_program_is_said_at_once(folder) -> None:
    code, said = run(folder)
    assert (code, "expected a program" in said) == (2, True)
    command = [sys.executable, "-m", "opendas_plugin.commands.run", "--adapter", "none/here", "x.py"]
    found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert found.returncode == 1
    assert "none/here" in found.stderr


def test_an_adapter_is_looked_at_without_torch() -> None:
    """What starts a program and waits for it need not hold what the program imports again."""
    code = (
        "import sys, opendas_plugin.switch.choice, opendas_plugin.switch.processes; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": HOME})
