"""What the tests of opendas-segment share."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from tests.conftest import COLOURS, draw_blocks

NAMES = tuple(COLOURS)
PHOTOS = ("1.png", "hall/1.jpg", "hall/2.png")
MASKED = ("1.png", "hall/2.png")
"""Of the photos, those that have masks."""


def flags(photos, output, *more):
    """The command's flags for five names of colours, which the smallest CLIP knows."""
    given = ("--images", photos, "--output", output, "--device", "cpu", *more)
    names = () if "--names" in more else ("--names", ", ".join(NAMES))
    return [str(word) for word in (*given, *names)]


def contents(output: Path) -> dict[str, bytes]:
    """Every file of a run but its record and its page, whose times differ."""
    apart = ("run.json", "report.html")
    paths = sorted(path for path in output.rglob("*") if path.is_file() and path.name not in apart)
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths}


def overlapping_masks(size, count, seed):
    """``count`` boxes (H, W) at random, some over others."""
    rng, masks = np.random.default_rng(seed), []
    for _ in range(count):
        mask = np.zeros(size, dtype=bool)
        top, left = rng.integers(0, size[0] - 12), rng.integers(0, size[1] - 12)
        mask[top : top + rng.integers(8, 40), left : left + rng.integers(8, 40)] = True
        masks.append(mask)
    return masks


def code(mask):
    """COCO's compressed run-length code as pycocotools makes it."""
    found = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": found["counts"].decode()}


def write_masks(path, masks):
    """The project's own list of masks: ``masks`` is file name -> masks."""
    entries = [{"file_name": name, "segmentation": code(mask)} for name, own in masks.items() for mask in own]
    path.write_text(json.dumps(entries))
    return path


def make_photos(folder: Path, names, seed=0):
    """Photos of coloured blocks, 96x64, at the given paths in the folder."""
    rng = np.random.default_rng(seed)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        draw_blocks(folder / name, NAMES, rng)
    return folder
