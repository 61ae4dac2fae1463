"""The launcher on the stand-in checkout: ``python -m integrations.ovseg train_net.py ...``, as a user runs it."""

from __future__ import annotations

import importlib.machinery
import os
import subprocess
import sys
import venv
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch

from integrations.ovseg import hook, install, launcher
from integrations.ovseg.finding import find_adapter
from tests.integrations.ovseg.conftest import CHECKOUT, STAND_IN, build, clip_state

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(python):
    """Runs the launcher in the checkout, in a fork."""
    return lambda *arguments, **options: python("-m", "integrations.ovseg", *arguments, **options)


@pytest.fixture
def evaluate(run, clip_file, tmp_path):
    """Runs train_net.py with flags before and after its own, and reads what it predicted."""

    def evaluate(*flags, front=(), opts=(), name="out", **more):
        output = tmp_path / name
        output.mkdir()
        opts = ["CLIP_MODEL_NAME", clip_file, "OUTPUT_DIR", output, *opts]
        done = run("train_net.py", *front, "--eval-only", *opts, *flags, XDG_CACHE_HOME=str(tmp_path / "cache"), **more)
        assert done.returncode == 0, done.stderr
        scores = {}
        for path in output.glob("*.npz"):
            scores.update(np.load(path))
        return scores, done

    return evaluate


def equal(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_backends(evaluate, identity, adapter, tmp_path):
    old_run = ["PROMPT_CHECKPOINT", "/adapter/of/an/older/run"]
    stock, done = evaluate(name="stock", opts=old_run)
    assert sorted(stock) == ["0", "1"]
    assert "np.int" in done.stderr
    assert ("wandb is not installed" in done.stderr) == (_installed("wandb") is None)
    script = CHECKOUT / "train_net.py"
    assert f"script: {script} path: {script.parent}" in done.stdout
    identical, _ = evaluate("--clip-backend", "opendas", "--opendas-adapter", identity, name="identity")
    assert equal(stock, identical)
    behind, done = evaluate("--clip-backend=opendas", f"--opendas-adapter={adapter}", name="behind", opts=old_run)
    assert all(np.abs(behind[key] - stock[key]).max() > 0.01 for key in stock)
    assert (tmp_path / "behind" / "config.txt").read_text() == str(adapter)
    assert (tmp_path / "stock" / "config.txt").read_text() == ""
    assert "PROMPT_CHECKPOINT /adapter/of/an/older/run has no effect" in done.stderr
    front = ["--clip-backend", "opendas", "--num-gpus", "2", "--opendas-adapter", adapter]
    two_workers, done = evaluate(front=front, name="two")
    assert equal(two_workers, behind)
    for message in ("learnt text tokens take the place", "[opendas] adapter", "lacks np.int"):
        assert done.stderr.count(message) == 1  # the launcher and rank 0 speak, each of its own


def test_base(host, evaluate, adapter, other_clip_file, tmp_path):
    torch.save(build(host, other_clip_file).state_dict(), tmp_path / "weights.pth")
    flags = ["--clip-backend", "opendas", "--opendas-adapter", adapter]
    weights = ["MODEL.WEIGHTS", tmp_path / "weights.pth"]
    own, done = evaluate(*flags, "--opendas-base=weights", opts=weights, name="weights")
    assert done.stderr.count("--opendas-base clip keeps") == 1
    kept, done = evaluate(*flags, "--opendas-base", "clip", opts=weights, name="clip")
    assert "--opendas-base" not in done.stderr
    assert not equal(own, kept)


def test_help_is_ours_then_the_scripts(run, capsys):
    done = run("train_net.py", "--help")
    assert done.returncode == 0
    assert done.stdout.index("--opendas-adapter") < done.stdout.index("--eval-only")
    assert launcher.main(["--help"]) == 0
    assert "--opendas-adapter" in capsys.readouterr().out


def test_script_of_another_folder(run, identity, tmp_path, clip_file):
    opts = ["CLIP_MODEL_NAME", clip_file, "OUTPUT_DIR", tmp_path]
    done = run("--ovseg-root", CHECKOUT, "train_net.py", *opts, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "predictions0.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "usage"),
        (["train_net.py", "--clip-backend", "opendas"], 2, "--opendas-adapter"),
        (["train_net.py", "--opendas-adapter", "x"], 2, "--clip-backend opendas"),
        (["train_net.py", "--clip-backend=stock", "--opendas-adapter", "x"], 2, "--opendas-adapter has no effect with"),
        (["train_net.py", "--opendas-base", "clip"], 2, "--opendas-base clip has no effect with the stock backend"),
        (["train_net.py", "--opendas-text", "both"], 2, "--opendas-text has no effect with the stock backend"),
        (["train_net.py", "--opendas-chunk", "0"], 2, "--opendas-chunk has no effect with the stock backend"),
        (["train_net.py", "--opendas-cache", "off"], 2, "--opendas-cache has no effect with the stock backend"),
        (["train_net.py", "--clip-backend", "magic"], 2, "invalid choice"),
        (["train_net.py", "--opendas-chunk", "-3"], 2, "chunk"),
        (["train_net.py", "--opendas-adaptor", "x"], 2, "unknown flag"),
        (["--num-gpus", "2"], 2, "expected a script"),
        (["nothing.py"], 1, "nothing.py does not exist"),
        (["train_net.py", "--clip-backend", "opendas", "--opendas-adapter", "/nowhere"], 1, "/nowhere is neither"),
    ],
)
def test_mistakes_are_one_sentence(arguments, code, message, monkeypatch, capsys):
    monkeypatch.chdir(CHECKOUT)
    try:
        returned = launcher.main(arguments)
    except SystemExit as leave:  # argparse
        returned = leave.code
    stderr = capsys.readouterr().err
    assert returned == code and message in stderr
    if code == 1:
        assert len(stderr.strip().splitlines()) == 1


