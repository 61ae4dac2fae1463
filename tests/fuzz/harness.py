"""Tries a mutation on a target's inputs, and says what is wrong with how the call ends."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import oracles
from tests.fuzz.mutations import Mutation, harmless, mutations, remove
from tests.fuzz.server import Outcome, Server
from tests.fuzz.targets import TARGETS

LONGEST = 1000  # characters of a sentence


@dataclass(frozen=True)
class Problem:
    """What is wrong, and by which input: ``python -m tests.fuzz.again`` runs it again."""

    target: str
    mutations: tuple[Mutation, ...]
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.target}: {self.kind}: {self.detail[:400]}\n    {self.mutations!r}"


@dataclass
class Tried:
    """What became of the inputs of a target."""

    done: int = 0
    accepted: int = 0
    checked: int = 0
    problems: list[Problem] = field(default_factory=list)


class Fuzzer:
    """A target's valid inputs, with their figures, in a folder; and the server that runs its calls."""

    def __init__(self, name: str, folder: Path, server: Server) -> None:
        self.name, self.target, self.server = name, TARGETS[name], server
        self.valid, self.work = folder / "valid", folder / "work"
        (self.valid / "in").mkdir(parents=True)
        self.target.make(self.valid / "in")
        self.files = sorted(
            path.relative_to(self.valid / "in").as_posix() for path in (self.valid / "in").rglob("*") if path.is_file()
        )
        outcome = self._run(self.valid)
        if outcome.code:
            raise RuntimeError(f"{name}: the valid inputs end with {outcome.code}: {outcome.stderr}")
        self.figures = self.target.figures(self.valid)
        self.old = self._snapshot(self.valid)
        self.tried = Tried()

    def strategy(self) -> st.SearchStrategy:
        """One mutation mostly, sometimes two; and whether an older output is there."""
        one = mutations(self.valid / "in", self.files)
        return st.tuples(st.lists(one, min_size=1, max_size=2).map(tuple), st.booleans())

    def __call__(self, changes: tuple[Mutation, ...], old: bool) -> list[Problem]:
        """Tries the mutations; returns what is wrong."""
        target = self.target
        remove(self.work)
        shutil.copytree(self.valid / "in", self.work / "in", symlinks=True)
        if old:
            for name in (target.output, *target.keeps):
                self._copy(name)
        elif target.output.startswith("in/"):
            (self.work / target.output).unlink()
        applied = []
        for change in changes:
            try:
                change.apply(self.work / "in")
                applied.append(change)
            except (OSError, ValueError, LookupError, ArithmeticError, TypeError, SyntaxError, RecursionError):
                pass  # a first mutation leaves nothing for the second
        before = self._snapshot(self.work)
        outcome = self._run(self.work)
        found = self._problems(tuple(applied), outcome, before)
        self.tried.done += 1
        self.tried.accepted += outcome.code == 0
        self.tried.problems += found
        return found

    def _run(self, folder: Path) -> Outcome:
        return self.server.run(self.target.command, list(self.target.argv), folder)

    def _copy(self, name: str) -> None:
        source = self.valid / name
        if source.is_dir():
            shutil.copytree(source, self.work / name, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copy(source, self.work / name)

    def _snapshot(self, folder: Path) -> dict[str, bytes]:
        """The files of the output, by path from ``folder``."""
        root = folder / (self.target.whole or self.target.output)
        paths = [root] if root.is_file() else sorted(root.rglob("*")) if root.is_dir() else []
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}

    def _problems(self, changes: tuple[Mutation, ...], outcome: Outcome, before: dict[str, bytes]) -> list[Problem]:
        found: list[tuple[str, str]] = []
        error = outcome.stderr
        if outcome.hung:
            found.append(("hung", error))
        elif outcome.code < 0 or outcome.code in (70, 99):
            found.append((f"ended by {outcome.code}", error[-400:]))
        elif outcome.code == 0:
            found += self._figures(changes)
        else:
            found += self._sentence(outcome)
            if self._snapshot(self.work) != before:
                found.append(("half-written", str(sorted(set(self._snapshot(self.work)) ^ set(before)) or "changed")))
        if "Traceback" in error and not any(kind.startswith("ended") for kind, _ in found):
            found.append(("traceback", error[-400:]))
        left = [path.name for path in self.work.rglob(".*") if path.name.endswith((".tmp", ".old", ".partial"))]
        if left:
            found.append(("left behind", str(left)))
        return [Problem(self.name, changes, kind, detail) for kind, detail in found]

    def _sentence(self, outcome: Outcome) -> list[tuple[str, str]]:
        lines = outcome.stderr.splitlines()
        said = [line for line in lines if line.startswith("error: ")]
        if outcome.code not in (1, 2) or len(said) != 1 or lines[-1] != said[0]:
            return [("no sentence", f"exit {outcome.code}: {outcome.stderr[-400:]}")]
        if "(unexpected" in said[0]:
            return [("unexpected", said[0])]
        if len(said[0]) > LONGEST:
            return [("long sentence", f"{len(said[0])} characters: {said[0][:200]}")]
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in said[0]):
            return [("control characters", repr(said[0]))]
        return []

    def _figures(self, changes: tuple[Mutation, ...]) -> list[tuple[str, str]]:
        try:
            figures = self.target.figures(self.work)
        except Exception as error:  # noqa: BLE001 - whatever the output is, it is wrong
            return [("wrong output", f"{type(error).__name__}: {error}")]
        if all(harmless(change, Path(change.file)) for change in changes):
            self.tried.checked += 1
            if not same(figures, self.figures):
                return [("harmless mutation, other figures", f"{figures} for {self.figures}"[:400])]
        if self.target.expected is None:
            return []
        try:
            expected = self.target.expected(self.work)
        except Exception as error:  # noqa: BLE001 - whatever it stumbles over
            return [("taken, but the reference refuses", f"{type(error).__name__}: {error}")]
        self.tried.checked += 1
        given = oracles.pooled(self.work) if self.target.command == "prepare" else figures
        if not self._agrees(given, expected):
            return [("wrong figures", f"{given} for {expected}")]
        return []

    def _agrees(self, given: Any, expected: Any) -> bool:
        if self.name != "folders":
            return same(given, expected)
        novel = set(json.loads((self.work / "out" / "vocabulary.json").read_text())["novel"])
        return same([item for item in given if item[1] not in novel], expected)


def same(one: Any, two: Any) -> bool:
    """Whether figures are the same, numbers to 1e-4."""
    if isinstance(one, float | int) and isinstance(two, float | int):
        return math.isclose(one, two, abs_tol=1e-4)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return one == two
