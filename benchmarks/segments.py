"""How fast many segments are prepared, read back and cropped, and in how much memory.

Synthetic pictures of 100 segments each are prepared by the command, with one worker and with two; the domain is loaded;
its crops are made, kept in a packed cache, and read from it, in random order. Every row is a process of its own; its
peak is what the process took at most, less what it held before the work began; of a packed cache it counts the pages
of the mapped file, which the system takes back when it needs them.

    python benchmarks/segments.py --folder runs/segments
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from instance_memory import resident
from PIL import Image
from tqdm import tqdm

from opendas_plugin.commands.prepare_data import main as prepare_main
from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.loader import CropLoader, SegmentCrops
from opendas_plugin.data.packed import PackedCrops
from opendas_plugin.eval.report import align

CLASSES = 20
GRID, SIDE = 10, 24  # segments along an edge of a picture, and their side in pixels
BATCH = 64


@dataclass(frozen=True)
class Options:
    """What to measure."""

    segments: int = 200_000
    """Segments in all."""
    size: int = 64
    """Side of the crops."""
    folder: Path | None = None
    """Where to work; what was made there is used again. Default: a temporary folder."""
    rows: tuple[str, ...] = ()
    """Which rows; default: all."""


def draw(folder: Path, pictures: int) -> None:
    """Pictures of coloured noise, and label maps of a grid whose neighbours differ in class."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    shape = (GRID * SIDE, GRID * SIDE)
    for number in tqdm(range(pictures), desc="drawing", disable=None):
        row, column = np.indices((GRID, GRID))
        classes = (row * 2 + column * 7 + rng.integers(CLASSES)) % CLASSES
        labels = np.kron(classes, np.ones((SIDE, SIDE), int)).astype(np.uint8)
        pixels = labels[..., None] * 10 + rng.integers(0, 40, (*shape, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{number}.jpg", quality=90)
        Image.fromarray(labels).save(folder / "labels" / f"{number}.png")


def prepare(folder: Path, size: int, workers: int) -> int:
    """Runs the command; returns how many segments it kept."""
    names = ",".join(f"class {number}" for number in range(CLASSES))
    data = ["--images", str(folder / "images"), "--labels", str(folder / "labels"), "--classes", names]
    flags = ["--regions", "component", "--workers", str(workers), "--output", str(folder / "domain")]
    with contextlib.redirect_stdout(io.StringIO()):
        if prepare_main(["folders", *data, *flags]):
            raise SystemExit("the preparation failed")
    return sum(json.loads((folder / "domain" / "domain.json").read_text())["kept"].values())


def load(folder: Path, size: int) -> int:
    """Reads the domain back."""
    domain = load_domain(folder / "domain")
    return len(domain.train) + len(domain.val)


def crop(folder: Path, size: int, workers: int, packed: bool = False) -> int:
    """Goes through the training segments in random order, as an epoch does."""
    segments, policy = load_domain(folder / "domain").train, CropPolicy(size=size)
    crops = SegmentCrops(segments, policy, PackedCrops(folder / "cache", segments, policy) if packed else None)
    order = np.random.default_rng(0).permutation(len(crops)).tolist()
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    seen = sum(len(indices) for _, indices in CropLoader(crops, batches, workers=workers))
    if seen != len(segments):
        raise SystemExit(f"expected {len(segments)} crops, got {seen}")
    return seen


WORK = {
    "prepare, 1 worker": functools.partial(prepare, workers=1),
    "prepare, 2 workers": functools.partial(prepare, workers=2),
    "load the domain": load,
    "crop and pack, 1 worker": functools.partial(crop, workers=1, packed=True),
    "crop from the pack, 1 worker": functools.partial(crop, workers=1, packed=True),
    "crop from the pack, 2 workers": functools.partial(crop, workers=2, packed=True),
    "crop, decoding, 1 worker": functools.partial(crop, workers=1),
    "crop, decoding, 2 workers": functools.partial(crop, workers=2),
}


def measure(name: str, folder: Path, size: int) -> tuple[int, float, int]:
    """Does one row in this process: segments, seconds, and bytes beyond those before."""
    Path("/proc/self/clear_refs").write_text("5")  # the imports have a peak of their own
    before, start = resident("VmRSS"), time.perf_counter()
    count = WORK[name](folder, size)
    return count, time.perf_counter() - start, resident("VmHWM") - before


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the pictures, measures row by row, and prints the table."""
    options = tyro.cli(Options, args=argv)
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "images").is_dir():
            draw(folder, -(-options.segments // GRID**2))
        table = [["", "segments", "seconds", "segments/s", "peak MiB"]]
        for name in options.rows or WORK:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                count, seconds, peak = pool.submit(measure, name, folder, options.size).result()
            rate = f"{count / seconds:.0f}"
            table.append([name, str(count), f"{seconds:.1f}", rate, f"{peak / 2**20:.0f}"])
        print(align(table))


if __name__ == "__main__":
    main()
