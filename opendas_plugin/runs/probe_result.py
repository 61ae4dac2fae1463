"""What a probe of prepared data has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.eval.crop_choice import CropChoice
from opendas_plugin.eval.probing import NameLook, NearCopy
from opendas_plugin.runs.probe_advice import Advice
from opendas_plugin.runs.probe_cost import Cost

RECIPE = "recipe.yaml"


@dataclass(frozen=True)
class Probed:
    """What was found.

    Args:
        output: folder of report.html, probe.json and the recipe.
        advice: what is wrong and what to do, and the verdict.
        choice: the crop policies.
        cost: of a training; None where the method cannot work on the backbone.
        curve: labelled segments of a name -> percent of right names without training.
        names: what the text tower makes of the names; None where they could not be encoded.
        copies: validation pictures that look like training pictures.
    """

    output: Path
    advice: Advice
    choice: CropChoice
    cost: Cost | None
    curve: Mapping[int, float]
    names: NameLook | None
    copies: tuple[NearCopy, ...]

    @property
    def recipe(self) -> Path:
        """The recipe with the advised crops and method."""
        return self.output / RECIPE
