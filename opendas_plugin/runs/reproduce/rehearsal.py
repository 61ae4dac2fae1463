"""The data and weights of a rehearsal: every layout that a reproduction reads, tiny, and CLIPs with random weights.

On the day only the data and the weights differ. Nothing here means anything: pictures are coloured blocks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from opendas_plugin.files import atomic_folder
from opendas_plugin.model.construct import construct
from opendas_plugin.readers import dtd
from opendas_plugin.runs.reproduce.tiers import Tier, rehearsal
from opendas_plugin.scenes.camera import Camera

SIZES = (32, 48)
"""Input sizes of the two CLIPs, in the place of 224 and 336."""
_DONE = "made"
_COLOURS = ((200, 190, 150), (60, 60, 200), (120, 60, 20), (40, 180, 60), (220, 200, 40), (150, 60, 180), (30, 30, 30))
_THINGS = ((-1, -1, 0.4), (1, -1, 0.4), (1, 1, 0.4), (-1, 1, 0.4))
_SCENES: Mapping[str, Sequence[str]] = {
    "a0": ("office chair", "office desk", "keyboard", "whiteboard"),
    "a1": ("office chair", "office desk", "keyboard", "printer"),
    "b0": ("office chair", "office desk", "monitor", "mug"),
}


def make_rehearsal(folder: Path) -> tuple[Path, Tier, Path]:
    """Makes data and weights, where they are not there yet.

    Args:
        folder: for all of it.

    Returns:
        the data root, the tier that fits it, and the folder of 3D masks.
    """
    if not (folder / _DONE).exists():
        with atomic_folder(folder) as made:
            _write(made)
            (made / _DONE).touch()
    weights = tuple((str((folder / "weights" / f"tiny-{size}.pt").resolve()), None) for size in SIZES)
    return folder, rehearsal(weights), folder / "proposals"


def _write(root: Path) -> None:
    rng = np.random.default_rng(0)
    _ade20k(root / "ADEChallengeData2016", rng)
    _kitti360(root / "KITTI-360", rng)
    _scannetpp(root / "scannetpp", root / "proposals", rng)
    _textures(root / "dtd", rng)
    _land(root / "eurosat" / "2750", rng)
    (root / "weights").mkdir()
    for size in SIZES:
        torch.save(clip_state(size), root / "weights" / f"tiny-{size}.pt")


def config(size: int) -> dict[str, Any]:
    """A CLIP's configuration as open_clip has it: two layers of width 64 in each tower, patches of 16 pixels."""
    visual = {"image_size": size, "layers": 2, "width": 64, "patch_size": 16, "head_width": 64}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
    return {"embed_dim": 64, "quick_gelu": True, "vision_cfg": visual, "text_cfg": text}


