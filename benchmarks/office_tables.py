"""The tables of docs/office-bench.md, over all towers, from the files of their rows.

Each table of the document is made again in its place; its head stays. ``git diff`` shows what has changed.

    python benchmarks/office_tables.py --data runs/data/office-bench-v2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import tyro

from opendas_plugin.eval.intervals import Interval, interval
from opendas_plugin.files import read_json, write_text
from opendas_plugin.runs.bench_rows import Block, rows_of
from opendas_plugin.runs.bench_tables import COMPARED, REFERENCE, Judged, Line, compared, lines_of

Key: TypeAlias = tuple[Block, str]
"""A block, and the title of a line in it."""

TOWERS = ("office-tiny", "office-tiny-b", "office-tiny-c")
WORDS: Mapping[str, str] = {
    "zero_shot": "plain CLIP",
    "opendas, own names": "`opendas`, both stages, own related names",
    "opendas, own names, visual stage alone": "`opendas`, visual stage alone",
    "opendas, own names, novel ones among them": "`opendas`, both stages, own related names, novel ones among them",
    "opendas, cross-entropy alone": "`opendas`, both stages, cross-entropy alone",
    "opendas, training names": "`opendas`, both stages, training names",
}
"""Titles that the document puts otherwise."""
SEGMENTS = {"one segment a name": "one segment of each name", "five segments a name": "five segments of each name"}


def _published(title: str) -> Key:
    return ("published", title)


def _tuned(title: str) -> Key:
    return ("tuned", title)


def _beside(title: str) -> Key:
    return ("tuned", f"{title}, five segments a name")


ZERO, OWN = _published("zero_shot"), _published(REFERENCE["published"])
PUBLISHED: Mapping[str, tuple[Key, Key]] = {
    "`opendas` less plain CLIP": (OWN, ZERO),
    "both stages less the visual one": (OWN, _published("opendas, own names, visual stage alone")),
    "triplet loss less cross-entropy alone": (OWN, _published("opendas, cross-entropy alone")),
    "related names of its own less training names": (OWN, _published("opendas, training names")),
    "novel names among the related ones less without them": (
        _published("opendas, own names, novel ones among them"),
        OWN,
    ),
    **{
        f"`opendas` less `{rival}`": (OWN, _published(rival))
        for rival in ("vpt", "rpo", "maple", "cocoop", "promptsrc", "wise_ft_image", "wise_ft_text")
    },
    **{
        f"`{rival}` less plain CLIP": (_published(rival), ZERO)
        for rival in ("wise_ft_image", "wise_ft_text", "promptsrc", "rpo")
    },
}
"""Differences of published rows."""

PLAIN, TOKENS, NORMS, PLUS = (_tuned(title) for title in ("zero_shot", "opendas", "ln_bias", "opendas_plus"))
RIVALS = (
    "vpt", "rpo", "maple", "cocoop", "promptsrc", "wise_ft_image", "wise_ft_text",
    "mmlop", "dor", "lora", "mlmp", "ln_bias_plus", "opendas_plus_mlmp", "opendas_joint",
)  # fmt: skip

TUNED: Mapping[str, tuple[Key, Key]] = {
    "`ln_bias` less plain CLIP": (NORMS, PLAIN),
    "`opendas_plus` less plain CLIP": (PLUS, PLAIN),
    "`opendas` less plain CLIP": (TOKENS, PLAIN),
    "`opendas`, tuned less published": (TOKENS, OWN),
    "both stages less the visual one, `opendas`": (TOKENS, _tuned("opendas, visual stage alone")),
    "`ln_bias` less `opendas`": (NORMS, TOKENS),
    "`opendas_plus` less `opendas`": (PLUS, TOKENS),
    "`opendas_plus` less `ln_bias`": (PLUS, NORMS),
    **{
        words: pair
        for rival in RIVALS
        for words, pair in {
            f"`{rival}` less plain CLIP": (_tuned(rival), PLAIN),
            f"`opendas` less `{rival}`": (TOKENS, _tuned(rival)),
            f"`ln_bias` less `{rival}`": (NORMS, _tuned(rival)),
        }.items()
    },
    "five segments beside words less words, plain CLIP": (_beside("zero_shot"), PLAIN),
    "five segments beside words less words, `ln_bias`": (_beside("ln_bias"), NORMS),
    "five segments beside words less words, `opendas`": (_beside("opendas"), TOKENS),
    "five segments beside words less words, `opendas_plus`": (_beside("opendas_plus"), PLUS),
    "five segments beside words, plain CLIP, less `ln_bias`": (_beside("zero_shot"), NORMS),
    **{
        f"`{one[1]}` less `{rival}` as published": (one, _published(rival))
        for rival in ("promptsrc", "rpo", "wise_ft_image")
        for one in (TOKENS, NORMS)
    },
    "`ln_bias` less `opendas` as published": (NORMS, OWN),
    "calibrated less `ln_bias`": (_tuned("ln_bias, calibrated"), NORMS),
    "a share of the features less all, `opendas`": (_tuned("opendas, a share of its features"), TOKENS),
    "a share of the weights less all, `ln_bias`": (_tuned("ln_bias, a share of its weights"), NORMS),
}
"""Differences of tuned rows."""


PAPER = ("vpt", "cocoop", "rpo", "maple", "wise_ft_text", "wise_ft_image", "promptsrc")
CLAIMS: Mapping[str, Mapping[str, Mapping[Block, tuple[Key, Key]]]] = {
    "`opendas`": {
        "plain CLIP": {"published": (OWN, ZERO), "tuned": (TOKENS, PLAIN)},
        **{f"`{one}`": {"published": (OWN, _published(one)), "tuned": (TOKENS, _tuned(one))} for one in PAPER},
        "itself, visual stage alone": {
            "published": (OWN, _published("opendas, own names, visual stage alone")),
            "tuned": (TOKENS, _tuned("opendas, visual stage alone")),
        },
        "itself, cross-entropy alone": {"published": (OWN, _published("opendas, cross-entropy alone"))},
    },
    "`ln_bias`": {
        "plain CLIP": {"tuned": (NORMS, PLAIN)},
        **{f"`{one}`": {"tuned": (NORMS, _tuned(one))} for one in ("opendas", *PAPER, "lora", "mmlop", "dor", "mlmp")},
    },
    "`opendas_plus`": {
        "plain CLIP": {"tuned": (PLUS, PLAIN)},
        **{f"`{one}`": {"tuned": (PLUS, _tuned(one))} for one in ("opendas", "ln_bias")},
    },
}
"""Row -> what it is said to be above -> block -> the two rows that tell."""
SIGNS = {">": "+", "<": "\N{MINUS SIGN}", "open": "·"}


@dataclass(frozen=True)
class Options:
    """Where all lies."""

    data: Path
    """Folder that opendas-prepare office-bench-v2 wrote."""
    results: Path = Path("docs/results/office-bench-v2")
    """Folder with the rows of each tower."""
    document: Path = Path("docs/office-bench.md")
    """The page whose tables are made again."""


@dataclass(frozen=True)
class Tables:
    """The lines of the document's tables."""

    options: Options

    @cached_property
    def judged(self) -> Judged:
        """What all rows are judged on."""
        return Judged.of(self.options.data)

    @cached_property
    def lines(self) -> Mapping[tuple[str, Key], Line]:
        """Tower and row -> what is known of it."""
        return {
            (tower, (block, line.title)): line
            for tower in TOWERS
            for block in ("published", "tuned")
            for line in lines_of(self.options.results / tower / block, block)
        }

    def claims(self) -> Iterator[str]:
        """A line a claim: for each block and tower the signs of the differences in W, B and N."""
        for subject, others in CLAIMS.items():
            for other, pairs in others.items():
                cells = [self._signs(tower, pairs.get(block)) for block in ("published", "tuned") for tower in TOWERS]
                if any(cells):
                    yield _row([f"{subject} above {other}", *cells])

    def _signs(self, tower: str, pair: tuple[Key, Key] | None) -> str:
        mine, theirs = (None, None) if pair is None else (self.lines.get((tower, row)) for row in pair)
        if mine is None or theirs is None:
            return ""
        found = (compared(metric, mine, theirs, self.judged) for metric in COMPARED)
        return " ".join("" if one is None else SIGNS[one.sign] for one in found)

    def figures(self, block: Block) -> Iterator[str]:
        """A line a row and tower; of tuned rows also how many values they learn, and the setting that was chosen."""
        titles = [title for (_, (of, title)) in self.lines if of == block]
        order = {row.title: place for place, row in enumerate(rows_of(block))}
        for title in sorted(dict.fromkeys(titles), key=lambda one: order.get(one.split(", visual stage")[0], -1)):
            first = True
            for tower in TOWERS:
                line = self.lines.get((tower, (block, title)))
                if line is None:
                    continue
                cells = [words_of(title) if first else ""]
                if block == "tuned":
                    cells += [f"{line.values:,}" if first else ""]
                cells += [f"`{tower}`", *(self._figure(line, metric) for metric in COMPARED)]
                if block == "tuned":
                    cells += [self._setting(tower, line)]
                yield _row(cells)
                first = False

    def differences(self, pairs: Mapping[str, tuple[Key, Key]]) -> Iterator[str]:
        """A line a pair of rows and tower that has both."""
        for words, (one, other) in pairs.items():
            first = True
            for tower in TOWERS:
                mine, theirs = self.lines.get((tower, one)), self.lines.get((tower, other))
                if mine is None or theirs is None:
                    continue
                found = (compared(metric, mine, theirs, self.judged) for metric in COMPARED)
                yield _row([words if first else "", f"`{tower}`", *map(_difference, found)])
                first = False

    def _figure(self, line: Line, metric: str) -> str:
        found = interval(metric, self.judged.labels, self.judged.rooms, line.folds)  # type: ignore[arg-type]
        return "-" if found is None else f"{found.value:.1f}"

    def _setting(self, tower: str, line: Line) -> str:
        whole = line.stage == list(line.scored.found)[-1]
        row = next((row for row in rows_of("tuned") if row.title == line.title), None)
        if not whole or row is None or not row.settings:
            return ""
        path = row.file(self.options.results / tower / "tuned").with_suffix(".choice.json")
        return f"`{read_json(path)['chosen']}`"


