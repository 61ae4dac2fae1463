"""``--help`` and bad usage of every command come before anything large is imported, so that they answer at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LARGE = ("torch", "torchvision", "open_clip", "timm", "transformers", "scipy", "matplotlib", "skimage", "open3d", "cv2")
COMMANDS = {
    "opendas_plugin.commands.prepare_data": ("", "coco", "office", "scannetpp", "openmask3d", "auto"),
    "opendas_plugin.commands.generate_negatives": ("",),
    "opendas_plugin.commands.train_prompts": ("",),
    "opendas_plugin.commands.evaluate": ("", "classification", "semantic", "instance3d", "office-gates"),
    "opendas_plugin.commands.bench": ("",),
    "opendas_plugin.commands.compare": ("",),
    "opendas_plugin.commands.demo": ("",),
    "opendas_plugin.commands.export_adapter": ("",),
    "opendas_plugin.commands.probe": ("",),
    "opendas_plugin.commands.run": ("",),
    "opendas_plugin.commands.backbones": ("",),
    "opendas_plugin.commands.reproduce": ("", "--merge"),
    "opendas_plugin.commands.segment": ("",),
    "opendas_plugin.commands.visualize": ("", "query"),
    "integrations.ovseg.launcher": ("", "evaluate", "convert"),
    "integrations.openmask3d.launcher": ("", "features", "scene", "check", "experiment"),
}
PROGRAM = f"""
import contextlib, importlib, io, json, sys
found = []
for module, words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = importlib.import_module(module).main(words)
        except SystemExit as end:  # argparse's
            code = end.code or 0
    large = [name for name in {LARGE!r} if name in sys.modules]
    found.append([code, "--" in out.getvalue() + err.getvalue(), large])
print(json.dumps(found))
"""


def answers(calls):
    """Exit code, whether flags are named, and the large packages that are imported, after each call, in one process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, json.dumps(calls)]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def test_help_imports_nothing_large():
    calls = [(module, [*([word] if word else []), "--help"]) for module, words in COMMANDS.items() for word in words]
    for call, answer in zip(calls, answers(calls), strict=True):
        assert answer == [0, True, []], call


def test_every_console_script_is_among_them():
    from tests.setup_file import setup_arguments

    scripts = setup_arguments()["entry_points"]["console_scripts"]
    assert {script.split("= ")[1].removesuffix(":main") for script in scripts} == {*COMMANDS}


def test_a_flag_that_does_not_exist_is_said_before_anything_large():
    calls = [(f"opendas_plugin.commands.{name}", ["--nonsense"]) for name in ("segment", "train_prompts", "compare")]
    assert answers(calls) == [[2, True, []]] * 3
