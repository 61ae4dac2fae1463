"""Small datasets in the layouts that their owners publish, with random pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from opendas_plugin.data.segments import Segment


def picture(rng, height, width, base=90):
    return rng.integers(base, base + 60, (height, width, 3), dtype=np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_ade20k(root: Path, train: int = 6, val: int = 3) -> Path:
    """ADEChallengeData2016: wall (1) above, floor (4) below, a bed (8) and a door (15) before it, a frame of 0."""
    rng = np.random.default_rng(0)
    for split, short, count in (("training", "train", train), ("validation", "val", val)):
        for number in range(1, count + 1):
            labels = np.ones((48, 64), np.uint8)
            labels[24:] = 4
            labels[30:44, 5 : 20 + number] = 8
            labels[10:30, 40:52] = 15
            labels[:, -2:] = 0
            stem = f"ADE_{short}_{number:08d}"
            pixels = picture(rng, 48, 64)
            for value, colour in ((1, (200, 190, 150)), (8, (60, 60, 200)), (15, (120, 60, 20))):
                pixels[labels == value] = colour
            save(root / "images" / split / f"{stem}.jpg", pixels)
            save(root / "annotations" / split / f"{stem}.png", labels)
    return root


ROAD, BUILDING, GATE, VEGETATION, CAR = 7, 11, 35, 21, 26


def make_kitti360(root: Path, train: int = 4, val: int = 2) -> Path:
    """Two drives with road, two cars, a building, a gate and vegetation that is not sure; and the lists of frames."""
    rng = np.random.default_rng(0)
    lists = {"train": [], "val": []}
    for number in range(train + val):
        part, drive = ("train", "0000") if number < train else ("val", "0002")
        ids = np.full((40, 120), ROAD, np.uint8)
        instance = np.zeros((40, 120), np.uint16)
        confidence = np.full((40, 120), 65535, np.uint16)
        for value, rows, columns, which in (
            (0, slice(0, 4), slice(None), 0),
            (BUILDING, slice(4, 16), slice(0, 60), 3),
            (GATE, slice(10, 20), slice(60, 80), 0),
            (VEGETATION, slice(4, 16), slice(85, 120), 0),
            (CAR, slice(22, 34), slice(10 + number, 30 + number), 1),
            (CAR, slice(22, 34), slice(60, 85), 2),
        ):
            ids[rows, columns] = value
            instance[rows, columns] = value * 1000 + which if which else 0
        confidence[ids == VEGETATION] = 20000
        pixels = picture(rng, 40, 120)
        pixels[ids == CAR] = (30, 30, 180)
        pixels[ids == BUILDING] = (180, 80, 60)
        frame, drive = f"{number * 7:010d}.png", f"2013_05_28_drive_{drive}_sync"
        image = f"data_2d_raw/{drive}/image_00/data_rect/{frame}"
        folder = f"data_2d_semantics/train/{drive}/image_00"
        save(root / image, pixels)
        for kind, values in (("semantic", ids), ("instance", instance), ("confidence", confidence)):
            save(root / folder / kind / frame, values)
        lists[part].append(f"{image} {folder}/semantic/{frame}\n")
    for part, lines in lists.items():
        (root / "data_2d_semantics" / "train" / f"2013_05_28_drive_{part}_frames.txt").write_text("".join(lines))
    return root


def make_dtd(root: Path, textures: tuple[str, ...] = ("banded", "dotted", "woven"), pictures: int = 3) -> Path:
    """DTD with CoOp's split file: the first pictures of each texture train, the last one is judged by."""
    rng = np.random.default_rng(0)
    entries = {"train": [], "val": [], "test": []}
    for label, texture in enumerate(textures):
        for number in range(pictures):
            name = f"{texture}/{texture}_{number:04d}.png"
            save(root / "images" / name, picture(rng, 24, 32, 40 * label))
            entries["test" if number == pictures - 1 else "train"].append([name, label, texture])
    (root / "split_zhou_DescribableTextures.json").write_text(json.dumps(entries))
    return root


SEGMENTS_AN_IMAGE = 3


def make_segments(folder: Path, count: int = 4) -> list[Segment]:
    """Pictures of noise with three segments each, in the pictures' order."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
        for place in range(SEGMENTS_AN_IMAGE):
            mask = np.zeros((40, 50), bool)
            mask[5 + place : 20 + place, 3 : 10 + 9 * place] = rng.random((15, 7 + 9 * place)) < 0.7
            found.append(Segment.from_mask(path, mask, f"class {place}", f"room {number % 2}"))
    return found