def words_of(title: str) -> str:
    """A row's title as the document has it."""
    if title in WORDS:
        return WORDS[title]
    method, _, rest = title.partition(", ")
    name = WORDS.get(method, f"`{method}`")
    return f"{name}, {SEGMENTS.get(rest, rest)}" if rest else name


def replaced(text: str, tables: Sequence[tuple[str, Sequence[str]]]) -> str:
    """The document with the rows of some tables, each by what its head begins with, in their order, replaced."""
    found, rest = [], text.split("\n")
    for begin, rows in tables:
        head = next(place for place, line in enumerate(rest) if line.startswith(begin))
        end = next(place for place in range(head, len(rest)) if not rest[place].startswith("|"))
        found += [*rest[: head + 2], *rows]
        rest = rest[end:]
    return "\n".join([*found, *rest])


def _row(cells: Sequence[str]) -> str:
    return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"


def _difference(found: Interval | None) -> str:
    if found is None:
        return "-"
    words = f"{found.value:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"
    return words if found.sign == "open" else f"**{words}**"


def main(options: Options) -> None:
    """Makes the document's tables again."""
    tables = Tables(options)
    rows = [
        ("| claim |", list(tables.claims())),
        ("| row |", list(tables.figures("published"))),
        ("| difference |", list(tables.differences(PUBLISHED))),
        ("| row |", list(tables.figures("tuned"))),
        ("| difference |", list(tables.differences(TUNED))),
    ]
    write_text(options.document, replaced(options.document.read_text("utf-8"), rows))


if __name__ == "__main__":
    main(tyro.cli(Options))
