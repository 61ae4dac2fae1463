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
from opendas_plugin.wording import counted, some_of

UNEVEN = 20
"""Times the median name's segments that the most frequent name may have before it is said."""
SATURATED, HARDLY, WORTH = 95.0, 10.0, 1.0
"""Percent of right names from which on there is little left to gain, where it is known as closely, and below which a
CLIP hardly knows the names; and points that are worth to be said."""


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
    return Advice(tuple(findings), _Verdict(domain, choice, curve, method, faults)())


def _of_names(names: NameLook | None, unreadable: Mapping[str, str]) -> list[Finding]:
    found = []
    if unreadable:
        todo = "shorten them, in the labels too; until then training refuses them"
        what = (
            f"{counted(len(unreadable), 'name does', 'names do')} not fit the text tower's context: "
            f"{listed([*unreadable])}"
        )
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
        what = (
            some_of(len(same), total, "validation picture", "is a training picture", "are training pictures")
            + f", too: {shown}"
        )
        todo = "take them out of one part, and prepare again: until then the scores flatter"
        found.append(Finding("fault", what, todo))
    if copies:
        pairs = listed([f"{copy.picture.name} like {copy.like.name}" for copy in copies], 5)
        what = f"{some_of(len(copies), total, 'validation picture', 'looks', 'look')} like a training picture: {pairs}"
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
    if len(base) == 1:
        todo = "label other things in the pictures, too; until then training refuses it"
        found.append(Finding("fault", f"{base[0]} is the only training name, so nothing competes with it", todo))
    if few:
        what = (
            f"{some_of(len(few), len(base), 'training name', 'has', 'have')} fewer than {FEW_TRAINED} segments: "
            f"{listed(few)}"
        )
        todo = f"label {FEW_TRAINED} or more of each, or leave the names out of the vocabulary"
        found.append(Finding("fault", what, todo))
    if rare:
        what = (
            f"{counted(len(rare), 'name has', 'names have')} fewer than {FEW_JUDGED} validation segments: "
            f"{listed(rare)}"
        )
        found.append(
            Finding("note", what, "do not read the F1 of such a name; for that, label more validation pictures")
        )
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


class _Verdict:
    """Whether to adapt, by which method, and with how many labels: three sentences that rest on the same few facts."""

    def __init__(
        self, domain: Domain, choice: CropChoice, curve: Mapping[int, float], method: str, faults: int
    ) -> None:
        self.choice, self.curve, self.method, self.faults = choice, curve, method, faults
        trained = Counter(segment.label for segment in domain.train)
        self.segments, (self.frequent, most) = len(domain.train), trained.most_common(1)[0]
        self.middle = statistics.median([trained[name] for name in domain.vocabulary.base])
        self.few = self.middle < FEW_TRAINED
        self.right = choice.accuracies[choice.chosen]
        self.blind = 100 * most / self.segments
        self.off = spread(self.right, choice.segments)
        self.unknown = len(trained) > 1 and self.right - self.off <= self.blind
        self.shots = max(curve, key=lambda count: (curve[count], -count)) if curve else 0
        self.gain = curve[self.shots] - curve[0] if curve else 0.0
        self.saturated = self.right >= SATURATED and self.off <= 100 - SATURATED
        self.helps = not self.saturated and self.gain >= WORTH
        self.elsewhere = not self.saturated and not self.helps and (self.unknown or self.right < HARDLY)

    def __call__(self) -> tuple[str, str, str]:
        """The sentences."""
        return self._whether(), self._how(), self._many()

    @property
    def _labels(self) -> str:
        return f"{self.middle:g} segment" + ("" if self.middle == 1 else "s")

    def _whether(self) -> str:
        share = f"{self.right:.0f}% (\u00b1{self.off:.0f})"
        segments = counted(self.choice.segments, "training segment")
        said = f"plain CLIP names {share} of {segments} right by the best crops"
        if self.unknown:
            said += f" (calling all of them {self.frequent} would be right for {self.blind:.0f}%)"
        if self.curve and not self.saturated:
            shots = counted(self.shots if self.helps else max(self.curve), "labelled segment")
            points = counted(round(self.gain), "point") if self.helps else "less than a point"
            said += f", and up to {shots} a name add {points} without training"
        after, advice = self._stance()
        if not self.faults:
            return f"{advice[0].upper()}{advice[1:]}: {said}."
        mend = "the fault that was found" if self.faults == 1 else f"the {self.faults} faults that were found"
        return f"First mend {mend}{after} {advice}: {said}."

    def _stance(self) -> tuple[str, str]:
        """What to do, and how that follows on the mending of faults."""
        too = ", and try another backbone, too" if self.unknown else ""
        if self.saturated:
            return ", and", "do not adapt yet, for there is little to gain"
        if self.helps:
            return ("; until then", f"use your labels without training{too}") if self.few else ("; then", f"adapt{too}")
        if self.elsewhere:
            return "; then", "try another backbone before you adapt"
        if self.few:
            return ", and", "label more before you adapt"
        return "; then", "adapting may help, which only a training tells"

    def _how(self) -> str:
        if self.few and self.helps:
            return (
                f"With a median of {self._labels} a name, give them as support (opendas-evaluate "
                "classification --support train.jsonl), which moves the names' features and learns nothing."
            )
        if self.few:
            return f"With a median of {self._labels} a name do not train by any method yet."
        begin = "If you adapt all the same, by" if self.saturated else "Then by" if self.elsewhere else "By"
        return (
            f"{begin} --method {self.method}, as the recipe of this folder says: it named most segments right on the "
            "office domain, the only one where methods were measured; opendas-compare tells on yours."
        )

    def _many(self) -> str:
        have = f"You have {counted(self.segments, 'segment')}, a median of {self.middle:g} a name"
        flat = enough(self.curve)
        if self.few:
            return f"{have}: label {FEW_TRAINED} or more of each name before you train."
        if self.saturated:
            return f"{have}: more labels have little to add."
        if not self.curve:
            return f"{have}; they are of one picture, group or name, so what more labels would bring is not known."
        if self.elsewhere:
            return f"{have}: try the other backbone on them before you label more."
        if not self.helps:
            return f"{have}: train on them before you label more."
        if flat is None and self.shots == max(self.curve):
            return (
                f"{have}; at {self.shots} a name the gain without training is still rising, so more labels are worth "
                "their time."
            )
        return (
            f"{have}; without training more than {flat or self.shots} a name add less than a point, so label the rare "
            "names first."
        )
