"""What photos without labels were found to hold: counts, overlays, and the masks with the surest and worst names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import OpenDASError
from opendas_plugin.reports.examples import sure
from opendas_plugin.reports.figures import histogram, shortened
from opendas_plugin.reports.notices import listed
from opendas_plugin.reports.page import Block, Cell, Gallery, Picture, Section, Table
from opendas_plugin.reports.pictures import crop_uri, data_uri, in_order_of_pictures, link_to, small
from opendas_plugin.wording import counted, some_of

OVERLAYS, NAMES, EXAMPLES, DOUBTFUL = 9, 20, 3, 24
"""Photos, names, masks of a name, and the masks with the least sure names that are shown."""


@dataclass(frozen=True, eq=False)
class Found:
    """A named mask.

    Args:
        segment: its photo, mask and name.
        score: the probability of the name.
    """

    segment: Segment
    score: float


def read_parts(parts: Sequence[Path], images: Path, names: Sequence[str]) -> Iterator[Found]:
    """The named masks of photos, from the files in ``parts/``."""
    for path in parts:
        part: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        photo = images / part["file_name"]
        for mask in part["masks"]:
            yield Found(Segment(photo, mask["segmentation"], names[mask["place"]]), float(mask["score"]))


def found_section(
    names: Sequence[str], masks: Sequence[int], pixels: Sequence[int], pictures: Sequence[int], found: Sequence[Found]
) -> Section:
    """How much there is of each name, and how sure the names are.

    Args:
        names: N.
        masks, pixels, pictures: (N + 1) of each; the last without a name.
        found: all named masks.
    """
    total = max(1, sum(pixels))
    scores: dict[str, list[float]] = {}
    for one in found:
        scores.setdefault(one.segment.label, []).append(one.score)
    rows: list[tuple[int, tuple[Cell, ...]]] = []
    for name, count, area, photos in zip([*names, "(no name)"], masks, pixels, pictures, strict=True):
        mean = float(np.mean(scores[name])) if name in scores else None
        cells = (Cell(name), Cell(f"{count:,}", count), Cell(f"{photos:,}", photos))
        sure_of = Cell("-") if mean is None else Cell(f"{mean:.0%}", mean)
        rows.append((count, (*cells, Cell(f"{area / total:.1%}", area / total), sure_of)))
    columns = ("name", "masks", "photos", "share of all pixels", "mean probability")
    table = Table(columns, tuple(cells for _, cells in sorted(rows, key=lambda row: -row[0])))
    blocks: list[Block] = [table]
    if found:
        blocks.append(histogram([one.score for one in found], "probability of the name", "masks"))
    return Section("What was found", tuple(blocks))


def overlay_section(output: Path, stems: Sequence[str], page: Path) -> Section:
    """A few overlays, spread over all photos."""
    chosen = [stems[place] for place in np.unique(np.linspace(0, len(stems) - 1, OVERLAYS).round().astype(int))]
    files = [(stem, output / "overlays" / f"{stem}.jpg") for stem in chosen] if stems else []
    shown = [
        Picture(data_uri(small(read_image(file), 640)), (stem,), "", link_to(file, page))
        for stem, file in files
        if file.exists()
    ]
    caption = f"{len(shown)} of {len(stems):,} photos; all are in overlays/."
    return Section("Photos", (Gallery(tuple(shown), caption, least=300),))


def example_sections(found: Sequence[Found], page: Path) -> tuple[Section, Section]:
    """The masks that the most frequent names are surest of, and the least sure ones of all."""
    by_name: dict[str, list[Found]] = {}
    for one in found:
        by_name.setdefault(one.segment.label, []).append(one)
    frequent = sorted(by_name, key=lambda name: -len(by_name[name]))[:NAMES]
    surest = [one for name in frequent for one in sorted(by_name[name], key=lambda f: -f.score)[:EXAMPLES]]
    doubtful = sorted(found, key=lambda one: one.score)[:DOUBTFUL]
    about = "The surest masks of each name" + (f", of the {NAMES} most frequent names" if len(by_name) > NAMES else "")
    return (
        Section("Each name", (_gallery(surest, f"{about}.", page),)),
        Section("Worst guesses", (_gallery(doubtful, "The masks whose names are least sure; look here first.", page),)),
    )


def found_notices(names: Sequence[str], masks: Sequence[int], without_masks: int, photos: int) -> list[str]:
    """What to know before the names are trusted."""
    absent = [name for name, count in zip(names, masks, strict=False) if not count]
    found = ["There are no labels here, so that nothing says how many names are right; label a few photos to know."]
    found += [f"{counted(len(absent), 'name was', 'names were')} given to no mask: {listed(absent)}."] if absent else []
    found += [f"{some_of(without_masks, photos, 'photo', 'has', 'have')} no mask."] if without_masks else []
    return found


def _gallery(chosen: Sequence[Found], caption: str, page: Path) -> Gallery:
    segments = [one.segment for one in chosen]
    sources = dict[int, str]()
    for place in in_order_of_pictures(segments):
        try:
            sources[place] = crop_uri(segments[place])
        except OpenDASError:  # the photo has been moved since
            continue
    shown = [
        Picture(sources[place], (shortened(one.segment.label), sure(one.score)), "", link_to(one.segment.image, page))
        for place, one in enumerate(chosen)
        if place in sources
    ]
    return Gallery(tuple(shown), caption)
