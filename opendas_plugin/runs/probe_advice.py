"""What a probe says: what is wrong with the data and what to do about each, and a verdict in three sentences."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from opendas_plugin.data.domain import Domain
from opendas_plugin.eval.crop_choice import CropChoice
from opendas_plugin.eval.probing import NameLook, NearCopy, enough, spread
from opendas_plugin.reports.notices import FEW_JUDGED, FEW_TRAINED, TINY, listed

UNEVEN = 20
"""Times the median name's segments that the most frequent name may have before it is said."""
SATURATED, HARDLY, WORTH = 95.0, 10.0, 1.0
"""Percent of right names from which on there is little left to gain, and below which a CLIP hardly knows the names; and
points that are worth to be said."""


@dataclass(frozen=True)
class Finding:
    """Something about the data, and what to do.

    Args:
        kind: ``fault`` makes figures wrong or training useless; ``note`` is good to know.
        what: was found.
        todo: about it.
    """

    kind: Literal["fault", "note"]
    what: str
    todo: str


@dataclass(frozen=True)
class Advice:
    """What was found, and the verdict: whether to adapt, by which method, with how many labels."""

    findings: tuple[Finding, ...]
    verdict: tuple[str, str, str]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What has to be mended first."""
        return tuple(one for one in self.findings if one.kind == "fault")


def advise(
    domain: Domain,
    names: NameLook | None,
    unreadable: Mapping[str, str],
    same: Sequence[Path],
    copies: Sequence[NearCopy],
    choice: CropChoice,
    curve: Mapping[int, float],
    method: str,
) -> Advice:
    """Turns what a probe saw into advice.

    Args:
        domain: the data.
        names: what the text tower makes of the names.
        unreadable: names that it cannot read, with the reason.
        same: validation pictures that are training pictures.
        copies: those that look like one.
        choice: the crop policies.
        curve: what labelled segments bring without training.
        method: that is advised.
    """
    findings = [
        *_of_names(names, unreadable),
        *_of_pictures(domain, same, copies),
        *_of_counts(domain),
    ]
    faults = sum(one.kind == "fault" for one in findings)
    whether = _whether(domain, choice, curve, faults)
    return Advice(tuple(findings), (whether, _how(domain, curve, method), _many(domain, curve)))


def _of_names(names: NameLook | None, unreadable: Mapping[str, str]) -> list[Finding]:
    found = []
    if unreadable:
        todo = "shorten them, in the labels too; until then training refuses them"
        what = f"{len(unreadable)} names do not fit the text tower's context: {listed([*unreadable])}"
        found.append(Finding("fault", what, todo))
    if names is not None and names.equal:
        pairs = listed([f"{one} = {other}" for one, other, _ in names.equal])
        todo = "rename one of each, or merge them: which of the two a segment gets is chance"
        said = "a pair of names is" if len(names.equal) == 1 else f"{len(names.equal)} pairs of names are"
        found.append(Finding("fault", f"{said} one to the text tower: {pairs}", todo))
    return found


def _of_pictures(domain: Domain, same: Sequence[Path], copies: Sequence[NearCopy]) -> list[Finding]:
    total, found = len({segment.image for segment in domain.val}), []
    if same:
        shown = listed([picture.name for picture in same], 5)
        what = f"{len(same)} of {total} validation pictures are training pictures, too: {shown}"
        todo = "take them out of one part, and prepare again: until then the scores flatter"
        found.append(Finding("fault", what, todo))
    if copies:
        pairs = listed([f"{copy.picture.name} like {copy.like.name}" for copy in copies], 5)
        what = f"{len(copies)} of {total} validation pictures look like a training picture: {pairs}"
        todo = (
            "look at them in the report; if they are copies or frames of one video, split by whole groups "
            "(--group-by video, or folders), for the scores flatter"
        )
        found.append(Finding("fault" if len(copies) > 0.05 * total else "note", what, todo))
    return found


def _of_counts(domain: Domain) -> list[Finding]:
    trained, judged = (Counter(segment.label for segment in part) for part in (domain.train, domain.val))
    base = domain.vocabulary.base
    few = [f"{name} ({trained[name]})" for name in base if trained[name] < FEW_TRAINED]
    rare = [f"{name} ({judged[name]})" for name in domain.vocabulary.names if judged[name] < FEW_JUDGED]
    found = []
    if few:
        what = f"{len(few)} of {len(base)} training names have fewer than {FEW_TRAINED} segments: {listed(few)}"
        todo = f"label {FEW_TRAINED} or more of each, or leave the names out of the vocabulary"
        found.append(Finding("fault", what, todo))
    if rare:
        what = f"{len(rare)} names have fewer than {FEW_JUDGED} validation segments: {listed(rare)}"
        found.append(Finding("note", what, "do not read their own F1; for that, label more validation pictures"))
    if trained:
        (most, count), middle = trained.most_common(1)[0], statistics.median(trained.values())
        if count > UNEVEN * middle:
            todo = "add --sampler class_balanced if the rare names matter as much"
            found.append(Finding("note", f"{most} has {count} segments, the median name {middle:g}", todo))
    sides = [max(s.box[2] - s.box[0], s.box[3] - s.box[1]) for s in domain.train]
    tiny = sum(side < TINY for side in sides) / max(1, len(sides))
    if tiny > 0.1:
        what = f"{tiny:.0%} of the training masks are less than {TINY} pixels wide and high"
        todo = "prepare with a larger --min-area, or take larger pictures: CLIP sees little of them"
        found.append(Finding("note", what, todo))
    if not domain.vocabulary.novel:
        todo = "prepare with --novel-fraction 0.2 to measure what happens to names without labels"
        found.append(Finding("note", "no name is kept out of training", todo))
    return found


def _whether(domain: Domain, choice: CropChoice, curve: Mapping[int, float], faults: int) -> str:
    best, gain = choice.accuracies[choice.chosen], _gain(curve)
    mend = "the fault that was found" if faults == 1 else f"the {faults} faults that were found"
    first = f"First mend {mend}; then " if faults else ""
    right = f"{best:.0f}% (\u00b1{spread(best, choice.segments):.0f}) of {choice.segments} training segments right"
    said = f"plain CLIP names {right} by the best crops"
    name, count = Counter(segment.label for segment in domain.train).most_common(1)[0]
    blind = 100 * count / len(domain.train)
    unknown = best - spread(best, choice.segments) <= blind
    if unknown:
        said += f" (calling all of them {name} would be right for {blind:.0f}%)"
    if best >= SATURATED:
        sentence = f"do not adapt yet: {said}, so that there is little to gain."
    elif gain >= WORTH:
        sentence = (
            f"adapt{', and try another backbone, too' if unknown else ''}: {said}, and up to {max(curve)} labelled "
            f"segments a name add {gain:.0f} points without training."
        )
    elif best < HARDLY or unknown:
        sentence = f"try another backbone before you adapt: {said}, and a few labelled segments do not help it."
    else:
        sentence = f"adapting may help: {said}, but a few labelled segments alone add nothing; look at the crops below."
    return first + sentence if first else sentence[0].upper() + sentence[1:]


def _how(domain: Domain, curve: Mapping[int, float], method: str) -> str:
    trained = Counter(segment.label for segment in domain.train)
    middle = statistics.median([trained[name] for name in domain.vocabulary.base])
    if middle < FEW_TRAINED and _gain(curve) >= WORTH:
        return (
            f"With a median of {middle:g} segments a name do not train: give them as support (opendas-evaluate "
            "classification --support train.jsonl), which moves the names' features and learns nothing."
        )
    if middle < FEW_TRAINED:
        return f"With a median of {middle:g} segments a name do not train by any method yet."
    return (
        f"By --method {method}, as the recipe of this folder says: it named most segments right on the office domain, "
        "the only one where methods were measured; opendas-compare tells on yours."
    )


def _gain(curve: Mapping[int, float]) -> float:
    """Points that labelled segments add without training."""
    return curve[max(curve)] - curve[0] if curve else 0.0


def _many(domain: Domain, curve: Mapping[int, float]) -> str:
    trained = Counter(segment.label for segment in domain.train)
    middle = statistics.median([trained[name] for name in domain.vocabulary.base])
    have = f"You have {len(domain.train):,} segments, a median of {middle:g} a name"
    flat = enough(curve)
    if not curve:
        return f"{have}; they are of one picture or group, so how much more labels would bring is not known."
    if middle < FEW_TRAINED:
        return f"{have}: label {FEW_TRAINED} or more of each name first."
    if flat is not None:
        return f"{have}; without training more than {flat} a name add less than a point, so label the rare names first."
    most = max(curve)
    return f"{have}; at {most} a name the gain without training is still rising, so more labels are worth their time."