def clip_state(size: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """A CLIP's tensors in OpenAI's format, random."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = construct(config(size))
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _save(path: Path, pixels: NDArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _picture(labels: NDArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (H, W, 3) with a colour for each label and some noise."""
    table = np.array(_COLOURS)
    pixels = table[labels % len(table)] + rng.integers(-25, 26, (*labels.shape, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def _ade20k(root: Path, rng: np.random.Generator) -> None:
    for split, short, count in (("training", "train", 8), ("validation", "val", 5)):
        for number in range(1, count + 1):
            labels = np.ones((48, 64), np.uint8)
            labels[24:] = 4
            for value, left in ((8, 4), (15, 24), (16, 44)):
                top = int(rng.integers(8, 24))
                labels[top : top + 18, left : left + 14] = value
            labels[:, -2:] = 0
            stem = f"ADE_{short}_{number:08d}"
            _save(root / "images" / split / f"{stem}.jpg", _picture(labels, rng))
            _save(root / "annotations" / split / f"{stem}.png", labels)


def _kitti360(root: Path, rng: np.random.Generator) -> None:
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for number in range(9):
        part, drive = ("train", "0000") if number < 5 else ("val", f"{number % 2 + 2:04d}")
        ids = np.full((40, 120), 7, np.uint8)  # road
        instance = np.zeros((40, 120), np.uint16)
        for value, which, rows, left, width in (
            (11, 3, slice(2, 16), 0, 50), (21, 0, slice(2, 16), 60, 40), (26, 1, slice(22, 34), 10, 20),
            (26, 2, slice(22, 34), 60, 25), (8, 0, slice(35, 40), 0, 120),
        ):  # fmt: skip
            columns = slice(left + int(rng.integers(0, 8)), left + width)
            ids[rows, columns] = value
            instance[rows, columns] = value * 1000 + which if which else 0
        name, drive = f"{number * 7:010d}.png", f"2013_05_28_drive_{drive}_sync"
        image, folder = f"data_2d_raw/{drive}/image_00/data_rect/{name}", f"data_2d_semantics/train/{drive}/image_00"
        _save(root / image, _picture(ids, rng))
        for kind, values in (("semantic", ids), ("instance", instance)):
            _save(root / folder / kind / name, values)
        lists[part].append(f"{image} {folder}/semantic/{name}\n")
    for part, lines in lists.items():
        path = root / "data_2d_semantics" / "train" / f"2013_05_28_drive_{part}_frames.txt"
        path.write_text("".join(lines), encoding="utf-8")


def _scannetpp(root: Path, proposals: Path, rng: np.random.Generator) -> None:
    for name, labels in _SCENES.items():
        owner = _scene(root / "data" / name, labels, rng)
        if name.startswith("b"):
            proposals.mkdir(parents=True, exist_ok=True)
            np.save(proposals / f"{name}.npy", owner[:, None] == np.arange(owner.max() + 1))
    (root / "splits").mkdir()
    for part, letter in (("train", "a"), ("val", "b")):
        names = [name for name in _SCENES if name.startswith(letter)]
        (root / "splits" / f"nvs_sem_{part}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def _scene(folder: Path, labels: Sequence[str], rng: np.random.Generator) -> NDArray[np.int64]:
    """Writes a floor with boxes on it, and pictures from around; returns the object of each vertex, from 0."""
    boxes = [((0.0, 0.0, -0.05), (4.0, 4.0, 0.1)), *((centre, (0.6, 0.6, 0.8)) for centre in _THINGS)]
    parts = [trimesh.creation.box(size).subdivide().subdivide().subdivide() for _, size in boxes]
    vertices = np.concatenate([part.vertices + np.array(at) for part, (at, _) in zip(parts, boxes, strict=True)])
    owner = np.repeat(np.arange(len(parts)), [len(part.vertices) for part in parts])
    starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    scans, phone = folder / "scans", folder / "iphone"
    (phone / "colmap").mkdir(parents=True)
    scans.mkdir()
    trimesh.Trimesh(vertices, faces, process=False).export(scans / "mesh_aligned_0.05.ply")
    (scans / "mesh_aligned_0.05_mask.txt").write_text("", encoding="utf-8")
    (scans / "segments.json").write_text(json.dumps({"segIndices": list(range(len(vertices)))}), encoding="utf-8")
    groups = [
        {"id": place, "objectId": place + 1, "label": label, "segments": np.flatnonzero(owner == place).tolist()}
        for place, label in enumerate(["floor", *labels])
    ]
    (scans / "segments_anno.json").write_text(json.dumps({"segGroups": groups}), encoding="utf-8")
    lines = ["# images"]
    for number in range(4):
        angle = np.pi * number / 2
        eye = (3.2 * np.cos(angle), 3.2 * np.sin(angle), 1.8)
        camera = Camera.look_at(eye, (0, 0, 0.3), width=160, height=120, fov=60)
        x, y, z, w = Rotation.from_matrix(np.linalg.inv(camera.pose)[:3, :3]).as_quat()
        pose = [w, x, y, z, *np.linalg.inv(camera.pose)[:3, 3]]
        name = f"frame_{10 * number:06d}.jpg"
        lines += [f"{number + 1} {' '.join(f'{value:.12g}' for value in pose)} 1 {name}", ""]
        _save(phone / "rgb" / name, rng.integers(0, 255, (120, 160, 3), dtype=np.uint8))
        k = camera.intrinsics
    words = " ".join(f"{value:.12g}" for value in (k[0, 0], k[1, 1], k[0, 2], k[1, 2]))
    (phone / "colmap" / "cameras.txt").write_text(f"1 PINHOLE 160 120 {words}\n", encoding="utf-8")
    (phone / "colmap" / "images.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return owner


def _textures(root: Path, rng: np.random.Generator) -> None:
    """DTD with CoOp's split file."""
    entries: dict[str, list[list[object]]] = {"train": [], "val": [], "test": []}
    for label, texture in enumerate(("banded", "dotted", "lined", "woven")):
        for number in range(6):
            name = f"{texture}/{texture}_{number:04d}.jpg"
            stripes = (np.add.outer(np.arange(40) * (label % 2), np.arange(50)) // (label + 2) + number) % 3
            _save(root / "images" / name, _picture(stripes + label, rng))
            entries["train" if number < 3 else "test"].append([name, label, texture])
    (root / dtd.SPLIT_FILE).write_text(json.dumps(entries), encoding="utf-8")


def _land(root: Path, rng: np.random.Generator) -> None:
    """EuroSAT without CoOp's split file."""
    for label, kind in enumerate(("AnnualCrop", "Forest", "River", "SeaLake")):
        for number in range(8):
            field = np.full((32, 32), label)
            field[number : number + 6] = label + 1
            _save(root / kind / f"{kind}_{number}.jpg", _picture(field, rng))
