"""A small scene of both 3D benchmarks: ground truth, predictions, classes, and the flags that score them."""

from __future__ import annotations

import json

import numpy as np

# 300 points of a chair, 200 of a desk, 100 of the floor, which is not scored with --instance-classes
NAMES = ("floor", "office chair", "desk")
FLOOR, CHAIR, DESK = 0, 1, 2
TRUTH = np.repeat([1001, 2002, 3], [300, 200, 100])
CHAIR_MASK, DESK_MASK = np.arange(600) < 300, (np.arange(600) >= 300) & (np.arange(600) < 500)


def run_length(mask):
    """ScanNet++'s code, run by run: starts count from 1."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    counts = " ".join(f"{start + 1} {end - start}" for start, end in zip(edges[::2], edges[1::2], strict=True))
    return json.dumps({"length": len(mask), "counts": counts})


def lines_of(mask):
    return "\n".join(map(str, mask.astype(int).tolist())) + "\n"


class Files:
    """One scene of a benchmark: the chair found as a chair, the desk as a desk or whatever a test writes."""

    def __init__(self, folder, protocol):
        self.folder, self.protocol = folder, protocol
        self.suffix, self.encode = (".json", run_length) if protocol == "scannetpp" else (".txt", lines_of)
        self.write("gt/room.txt", "\n".join(map(str, TRUTH)) + "\n")
        self.mask("chair", CHAIR_MASK)
        self.mask("desk", DESK_MASK)
        self.predictions(f"masks/chair{self.suffix} 1 0.9", f"masks/desk{self.suffix} 2 0.8")
        ids = "\n".join(f"{number} {name}" for number, name in enumerate(NAMES))
        self.write("classes.txt", "\n".join(NAMES) if protocol == "scannetpp" else ids)
        self.write("scored.txt", "desk\noffice chair\n")
        self.write("removed/room.txt", "")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def mask(self, name, mask):
        self.write(f"predictions/masks/{name}{self.suffix}", self.encode(mask))

    def predictions(self, *lines):
        self.write("predictions/room.txt", "\n".join(lines) + "\n")

    def flags(self, *more):
        given = {"predictions": "predictions", "ground-truth": "gt", "classes": "classes.txt", "output": "out"}
        given["instance-classes"] = "scored.txt"
        if self.protocol == "scannetpp":
            given["mesh-masks"] = "removed"
        paths = [part for key, name in given.items() for part in (f"--{key}", str(self.folder / name))]
        return ["instance3d", "--protocol", self.protocol, *paths, *map(str, more)]

    @property
    def summary(self):
        return json.loads((self.folder / "out" / "summary.json").read_text())
