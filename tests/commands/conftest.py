"""What several commands are tested on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.evaluate import main
from tests.commands.class_maps import LABELS, save_maps


@pytest.fixture
def street(tmp_path, monkeypatch):
    """Ten frames with label maps of sky, road and car, and the flags that read them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        Path(folder).mkdir()
    for number in range(10):
        labels = np.zeros((40, 60), np.uint8)
        labels[20:] = 1
        labels[25:35, 5 * number : 5 * number + 12] = 2
        Image.fromarray(labels).save(f"labels/{number:03d}.png")
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(f"images/{number:03d}.png")
    return ["folders", "--images", "images", "--labels", "labels", "--classes", "sky,road,car", "--output", "out"]


@pytest.fixture
def call(tmp_path, capsys):
    """Runs the command; returns exit code, stdout, the last line of stderr, and the summary or None."""
    labels = save_maps(tmp_path / "labels", LABELS)

    def run(predictions, *flags, ground_truth=labels, classes=("--num-classes", "3")):
        out = tmp_path / "out"
        given = ["--predictions", predictions, "--ground-truth", ground_truth, "--output", out, *classes, *flags]
        protocol = () if "--protocol" in flags else ("--protocol", "detectron2")
        code = main(["semantic", *map(str, given), *protocol])
        captured = capsys.readouterr()
        summary = out / "summary.json"
        return (
            code,
            captured.out,
            captured.err.splitlines()[-1] if captured.err else "",
            json.loads(summary.read_text()) if summary.exists() else None,
        )

    return run
