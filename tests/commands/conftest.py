"""What several commands are tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


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
