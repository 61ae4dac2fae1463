"""The page of a probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from opendas_plugin.data.domain import Domain
from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Segment
from opendas_plugin.eval.probing import NearCopy, spread
from opendas_plugin.reports.facts import command_section, duration, facts_section
from opendas_plugin.reports.figures import histogram, lines
from opendas_plugin.reports.notices import notice_section
from opendas_plugin.reports.page import Block, Cell, Code, Gallery, Kind, Notes, Page, Picture, Section, Table
from opendas_plugin.reports.pictures import crop_uri, data_uri, link_to, small
from opendas_plugin.reports.scores import percent_cell
from opendas_plugin.runs.probe_result import Probed
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import REPORT
from opendas_plugin.wording import counted

_COPIES = 6


def probe_page(record: RunRecord, domain: Domain, found: Probed, backbone: str, settings: str) -> Page:
    """Makes the page."""
    facts, page = record.facts, found.output / REPORT
    images = [len({segment.image for segment in part}) for part in (domain.train, domain.val)]
    about = [
        ("backbone", backbone),
        ("data", domain.info.get("name")),
        ("training part", f"{counted(len(domain.train), 'segment')} in {counted(images[0], 'image')}"),
        ("validation part", f"{counted(len(domain.val), 'segment')} in {counted(images[1], 'image')}"),
        ("names", f"{len(domain.vocabulary.base)} base, {len(domain.vocabulary.novel)} novel"),
    ]
    kinds: dict[str, Kind] = {"fault": "bad", "note": ""}
    rows = tuple(
        (Cell(one.what), Cell(one.todo), Cell(one.kind, kind=kinds[one.kind])) for one in found.advice.findings
    )
    said: Block = (
        Table(("what", "what to do", "kind"), rows, texts=3) if rows else Notes(("Nothing was found to be wrong.",))
    )
    sections = (
        Section("Verdict", (Notes(found.advice.verdict),)),
        Section("What is wrong, and what to do", (said,)),
        facts_section(facts, about),
        _crops(found),
        _labels(found),
        _cost(found),
        _names(found),
        _counts(domain),
        _sizes(domain.train),
        _copies(found.copies, page),
        notice_section(record.warnings),
        command_section(facts, settings),
    )
    best = found.choice.accuracies[found.choice.chosen]
    figures = [("plain CLIP, training names", f"{best:.0f}%"), ("faults", str(len(found.advice.faults)))]
    figures += [] if found.cost is None else [("a training takes", duration(found.cost.seconds))]
    return Page(f"A look at {domain.info.get('name', 'the data')} before training", sections, "", tuple(figures))


def _crops(found: Probed) -> Section:
    choice = found.choice
    rows = tuple(
        (
            Cell(str(policy), kind="good" if policy == choice.chosen else ""),
            "advised" if policy == choice.chosen else "may be as good" if policy in choice.close else "worse",
            Cell(f"{accuracy:.1f} \u00b1 {spread(accuracy, choice.seen(policy)):.1f}", accuracy),
            Cell(f"{choice.seen(policy):,}", choice.seen(policy)),
        )
        for policy, accuracy in sorted(choice.accuracies.items(), key=lambda one: (-choice.seen(one[0]), -one[1]))
    )
    about = "Plain CLIP's accuracy in percent on training segments, the training names competing."
    note = (
        "Background kept or filled with the mean, expansion of the box, resizing. \u00b1: 95%. Worse: the 95% interval "
        "of the difference to the best crops, on the same segments, does not hold 0, and six answers or more differ; "
        "such crops see no more segments."
    )
    command = f"opendas-train --data ... --output-dir ... --recipe {found.recipe}"
    table = Table(("crops", "verdict", "accuracy", "segments"), rows, about, (note,), texts=2)
    return Section("Crops", (table, Code(command, "The recipe has them.")))


def _labels(found: Probed) -> Section:
    if not found.curve:
        return Section("Labels", ())
    shots = sorted(found.curve)
    chart = lines(
        [float(s) for s in shots], {"right": [found.curve[s] for s in shots]}, "labelled segments a name", "%"
    )
    rows = tuple((Cell(str(s), s), percent_cell(found.curve[s])) for s in shots)
    about = (
        "Names right in percent where so many labelled segments a name stand beside its words, on other pictures, "
        "without training. Mean over five draws."
    )
    return Section("Labels", (chart, Table(("segments a name", "right"), rows, about, texts=0)))


def _cost(found: Probed) -> Section:
    cost = found.cost
    if cost is None:
        return Section("Cost", (Notes(("The method cannot work on this backbone; see the warnings.",)),))
    rows: list[tuple[Cell | str, ...]] = [
        (f"{name} stage", Cell(f"{steps:,}", steps), Cell(f"{each:.3f}", each), duration(steps * each))
        for name, (steps, each) in cost.stages.items()
    ]
    each = Cell(f"{cost.named:,}", cost.named), Cell(f"{cost.forward:.4f}", cost.forward)
    rows.append(("naming and scoring", *each, duration(cost.named * cost.forward)))
    note = "By a few steps on this machine just now; what else runs on it counts."
    more = () if cost.memory is None else (f"GPU memory at its peak: {cost.memory:,.0f} MB.",)
    columns = ("part", "steps or segments", "seconds each", "together")
    return Section("Cost", (Table(columns, tuple(rows), notes=(note, *more)),))


def _names(found: Probed) -> Section:
    names = found.names
    if names is None:
        return Section("Names", ())
    equal: Kind = "bad"
    rows = tuple((one, other, Cell(f"{value:.6f}", value, equal)) for one, other, value in names.equal)
    rows += tuple((one, other, Cell(f"{value:.4f}", value)) for one, other, value in names.nearest)
    about = (
        "Pairs of names whose text features are nearest (red: one and the same to the text tower); all names differ in "
        f"{names.rank:.1f} directions (participation ratio)."
    )
    return Section("Names", (Table(("name", "other name", "cosine"), rows, about, texts=2),))


def _counts(domain: Domain) -> Section:
    trained, judged = (Counter(segment.label for segment in part) for part in (domain.train, domain.val))
    novel = set(domain.vocabulary.novel)
    rows = tuple(
        (
            Cell(name, kind="novel" if name in novel else "base"),
            Cell(f"{trained[name]:,}", trained[name]),
            Cell(f"{judged[name]:,}", judged[name]),
        )
        for name in sorted(domain.vocabulary.names, key=lambda name: (-trained[name], -judged[name]))
    )
    return Section("Segments of each name", (Table(("name", "training", "validation"), rows),))


def _sizes(segments: Sequence[Segment]) -> Section:
    shares = [segment.area / (segment.size[0] * segment.size[1]) for segment in segments]
    tiny = sorted(segments, key=lambda segment: segment.area)[:12]
    shown = tuple(Picture(crop_uri(one), (one.label, counted(one.area, "pixel"))) for one in tiny)
    chart: Block = histogram(shares, "share of the picture that a mask covers", "training masks")
    return Section("Sizes", (chart, Gallery(shown, "The smallest training masks.")))


def _copies(copies: Sequence[NearCopy], page: Path) -> Section:
    shown = []
    for copy in sorted(copies, key=lambda one: -one.correlation)[:_COPIES]:
        for what, picture in (("validation", copy.picture), ("training", copy.like)):
            lines_ = (f"{what}: {picture.name}", f"correlation {copy.correlation:.3f}")
            shown.append(Picture(data_uri(small(read_image(picture), 320)), lines_, "", link_to(picture, page)))
    return Section("Pictures in both parts", (Gallery(tuple(shown), "The likest pairs, validation first.", least=240),))
