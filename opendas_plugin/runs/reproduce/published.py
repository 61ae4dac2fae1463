"""Published figures that a reproduction is held against, each with its paper and table; never mixed with measured ones.

OpenDAS' own are those of arXiv 2405.20141 v4 and of its project page. CoOp's test of base and new names: CoCoOp, MaPLe
and PromptSRC as their own tables have them, read where others quote them (RMAdapter, AAAI 2026, Table 1; MaPLe's
EuroSAT also in issue 28 of its repository), since the papers themselves were not at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opendas_plugin.eval.paper import TABLE_1, TABLE_3

TOLERANCE = 2.0
"""Points within which a figure counts as that of the paper."""
OPENDAS = "OpenDAS, arXiv 2405.20141 v4"
ADE20K, KITTI360, SCANNETPP = "ade20k", "kitti360", "scannetpp"


@dataclass(frozen=True)
class Published:
    """A published figure.

    Args:
        value: in percent.
        source: paper and table.
    """

    value: float
    source: str


Figures = Mapping[str, Published]
"""Field of a ``summary.json`` -> what is published for it."""


def _of(source: str, **values: float) -> Figures:
    return {metric: Published(value, source) for metric, value in values.items()}


_CLOSED = f"{OPENDAS}, closed-set table"
PLAIN: Mapping[str, Figures] = {
    ADE20K: _of(_CLOSED, acc=27.8, w_f1=32.7),
    KITTI360: _of(_CLOSED, acc=19.1, w_f1=23.4),
}
"""Plain CLIP (ViT-L-14) where all names of a dataset are known: what the crop policy is anchored to."""

_CROSS = f"{OPENDAS}, cross-dataset table of its project page"
CROSS: Mapping[str, Mapping[str, Figures]] = {
    data: {method: _of(_CROSS, w_f1=w, b_f1=b, n_f1=n) for method, (w, b, n) in rows.items()}
    for data, rows in {
        SCANNETPP: {
            "zero_shot": (11.2, 11.3, 11.0),
            "cocoop": (11.2, 18.0, 9.9),
            "vpt": (13.0, 19.2, 8.8),
            "rpo": (13.4, 13.9, 13.3),
            "maple": (18.8, 29.3, 16.8),
            "opendas": (23.0, 30.4, 21.6),
        },
        KITTI360: {
            "zero_shot": (24.1, 23.0, 24.9),
            "cocoop": (27.1, 30.4, 22.1),
            "vpt": (29.5, 34.8, 25.8),
            "rpo": (33.7, 42.8, 19.9),
            "maple": (43.5, 57.7, 22.2),
            "opendas": (47.1, 60.8, 26.6),
        },
    }.items()
}
"""Trained on ADE20K-150 and tested on another dataset, by that dataset and the method."""

OFFICES: Mapping[str, Figures] = {
    row.method: {
        metric: Published(value, f"{OPENDAS}, Table 1")
        for metric, value in (("w_f1", row.w_f1), ("b_f1", row.b_f1), ("n_f1", row.n_f1))
        if value is not None
    }
    for row in TABLE_1
}
"""ScanNet++ Offices, by method."""

HOSTS: Mapping[str, Figures] = {
    row.title: {metric: Published(value, f"{OPENDAS}, Table 3") for metric, value in row.scores.items()}
    for row in TABLE_3
}
"""The pipelines that an adapter is switched on in, by the row's title."""

_COCOOP = "CoCoOp, CVPR 2022 (arXiv 2203.05557), Table 1"
_MAPLE = "MaPLe, CVPR 2023 (arXiv 2210.03117), Table 3"
_PROMPTSRC = "PromptSRC, ICCV 2023 (arXiv 2307.06948), Table 3"
RIVALS: Mapping[str, Mapping[str, Figures]] = {
    "dtd": {
        "zero_shot": _of(_COCOOP, base_acc=53.24, novel_acc=59.90, harmonic_acc=56.37),
        "cocoop": _of(_COCOOP, base_acc=77.01, novel_acc=56.00, harmonic_acc=64.85),
        "maple": _of(_MAPLE, base_acc=80.36, novel_acc=59.18, harmonic_acc=68.16),
        "promptsrc": _of(_PROMPTSRC, base_acc=83.37, novel_acc=62.97, harmonic_acc=71.75),
    },
    "eurosat": {
        "zero_shot": _of(_COCOOP, base_acc=56.48, novel_acc=64.05, harmonic_acc=60.03),
        "cocoop": _of(_COCOOP, base_acc=87.49, novel_acc=60.04, harmonic_acc=71.21),
        "maple": _of(_MAPLE, base_acc=94.07, novel_acc=73.23, harmonic_acc=82.35),
        "promptsrc": _of(_PROMPTSRC, base_acc=92.90, novel_acc=73.90, harmonic_acc=82.32),
    },
}
"""Base-to-new, 16 shots, ViT-B/16, mean of three seeds, by dataset and method."""
TEMPLATES = {"dtd": "{} texture.", "eurosat": "a centered satellite photo of {}."}
"""The templates that plain CLIP has in those tables (trainers/zsclip.py of github.com/KaiyangZhou/CoOp)."""
