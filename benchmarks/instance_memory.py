"""Memory of the 3D instance evaluation: the resident-set peak of a process that scores a whole validation set.

The default size is ScanNet200's: 312 scenes of 200,000 points with 150 masks each. An evaluator that holds all masks as
float16 (points x masks) arrays, as OpenMask3D's does, needs the memory in the last row for them alone.

    python benchmarks/instance_memory.py
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from opendas_plugin.eval.instance3d import Instance, InstanceAccumulator

CLASSES = tuple(range(1, 199))
INSTANCES = 40


def main(argv: Sequence[str] | None = None) -> None:
    """Scores the scenes in a process of its own and prints its peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=312)
    parser.add_argument("--masks", type=int, default=150)
    parser.add_argument("--points", type=int, default=200_000)
    options = parser.parse_args(argv)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        before, peak, seconds, covered, ap = pool.submit(
            measure, options.scenes, options.masks, options.points
        ).result()
    dense = 2 * options.scenes * options.masks * options.points
    print(f"{options.scenes} scenes x {options.masks} masks x {options.points:,} points, AP {ap:.1f}, {seconds:.0f} s")
    for name, size in (
        ("the process before it starts", before),
        ("its resident-set peak", peak),
        (
            f"all masks as lists of points ({covered:,} in a mask on average)",
            8 * options.scenes * options.masks * covered,
        ),
        ("all masks as float16 arrays", dense),
    ):
        print(f"{size / 2**30:8.2f} GiB  {name}")


def measure(scenes: int, masks: int, points: int) -> tuple[int, int, float, int, float]:
    """Returns the resident set before and at its peak, in bytes, seconds, mean points of a mask, and the AP."""
    start, before = time.perf_counter(), resident("VmRSS")
    accumulator, covered = InstanceAccumulator(CLASSES), 0
    for scene in range(scenes):
        rng = np.random.default_rng(scene)
        truth = random_truth(rng, points)
        predictions = list(random_predictions(rng, truth, masks))
        covered += sum(len(instance.points) for instance in predictions)
        accumulator.add(truth, predictions)
    means = accumulator.scores().means()
    return before, resident("VmHWM"), time.perf_counter() - start, covered // (scenes * masks), means["ap"] or 0.0


def random_truth(rng: np.random.Generator, points: int) -> np.ndarray:
    """Instances of unequal sizes, and a third of the points without one."""
    ends = np.sort(rng.integers(0, 2 * points // 3, INSTANCES))
    numbers = 1000 * rng.choice(CLASSES, INSTANCES) + np.arange(1, INSTANCES + 1)
    truth = np.zeros(points, dtype=np.int64)
    for start, end, number in zip(np.concatenate([[0], ends]), ends, numbers, strict=False):
        truth[start:end] = number
    return truth


def random_predictions(rng: np.random.Generator, truth: np.ndarray, masks: int) -> Iterator[Instance]:
    """Parts of instances with some points around them, mostly of the right class."""
    numbers = np.unique(truth[truth > 0])
    for number in rng.choice(numbers, masks):
        rows = np.flatnonzero(truth == number)
        rows = rows[rng.random(len(rows)) < rng.uniform(0.4, 1.2)]
        start = int(rng.integers(len(truth) - 500))
        around = np.arange(start, start + rng.integers(500))
        class_id = number // 1000 if rng.random() < 0.7 else rng.choice(CLASSES)
        yield Instance(np.union1d(rows, around), int(class_id), float(rng.random()))


def resident(field: str) -> int:
    """A field of /proc/self/status in bytes: VmRSS, the resident set, or VmHWM, its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise SystemExit("this benchmark reads /proc/self/status, which only Linux has")


if __name__ == "__main__":
    main()
