"""What a tier works with: backbones, shots, seeds and how much of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Weights = tuple[str, str | None]
"""A backbone's name and its tag or weight file."""

_OPENAI = "openai"
VIT_B = ("ViT-B-16-quickgelu", _OPENAI)
VIT_L = ("ViT-L-14-quickgelu", _OPENAI)
VIT_L_336 = ("ViT-L-14-336-quickgelu", _OPENAI)
REHEARSAL = "rehearsal"


@dataclass(frozen=True)
class Tier:
    """How much is done.

    Args:
        name: of the tier.
        anchors: what the crop policies are tried on; the paper's figures are ViT-L/14's.
        trained: what the rows of the tables are trained on; None: the one of ``anchors`` that was chosen.
        rivals: what the base-to-new test is trained on; the published figures are ViT-B/16's.
        methods: the rows of the paper's tables.
        shots: training segments a name; None: all.
        rival_shots: training pictures a name in the base-to-new test; the published figures are of 16.
        seeds: training seeds of the paper's rows.
        rival_depth: layers, from the first, in which MaPLe and PromptSRC have tokens there; nine, as published.
        rival_seeds: those of the base-to-new test; the published figures are means over three.
        sample: segments that a crop policy is judged by, in whole pictures; None: all.
        every: takes every n-th frame of KITTI-360's lists.
        changes: fields of the recipe that go before all others.
        reading: options of readers, by their name.
    """

    name: str
    anchors: tuple[Weights, ...] = (VIT_L, VIT_L_336)
    trained: Weights | None = None
    rivals: Weights = VIT_B
    methods: tuple[str, ...] = ("zero_shot", "vpt", "rpo", "maple", "opendas")
    shots: int | None = None
    rival_shots: int = 16
    rival_depth: int = 9
    seeds: int = 1
    rival_seeds: int = 3
    sample: int | None = None
    every: int = 10
    changes: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_rehearsal(self) -> bool:
        """Whether data and weights are made up."""
        return self.name == REHEARSAL

    @property
    def is_papers(self) -> bool:
        """Whether the rows of the tables are trained as the paper's: ViT-L/14, all segments."""
        return self.trained is None and self.shots is None

    def options(self, reader: str) -> dict[str, Any]:
        """A reader's options beside its root."""
        own = {"every": self.every} if reader == "kitti360" else {}
        return {**own, **self.reading.get(reader, {})}


TIERS = {
    "quick": Tier("quick", trained=VIT_B, methods=("zero_shot", "maple", "opendas"), shots=16, rival_seeds=1,
                  sample=4000, every=50),
    "full": Tier("full"),
}  # fmt: skip


def rehearsal(anchors: tuple[Weights, ...]) -> Tier:
    """The tier of made-up data and weights: every part of the others, small."""
    short = {"epochs": 1}
    return Tier(
        REHEARSAL,
        anchors=anchors,
        rivals=anchors[0],
        methods=("zero_shot", "maple", "opendas"),
        shots=2,
        rival_shots=2,
        rival_depth=2,
        rival_seeds=1,
        sample=12,
        every=1,
        changes={
            "visual": short, "text": short, "joint": short, "workers": 0,
            "regulation": {"average_epoch": 1.0},
        },
        reading={
            "ade20k": {"min_area": 10},
            "kitti360": {"min_area": 10},
            "scannetpp": {"every": 1, "min_side": 8},
        },
    )  # fmt: skip
