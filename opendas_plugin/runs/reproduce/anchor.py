"""Step ``anchor``: which crop policy and input size give plain CLIP the paper's own figures.

The paper does not say how a mask becomes an image for CLIP. It does say what plain CLIP scores, so the policy that
comes within two points of these figures on both datasets is taken for all that follows, or the nearest where none does.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.segments import Segment
from opendas_plugin.eval.report import evaluate_classification
from opendas_plugin.files import read_json
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.runs.reproduce.place import ANCHOR, Place, slug, title_of
from opendas_plugin.runs.reproduce.published import PLAIN, TOLERANCE
from opendas_plugin.runs.reproduce.results import Result
from opendas_plugin.runs.reproduce.scoring import joint_row
from opendas_plugin.runs.reproduce.sources import SOURCES, AbsentError
from opendas_plugin.runs.reproduce.store import Done
from opendas_plugin.runs.reproduce.tiers import Weights
from opendas_plugin.stamps import Inputs
from opendas_plugin.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

POLICIES = tuple(
    CropPolicy(background, expand, resize)
    for background in ("keep", "mean")
    for expand in (0.0, 0.1, 0.5)
    for resize in ("squash", "center")
)
DATA = ("ade20k", "kitti360")


@dataclass(frozen=True)
class Candidate:
    """A backbone with a crop policy, and how far its figures are from the paper's.

    Args:
        weights: the backbone.
        policy: the crops.
        distance: the largest difference from a figure of the paper, in points.
    """

    weights: Weights
    policy: CropPolicy
    distance: float

    @property
    def fits(self) -> bool:
        """Whether all figures are the paper's within the tolerance."""
        return self.distance <= TOLERANCE


def readers(place: Place) -> list[str]:
    """The datasets that are there.

    Raises:
        AbsentError: none is.
    """
    found = [reader for reader in DATA if place.has(reader)]
    if not found:
        manuals = "; ".join(f"for {SOURCES[reader].title}, {SOURCES[reader].manual}" for reader in DATA)
        raise AbsentError(f"there is nothing in {place.root} to anchor the crops on: {manuals}")
    return found


def inputs(place: Place) -> Inputs:
    """What the step is made from; prepares the data."""
    found = readers(place)
    for reader in found:
        place.prepared(reader)
    policies = [str(policy) for policy in POLICIES]
    return place.inputs(found, place.tier.anchors, policies=policies, sample=place.tier.sample)


def run(place: Place) -> Done:
    """Scores plain CLIP under every policy on every dataset that is there, and chooses."""
    found = readers(place)
    samples = {reader: _sample(place, reader) for reader in found}
    folders: dict[tuple[Weights, CropPolicy], dict[str, Path]] = {}
    for weights in place.tier.anchors:
        name, pretrained = place.weights(weights)
        clip = None
        for policy in POLICIES:
            for reader in found:
                folder = place.folder(ANCHOR) / reader / slug(f"{title_of(weights)} {policy}")
                folders.setdefault((weights, policy), {})[reader] = folder
                if (folder / "summary.json").exists():
                    continue
                clip = clip or OpenDASCLIP.from_backbone(name, pretrained, device=place.device)
                segments, vocabulary = samples[reader]
                labeller = Labeller(clip, vocabulary, crops=policy.at(clip.image_size), workers=place.workers)
                evaluate_classification(labeller, segments, vocabulary, folder, figure=False)
    chosen = choose({key: {r: read_json(f / "summary.json") for r, f in of.items()} for key, of in folders.items()})
    rows = list(_rows(place, folders, samples, chosen))
    return Done(rows, say(chosen, found), facts_of(chosen, found, place.tier.anchors))


def choose(summaries: Mapping[tuple[Weights, CropPolicy], Mapping[str, Mapping[str, float | None]]]) -> Candidate:
    """The candidate whose largest difference from the paper's figures is the smallest, the first of equal ones.

    Args:
        summaries: candidate -> dataset -> its summary.
    """
    candidates = [Candidate(*key, distance(of)) for key, of in summaries.items()]
    return min(candidates, key=lambda candidate: candidate.distance)


def distance(summaries: Mapping[str, Mapping[str, float | None]]) -> float:
    """The largest difference from the paper's figures, over datasets and figures, in points."""
    found = [
        math.inf if summary[metric] is None else abs(float(summary[metric] or 0.0) - published.value)
        for reader, summary in summaries.items()
        for metric, published in PLAIN[reader].items()
    ]
    return max(found)


def facts_of(chosen: Candidate, found: Sequence[str], anchors: Sequence[Weights]) -> dict[str, object]:
    """What later steps take."""
    crops = chosen.policy.to_dict()
    return {
        "crops": {name: crops[name] for name in ("background", "expand", "resize")},
        "backbone": title_of(chosen.weights),
        "anchor": anchors.index(chosen.weights),
        "fits": chosen.fits,
        "distance": round(chosen.distance, 3),
        "whence": (
            f"plain CLIP's figures on {_titles(found)} are the paper's to {chosen.distance:.1f} points with them"
            if chosen.fits
            else "the nearest of all tried, though none gives plain CLIP the paper's figures on "
            f"{_titles(found)} to {TOLERANCE:g} points ({chosen.distance:.1f} are left)"
        ),
    }


def say(chosen: Candidate, found: Sequence[str]) -> list[str]:
    """The finding in sentences."""
    what = f"{chosen.policy} on {title_of(chosen.weights)}"
    if chosen.fits:
        return [
            f"The crops {what} give plain CLIP the paper's figures on {_titles(found)}: no figure is more than "
            f"{chosen.distance:.1f} points away. They are taken for all that follows."
        ]
    return [
        f"No crop policy gives plain CLIP the paper's figures on {_titles(found)} to {TOLERANCE:g} points: the "
        f"nearest, {what}, is up to {chosen.distance:.1f} points away. It is taken for all that follows, so that no "
        "later figure stands on the paper's own start."
    ]


def _titles(found: Sequence[str]) -> str:
    return " and ".join(SOURCES[reader].title for reader in found)


def _sample(place: Place, reader: str) -> tuple[list[Segment], Vocabulary]:
    """The segments that policies are judged by, in whole pictures drawn by a fixed seed; all names are known."""
    domain = place.domain(reader)
    vocabulary = Vocabulary(domain.vocabulary.names, (), domain.vocabulary.template)
    if place.tier.sample is None:
        return list(domain.val), vocabulary
    images = sorted({segment.image for segment in domain.val})
    by_image: dict[Path, list[Segment]] = {}
    for segment in domain.val:
        by_image.setdefault(segment.image, []).append(segment)
    chosen: list[Segment] = []
    for number in np.random.default_rng(0).permutation(len(images)).tolist():
        if len(chosen) < place.tier.sample:
            chosen += by_image[images[number]]
    return chosen, vocabulary


def _rows(
    place: Place,
    folders: Mapping[tuple[Weights, CropPolicy], Mapping[str, Path]],
    samples: Mapping[str, tuple[list[Segment], Vocabulary]],
    chosen: Candidate,
) -> list[Result]:
    rows = []
    why = "made-up data and random weights" if place.tier.is_rehearsal else ""
    for (weights, policy), of in folders.items():
        is_chosen = (weights, policy) == (chosen.weights, chosen.policy)
        for reader, folder in of.items():
            about = {"backbone": title_of(weights), "crops": str(policy), "chosen": is_chosen}
            rows.append(
                joint_row(
                    f"{policy}, {title_of(weights)}", SOURCES[reader].title, {None: folder}, *samples[reader],
                    PLAIN[reader], about, why, confusion=is_chosen,
                )
            )  # fmt: skip
    return rows
