"""What segments show: names that changed most, pairs that are confused, the worst mistakes; all with crops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.reports.figures import confusion_chart, shortened
from opendas_plugin.reports.naming import Named, Naming
from opendas_plugin.reports.page import Block, Cell, Gallery, Kind, Notes, Picture, Section, Table
from opendas_plugin.reports.pictures import crop_uri, in_order_of_pictures, link_to, photo_uri
from opendas_plugin.reports.scores import change_cell, percent_cell
from opendas_plugin.wording import counted

NAMES, PAIRS, MISTAKES, PHOTOS = 6, 6, 24, 12
"""Names with the largest changes on each side, pairs, mistakes, and photos that are shown."""
_CROPS = 3  # of a name or a pair
_OF_PAIR, _OF_PHOTO = 3, 2  # of the worst mistakes


def sure(probability: float) -> str:
    """How sure the model is of a name."""
    return "over 99% sure" if probability > 0.99 else f"{probability:.0%} sure"


class Examples:
    """Crops of a naming's segments for a page at ``page``; each picture is decoded as often as it is needed."""

    def __init__(self, naming: Naming, page: Path) -> None:
        self.naming, self.page = naming, page
        self.names = naming.vocabulary.names

    def changes(self) -> Section:
        """The names gained and lost, with segments that turned right, and that turned wrong."""
        first, last = self.naming.first, self.naming.last
        if first is None:
            return Section("What changed most", ())
        before, now = self.naming.f1(first), self.naming.f1(last)
        change = np.nan_to_num(now - before)
        order = np.argsort(-change, kind="stable").tolist()
        blocks: list[Block] = []
        sides = ((order, "Gained", "good", 1), (order[::-1], "Lost", "bad", -1))
        for places, title, kind, sign in sides:
            chosen = [place for place in places if sign * change[place] > 0.05][:NAMES]
            rows = tuple(
                (
                    Cell(self.names[place], kind="novel" if self.naming.novel[place] else "base"),
                    percent_cell(before[place]),
                    percent_cell(now[place]),
                    change_cell(change[place]),
                    Cell(f"{self.naming.support[place]:,}", int(self.naming.support[place])),
                )
                for place in chosen
            )
            count = int((sign * change > 0.05).sum())
            columns = ("name", f"F1, {first.title}", f"F1, {last.title}", "change", "segments")
            said = f"{title}: {count} of {int((self.naming.support > 0).sum())} names"
            blocks.append(Table(columns, rows, f"{said}; the {len(chosen)} that changed most." if chosen else said))
            crops = [one for place in chosen for one in self._turned(first, last, place, sign)]
            about = "were wrong before and are right now" if sign > 0 else "were right before and are wrong now"
            blocks.append(self.gallery(crops, f"Segments of these names that {about}.", first, last, kind))  # type: ignore[arg-type]
            if not chosen:
                blocks.append(Notes((f"No name has {'gained' if sign > 0 else 'lost'}.",)))
        return Section("What changed most", tuple(blocks))

    def confusions(self) -> Section:
        """The pairs of a true and a given name that are most frequent, with crops, and the matrix."""
        last, first = self.naming.last, self.naming.first
        counts = self.naming.confusion(last)
        wrong = counts - np.diag(np.diag(counts))
        earlier = None if first is None else self.naming.confusion(first)
        flat = np.argsort(-wrong, axis=None, kind="stable")[:20]
        pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(flat, wrong.shape), strict=True) if wrong[i, j] > 0]
        columns = ["true name", "called", "segments", "share of the name"]
        columns += [] if first is None else [f"segments, {first.title}"]
        rows = tuple(self._pair(i, j, counts, earlier) for i, j in pairs)
        table = Table(
            tuple(columns), rows, f"The {len(pairs)} most frequent of {int((wrong > 0).sum())} wrong pairs.", texts=2
        )
        crops = [one for pair in pairs[:PAIRS] for one in self._of_pair(last, *pair)]
        caption = "Segments of the first of them, those that the model is surest of." if crops else ""
        chart = confusion_chart(counts, self.names, self.naming.novel.tolist(), "segments")
        return Section("Confusions", (table, self.gallery(crops, caption, None, last, "bad"), chart))

    def mistakes(self) -> Section:
        """The mistakes that the model is surest of, each with a way into its photo."""
        last = self.naming.last
        wrong = np.flatnonzero(last.places != self.naming.labels)
        if not len(wrong):
            return Section("Worst mistakes", (Notes(("Every segment got its right name.",)),))
        chosen = self._spread(last, self._surest(last, wrong))
        photos = list(dict.fromkeys(self.naming.segments[place].image for place in chosen))[:PHOTOS]
        anchors = {image: f"photo-{number}" for number, image in enumerate(photos, 1)}
        said = "surest of" if last.given is not None else "first in order"
        caption = (
            f"{counted(len(wrong), 'segment is', 'segments are')} wrong; these are what the model is {said}. Each "
            "leads to its photo."
        )
        crops = self.gallery(chosen, caption, None, last, "bad", anchors)
        shown = []
        for image in photos:
            own = [place for place in chosen if self.naming.segments[place].image == image]
            marks = {str(1 + chosen.index(place)): self.naming.segments[place].box for place in own}
            words = tuple(f"{1 + chosen.index(place)}: {self._said(last, place)}" for place in own)
            link = link_to(image, self.page)
            title = "/".join(image.parts[-3:])
            shown.append(Picture(photo_uri(image, marks), (title, *words), "", link, anchors[image]))
        about = "The photos; a click opens the file where it lies beside this page as it did."
        return Section("Worst mistakes", (crops, Gallery(tuple(shown), about, least=300)))

    def gallery(
        self,
        places: Sequence[int],
        caption: str,
        before: Named | None,
        now: Named,
        kind: Kind,
        anchors: dict[Path, str] | None = None,
    ) -> Gallery:
        """Crops of segments, with what was said of them."""
        regions = [self.naming.segments[place] for place in places]
        sources = dict[int, str]()
        for number in in_order_of_pictures(regions):
            sources[number] = crop_uri(regions[number])
        shown = []
        for number, (place, region) in enumerate(zip(places, regions, strict=True)):
            lines = [shortened(region.label)]
            lines += [] if before is None else [f"was: {self._name(before, place)}"]
            lines += [f"{'is' if before is not None else 'called'}: {self._name(now, place)}"]
            lines += [sure(now.given[place])] if now.given is not None else []
            anchor = None if anchors is None else anchors.get(region.image)
            if anchors is not None:
                lines[0] = f"{number + 1}: {lines[0]}"
            link = f"#{anchor}" if anchor else link_to(region.image, self.page)
            shown.append(Picture(sources[number], tuple(lines), kind, link))
        return Gallery(tuple(shown), caption)

    def _turned(self, first: Named, last: Named, place: int, sign: int) -> list[int]:
        """Segments of a name whose answer turned right, or wrong, the surest first."""
        was, now = (named.places == self.naming.labels for named in (first, last))
        turned = (self.naming.labels == place) & ((now & ~was) if sign > 0 else (was & ~now))
        return self._surest(last, np.flatnonzero(turned))[:_CROPS]

    def _of_pair(self, named: Named, true: int, given: int) -> list[int]:
        own = np.flatnonzero((self.naming.labels == true) & (named.places == given))
        return self._surest(named, own)[:_CROPS]

    def _surest(self, named: Named, places: NDArray[np.int64]) -> list[int]:
        """The places in the order of how much likelier the given name is than the right one."""
        if named.given is None or named.true is None:
            return [int(place) for place in places]
        lead = named.given[places] - named.true[places]
        return [int(place) for place in places[np.argsort(-lead, kind="stable")]]

    def _spread(self, named: Named, places: Sequence[int]) -> list[int]:
        """The first of them, of each pair of names and of each photo a few alone, so that many kinds are seen."""
        chosen, seen = list[int](), Counter[object]()
        for place in places:
            pair, image = (self.naming.labels[place], named.places[place]), self.naming.segments[place].image
            if len(chosen) < MISTAKES and seen[pair] < _OF_PAIR and seen[image] < _OF_PHOTO:
                chosen.append(place)
                seen.update((pair, image))
        return chosen

    def _pair(
        self, true: int, given: int, counts: NDArray[np.int64], earlier: NDArray[np.int64] | None
    ) -> tuple[Cell | str, ...]:
        kinds: list[Kind] = ["novel" if self.naming.novel[place] else "base" for place in (true, given)]
        number, share = int(counts[true, given]), counts[true, given] / max(1, counts[true].sum())
        cells: list[Cell | str] = [Cell(self.names[true], kind=kinds[0]), Cell(self.names[given], kind=kinds[1])]
        cells += [Cell(f"{number:,}", number), Cell(f"{share:.0%}", float(share))]
        if earlier is not None:
            cells.append(Cell(f"{earlier[true, given]:,}", int(earlier[true, given])))
        return tuple(cells)

    def _said(self, named: Named, place: int) -> str:
        return f"{shortened(self.naming.segments[place].label)}, called {self._name(named, place)}"

    def _name(self, named: Named, place: int) -> str:
        return shortened(self.names[int(named.places[place])])
