"""The folds of office-bench-v2: every name is novel in turn, once in each partition of the names.

A partition cuts the names into three; a fold takes one third as novel and learns from segments of the others. Two
partitions are judged on the test rooms, the third, for choosing, on the tune rooms.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path

import numpy as np

from opendas_plugin.data.building import hold_out
from opendas_plugin.data.domain import NEGATIVES, Domain, load_domain
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.negatives.database import NAMES_PER_CLASS, Negative, NegativeDatabase
from opendas_plugin.office.bench import DIGITS, PARTS, V2, Part
from opendas_plugin.vocabulary import Vocabulary

FOLDS = "folds"
"""The folder of the folds, beside those of the parts."""
CHOOSING = "choose"
"""The partition to choose settings by."""
THIRDS = 3
SOURCE = "hand"
FEWEST = 5
"""Training segments that every base name has in a fold, if there are as many."""
WITHOUT_NOVEL = "negatives_without_novel.json"
"""Beside a fold's own related names, of which some are its novel names, those without them."""


@dataclass(frozen=True)
class OfficeFold:
    """A fold.

    Args:
        partition: ``1``, ``2`` or ``choose``.
        third: which third of the names is novel, from 0.
        novel: the novel names.
    """

    partition: str
    third: int
    novel: tuple[str, ...]

    @property
    def key(self) -> str:
        """Its folder's name, such as ``1-0``."""
        return f"{self.partition}-{self.third}"

    @property
    def part(self) -> Part:
        """The part of the benchmark whose rooms it is judged on."""
        return "tune" if self.partition == CHOOSING else "test"

    def of(self, domain: Domain) -> Domain:
        """The fold of a part of the benchmark: its scored names, and as many training segments as are learnt from.

        Raises:
            DataError: no training segment is left.
        """
        names, frozen = set(scored_names()), V2.frozen
        vocabulary = Vocabulary(scored_names(), (), domain.vocabulary.template)
        train, val = ([s for s in segments if s.label in names] for segments in (domain.train, domain.val))
        whole = hold_out(replace(domain, train=train, val=val, vocabulary=vocabulary, negatives=None), self.novel)
        segments = _drawn(whole.train, frozen["train_segments"], frozen["seed"])
        info = {**whole.info, "name": f"{V2.name}, fold {self.key}", "kept": {"train": len(segments), "val": len(val)}}
        return replace(whole, train=segments, info=info)

    def check(self, folder: Path, domain: Domain) -> None:
        """Looks whether ``folder`` holds this fold of a part of the benchmark.

        Args:
            folder: the fold's.
            domain: the part, whose masks the fold has.

        Raises:
            DataError: it holds something else.
        """
        found, frozen = fold_digest(folder), V2.frozen["folds"].get(self.key)
        if found == frozen and _masks(load_domain(folder, same_pictures=False)) == _masks(self.of(domain)):
            return
        what = "masks are not those of the part" if found == frozen else f"checksum is {found}, that of it {frozen}"
        raise DataError(
            f"{folder} is not fold {self.key} of {V2.name}: its {what}; remove the folder, to have it made again"
        )


def check_data(folder: Path) -> str:
    """Says of a folder with all parts and folds which benchmark it is, as :meth:`~.bench.Bench.check` does.

    Raises:
        MissingFileError: a part or fold is missing.
        DataError: it is not the benchmark; the message has what differs.
    """
    verdict = V2.check(folder)
    parts = {part: load_domain(folder / part, same_pictures=False) for part in PARTS}
    for fold in folds():
        fold.check(folder / FOLDS / fold.key, parts[fold.part])
    return verdict


def _masks(domain: Domain) -> list[str]:
    return [segment.rle["counts"] for segment in (*domain.train, *domain.val)]


def _drawn(segments: Sequence[Segment], count: int, seed: int) -> list[Segment]:
    """As many segments in their order: of each name the first few of a random order, then the first of all others."""
    order = np.random.default_rng(seed).permutation(len(segments))
    seen: Counter[str] = Counter()
    few, others = list[int](), list[int]()
    for row in order:
        seen[segments[row].label] += 1
        (few if seen[segments[row].label] <= FEWEST else others).append(int(row))
    return [segments[row] for row in sorted([*few, *others][:count])]


def fold_digest(folder: Path) -> str:
    """The first digits of the SHA-256 over a fold's segments, names and related names; masks are no part of it."""
    domain = load_domain(folder, same_pictures=False)
    vocabulary = domain.vocabulary
    parts = [json.dumps([vocabulary.names, vocabulary.novel, vocabulary.template])]
    for segments in (domain.train, domain.val):
        parts += [f"{s.group} {s.image.name} {s.label}" for s in segments]
    parts += [NegativeDatabase.load(folder / name).digest() for name in (NEGATIVES, WITHOUT_NOVEL)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:DIGITS]


def folds(partitions: Sequence[str] | None = None) -> list[OfficeFold]:
    """The folds of some partitions, in order; default: of all."""
    found: Mapping[str, Sequence[Sequence[str]]] = V2.frozen["partitions"]
    chosen = found if partitions is None else partitions
    return [OfficeFold(name, third, tuple(novel)) for name in chosen for third, novel in enumerate(found[name])]


def scored_names() -> tuple[str, ...]:
    """The names that have enough segments in the test rooms; things of the others stand there unlabelled."""
    return tuple(V2.frozen["scored"])


def draw_partition(f1: Mapping[str, float], seed: int) -> list[list[str]]:
    """Cuts names into thirds that are alike in how well plain CLIP knows them and in how many share a word.

    Args:
        f1: name -> F1 of plain CLIP.
        seed: of the draw.

    Returns:
        Three lists of names, each in the order of ``f1``.
    """
    words = {name: set(name.split()) for name in f1}
    shares = {name: any(own & words[other] for other in f1 if other != name) for name, own in words.items()}
    order = sorted(f1, key=lambda name: (shares[name], f1[name]))
    rng, thirds = np.random.default_rng([20, seed]), [set[str]() for _ in range(THIRDS)]
    for start in range(0, len(order), THIRDS):
        for name, third in zip(order[start : start + THIRDS], rng.permutation(THIRDS), strict=False):
            thirds[third].add(name)
    return [[name for name in f1 if name in third] for third in thirds]


def related_names(vocabulary: Vocabulary, *, novel: bool) -> NegativeDatabase:
    """Five related names of each base name of a fold, none of them a base name.

    They were written by hand as a language model would: for each of the 148 kinds five other kinds and five things
    that are none, taken in turn.

    Args:
        vocabulary: of the fold.
        novel: whether novel names of the fold may be among them.
    """
    base, entries = set(vocabulary.base), {}
    for name in vocabulary.base:
        kinds, others = _written()[name]["kinds"], _written()[name]["others"]
        found = [n for n in chain(*zip(kinds, others, strict=False), others) if n not in base] if novel else others
        entries[name] = tuple(Negative(n, SOURCE) for n in dict.fromkeys(found))[:NAMES_PER_CLASS]
    return NegativeDatabase(entries)


@cache
def _written() -> Mapping[str, Mapping[str, Sequence[str]]]:
    return json.loads((files("opendas_plugin.office") / "related_all.json").read_text("utf-8"))