def test_a_dataset_for_the_demo_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "open_vocab_seg").mkdir()
    (tmp_path / "demo.py").touch()
    monkeypatch.chdir(tmp_path)
    assert launcher.main(["demo.py", "--opendas-dataset", "mine.json"]) == 1
    assert "--opendas-dataset has no effect in demo.py" in capsys.readouterr().err


def test_missing_checkout_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "train_net.py").touch()
    monkeypatch.chdir(tmp_path)
    assert launcher.main(["train_net.py"]) == 1
    message = capsys.readouterr().err
    assert "no checkout of OVSeg" in message and message.count("\n") == 1


def test_missing_detectron2_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(install, "_installed", False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert launcher.main([str(CHECKOUT / "train_net.py")]) == 1
    message = capsys.readouterr().err
    assert "detectron2 is not installed" in message and "pip install" in message and message.count("\n") == 1


def test_an_adapter_that_does_not_fit_is_one_sentence_from_a_worker_too(run, tmp_path, adapter):
    torch.save(clip_state(width=128), tmp_path / "clip.pt")
    opts = ["--num-gpus", "2", "CLIP_MODEL_NAME", tmp_path / "clip.pt", "OUTPUT_DIR", tmp_path]
    flags = ["--clip-backend", "opendas", "--opendas-adapter", adapter]
    done = run("train_net.py", *opts, *flags, HOST_START="fork")  # how an error comes from a worker is the same
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: the adapter")
    assert "visual width 64" in done.stderr and "Traceback" not in done.stderr


def test_without_host_fixes_the_host_is_left_alone(run, clip_file, tmp_path):
    opts = ["CLIP_MODEL_NAME", clip_file, "OUTPUT_DIR", tmp_path]
    done = run("train_net.py", "--no-host-fixes", *opts)
    assert done.returncode == 1 and "error: train_net.py needs " in done.stderr


def test_adapter_from_the_hub(monkeypatch, adapter):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, allow_patterns: str(adapter))
    assert find_adapter("somebody/office-adapter") == adapter


def test_hook_makes_the_literal_command_work(tmp_path, clip_file, adapter):
    venv.create(tmp_path / "venv", symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (site / "packages.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))

    def start(*words, cwd=CHECKOUT):
        """Starts the environment's Python itself, whose hook it is about."""
        path = os.pathsep.join([str(ROOT), str(STAND_IN / "packages")])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [str(python), *map(str, words)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)

    def launch(word):
        return start("-m", "integrations.ovseg", word)

    def literal(*flags, script="train_net.py"):
        (tmp_path / "out").mkdir(exist_ok=True)
        opts = ["CLIP_MODEL_NAME", clip_file, "OUTPUT_DIR", tmp_path / "out"]
        return start(script, "--eval-only", *opts, *flags)

    flags = ["--clip-backend", "opendas", "--opendas-adapter", adapter]
    assert launch("status").stdout.startswith("disabled")
    assert launch("enable").returncode == 0
    assert launch("status").stdout.startswith("enabled")
    done = literal(*flags)
    assert done.returncode == 0, done.stderr
    assert "[opendas] adapter" in done.stderr
    (tmp_path / "open_vocab_seg").mkdir()
    (tmp_path / "train_net.py").write_text("import sys; print(len(sys.argv), 'integrations' in sys.modules)")
    assert literal(script=tmp_path / "train_net.py").stdout == "6 False\n"  # the script alone
    assert launch("disable").returncode == 0
    assert literal(*flags, script=tmp_path / "train_net.py").stdout == "10 False\n"
    assert not list(site.glob("opendas*"))


def test_hook_does_nothing_for_other_programs(monkeypatch, tmp_path):
    (tmp_path / "other.py").touch()
    monkeypatch.setattr(os, "execv", lambda *arguments: pytest.fail("redirected"))
    for program in ("-c", "-m", "", str(tmp_path / "other.py"), str(CHECKOUT / "missing.py")):
        monkeypatch.setattr(sys, "argv", [program, "--clip-backend", "opendas"])
        hook.redirect()


def _installed(name: str):
    """The package's spec, the launcher's own stub not counted."""
    return importlib.machinery.PathFinder.find_spec(name, [path for path in sys.path if not path.endswith("stubs")])
