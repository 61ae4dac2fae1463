"""``opendas-reproduce --merge``: several people's reproductions on one page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.tables import Table
from opendas_plugin.files import read_json, write_json, write_text
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reproduce.results import TITLES, Measured
from opendas_plugin.runs.run import Run, function_of
from opendas_plugin.wording import counted

if TYPE_CHECKING:
    from opendas_plugin.runs.reproduce.document import Document

Key = tuple[str, str, str, str, str]
"""Step, row, data, figure, and what decides over it: rows of another kind are never averaged."""


@dataclass(frozen=True)
class Merge(Run[str]):
    """Joins several people's reproduction.json: everybody's figures, their mean and spread, beside the paper's."""

    merge: tuple[Path, ...]
    """The files, two or more."""
    _: KW_ONLY
    output: Path = Path("merged")
    """Folder for merged.json and merged.md."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if len(self.merge) < 2:
            raise ConfigError(f"`merge` joins two files or more, got {len(self.merge)}")

    def work(self, record: RunRecord) -> str:
        """Joins the files and returns the page."""
        documents = read_all(self.merge)
        joined = join(documents)
        write_json(
            self.output / "merged.json", {"made": [dict(one.made) for one in documents.values()], "rows": joined}
        )
        page = markdown(documents, joined)
        write_text(self.output / "merged.md", page)
        record.write(self.output)
        return page


merge = function_of(Merge, "merge")


def read_all(paths: tuple[Path, ...]) -> dict[str, Document]:
    """The documents by a letter, A and on.

    Raises:
        ConfigError: one is there twice, or a rehearsal stands beside a reproduction.
        DataError: as :meth:`Document.from_json`.
    """
    from opendas_plugin.runs.reproduce.document import Document

    found: dict[str, Document] = {}
    seen: dict[str, Path] = {}
    for number, path in enumerate(paths):
        content = read_json(path)
        document = Document.from_json(content, path)
        digest = content["digest"]
        if digest in seen:
            raise ConfigError(f"{path} and {seen[digest]} are the same reproduction; give each once")
        seen[digest] = path
        found[f"{chr(65 + number % 26)}{number // 26 or ''}"] = document
    kinds = {letter: document.is_rehearsal for letter, document in found.items()}
    if len(set(kinds.values())) > 1:
        odd = paths[list(kinds.values()).index(True)]
        raise ConfigError(f"{odd} is a rehearsal on random weights, and others are not; leave it out")
    return found


def join(documents: Mapping[str, Document]) -> list[dict[str, Any]]:
    """A row for each figure: everybody's, mean, lowest and highest, and the paper's."""
    found: dict[Key, dict[str, Measured]] = {}
    why: dict[Key, str] = {}
    for letter, document in documents.items():
        for step, row in document.rows():
            for metric, one in row.figures.items():
                key = (step, row.title, row.data, metric, _decisive(document, row.about))
                found.setdefault(key, {})[letter] = one
                why[key] = why.get(key) or row.why_not
    rows = []
    for key, of in found.items():
        values = [one.ours for one in of.values()]
        mean, papers = math.fsum(values) / len(values), [one.paper for one in of.values() if one.paper is not None]
        rows.append({
            **dict(zip(("step", "title", "data", "figure", "how"), key, strict=True)),
            "ours": {letter: one.ours for letter, one in of.items()},
            "mean": round(mean, 4), "lowest": min(values), "highest": max(values),
            "paper": papers[0] if papers else None,
            "difference": round(mean - papers[0], 4) if papers else None,
            "not_comparable": why[key],
        })  # fmt: skip
    return rows


def markdown(documents: Mapping[str, Document], rows: list[dict[str, Any]]) -> str:
    """The page."""
    rehearsed = any(document.is_rehearsal for document in documents.values())  # then all are
    what = "rehearsal" if rehearsed else "reproduction"
    lines = [f"# {counted(len(documents), what)} of OpenDAS", ""]
    if rehearsed:
        lines += ["Random weights on made-up data: no figure means anything.", ""]
    lines += [f"- {letter}: {_about(document)}" for letter, document in documents.items()]
    shared = [row for row in rows if len(row["ours"]) > 1]
    widest = max(shared, key=lambda row: row["highest"] - row["lowest"], default=None)
    if widest is not None:
        spread = widest["highest"] - widest["lowest"]
        which = f"{TITLES[widest['figure']]} of {widest['title']} on {widest['data']}"
        agree = f"they agree to {spread:.1f} points, the widest being {which}"
        lines += [
            "",
            f"{counted(len(shared), 'figure was', 'figures were')} measured by more than one in the same way; {agree}.",
        ]
    else:
        lines += ["", "No figure was measured by more than one in the same way."]
    for step in dict.fromkeys(row["step"] for row in rows):
        columns = ("row", "data", "figure", "how", *documents, "mean", "paper", "difference")
        cells = [_cells(row, documents) for row in rows if row["step"] == step]
        lines += ["", f"## {step}", "", Table("", columns, tuple(cells)).markdown().strip()]
    return "\n".join([*lines, ""])


def _cells(row: Mapping[str, Any], documents: Mapping[str, Document]) -> tuple[str, ...]:
    each = tuple(f"{row['ours'][letter]:.1f}" if letter in row["ours"] else "-" for letter in documents)
    paper, difference = row["paper"], row["difference"]
    shown = "-" if difference is None else f"({difference:+.1f})" if row["not_comparable"] else f"{difference:+.1f}"
    published = "-" if paper is None else f"{paper:.1f}"
    return (row["title"], row["data"], TITLES[row["figure"]], row["how"], *each, f"{row['mean']:.1f}", published, shown)


def _decisive(document: Document, about: Mapping[str, Any]) -> str:
    """What decides over a row's figures, so that others are apart: tier, backbone, crops, splits and the like."""
    names = ("backbone", "crops", "crops by", "splits", "seeds", "segments", "scenes")
    return ", ".join([str(document.made.get("tier")), *(f"{name} {about[name]}" for name in names if about.get(name))])


def _about(document: Document) -> str:
    made = document.made
    device, steps = made.get("gpu") or made.get("device"), ", ".join(document.steps)
    return f"tier {made.get('tier')}, {device}, {made.get('started')}, {steps}"
