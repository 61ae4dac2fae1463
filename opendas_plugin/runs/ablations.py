"""The ablations of OpenDAS that ``opendas-compare --ablate`` knows: each a few recipes that differ in one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from opendas_plugin.errors import ConfigError

if TYPE_CHECKING:
    from opendas_plugin.runs.comparison_runs import Job


@dataclass(frozen=True)
class Variant:
    """One row of an ablation: the fields that it changes, its method, and where its related names come from."""

    title: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    method: str = "opendas"
    negatives: Literal["offline", "openai"] | None = None
    """A source of ``opendas-negatives``; None: what training takes of itself."""


def _of(field_name: str, values: Mapping[str, Any], **common: Any) -> tuple[Variant, ...]:
    group, _, name = field_name.partition(".")
    return tuple(Variant(title, {group: {**common, name: value}}) for title, value in values.items())


def _weighted(start: float, end: float, schedule: str) -> dict[str, Any]:
    """What the title of a row says of the triplet loss, whatever the recipe has."""
    weights = {"weight_start": start, "weight_end": end, "weight_schedule": schedule}
    return {"triplet": {"enabled": True, **weights}}


ABLATIONS: Mapping[str, tuple[Variant, ...]] = {
    "stages": (
        Variant("both stages"),
        Variant("visual only", {"prompts": {"text_tokens": 0}}),
        Variant("text only", {"prompts": {"visual_tokens": 0}}),
    ),
    "triplet": (
        Variant("weight 2 to 5", _weighted(2.0, 5.0, "iteration")),
        Variant("weight fixed at 2", _weighted(2.0, 5.0, "constant")),
        Variant("weight fixed at 5", _weighted(5.0, 5.0, "constant")),
        Variant("no triplet", {"triplet": {"enabled": False}}),
    ),
    "mining": _of(
        "triplet.mining",
        {
            "hardest of the own five": "hardest",
            "random of the own five": "random",
            "semi-hard": "semi_hard",
            "hardest of the whole pool": "pool",
            "hardest of the nearest training names": "training",
        },
        enabled=True,
    ),
    "negatives": (
        Variant("openai", {"triplet": {"enabled": True, "mining": "hardest"}}, negatives="openai"),
        Variant("offline", {"triplet": {"enabled": True, "mining": "hardest"}}, negatives="offline"),
        Variant("training names", {"triplet": {"enabled": True, "mining": "training"}}),
        Variant("none", {"triplet": {"enabled": False}}),
    ),
    "visual_tokens": _of("prompts.visual_tokens", {f"{n} visual tokens": n for n in (1, 2, 4, 8, 16, 32)}),
    "text_tokens": _of("prompts.text_tokens", {f"{n} text tokens": n for n in (1, 2, 4, 8)}),
    "depth": (
        Variant("all layers", {"prompts": {"visual_depth": None, "text_depth": None}}),
        *(Variant(f"first {n} layers", {"prompts": {"visual_depth": n, "text_depth": n}}) for n in (1, 2, 3)),
    ),
    "crops": tuple(
        Variant(f"{background} background, {resize}", {"crops": {"background": background, "resize": resize}})
        for background in ("keep", "mean")
        for resize in ("squash", "center")
    ),
    "order": (Variant("visual, then text"), Variant("both at once", method="opendas_joint")),
}


def require_other_trainings(jobs: Sequence[Job]) -> None:
    """Checks that the rows of an ablation differ in what is trained.

    Raises:
        ConfigError: two do not, since the recipe leaves out what one of them varies.
    """
    for one, other in combinations(jobs, 2):
        if (one.run.config, one.run.negatives) == (other.run.config, other.run.negatives):
            raise ConfigError(
                f"the rows {one.title!r} and {other.title!r} would be one training: {one.run.recipe} leaves out what "
                "they differ in; choose another recipe"
            )
