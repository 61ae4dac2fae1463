"""What a reader should know before trusting the figures: few or tiny segments, names that are not there, or are one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opendas_plugin.reports.naming import Naming
from opendas_plugin.reports.page import Notes, Section
from opendas_plugin.wording import counted, some_of

FEW_TRAINED, FEW_JUDGED, TINY = 5, 10, 32
"""Segments of a name below which it is said to be learnt, or judged, from few; and a box's longer side in pixels below
which its mask is called tiny (a CLIP of 224 pixels then sees each of them seven times enlarged)."""


def naming_notices(naming: Naming) -> list[str]:
    """What the segments of a classification are short of."""
    names, support = naming.vocabulary.names, naming.support
    unjudged = [name for name, count in zip(names, support, strict=True) if not count]
    rare = [f"{name} ({count})" for name, count in zip(names, support, strict=True) if 0 < count < FEW_JUDGED]
    sides = [max(s.box[2] - s.box[0], s.box[3] - s.box[1]) for s in naming.segments]
    tiny = sum(side < TINY for side in sides)
    found = []
    if naming.trained is not None:
        counts = {name: naming.trained.get(name, 0) for name in naming.vocabulary.base}
        few = [f"{name} ({count})" for name, count in counts.items() if count < FEW_TRAINED]
        found += [f"{_count(few)} learnt from fewer than {FEW_TRAINED} segments: {listed(few)}."] if few else []
    if rare:
        said = f"{_count(rare)} judged by fewer than {FEW_JUDGED} segments"
        found.append(f"{said}, so that their own F1 says little: {listed(rare)}.")
    found += [f"{_count(unjudged)} without a segment here: nothing is known of {listed(unjudged)}."] if unjudged else []
    if tiny:
        share = tiny / len(sides)
        said = some_of(tiny, len(sides), "mask", f"({share:.0%}) is", f"({share:.0%}) are")
        found.append(f"{said} tiny: less than {TINY} pixels wide and high.")
    if not naming.vocabulary.novel:
        found.append("No name is novel, so nothing here says what happens to names that were never labelled.")
    return found


def notice_section(logged: Iterable[str], found: Sequence[str] = ()) -> Section:
    """What the run's log warned of, and what was found beside it; each once."""
    lines = tuple(dict.fromkeys([*logged, *found]))
    return Section("Warnings", (Notes(lines, "warning") if lines else Notes(("None.",)),))


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names in a sentence, the first of many."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _count(names: Sequence[str]) -> str:
    return counted(len(names), "name is", "names are")
