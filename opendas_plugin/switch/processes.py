"""The switch in processes: what a program and its children are started with, and what each reports.

Every Python child reads the switch from its environment when it starts (``site/sitecustomize.py``), and appends
lines to a file of its own in the folder of reports: that it is ready, which models it was given, and which Python it
starts, itself or by a line for a shell.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opendas_plugin.switch.switch import Switch

VARIABLE = "OPENDAS_SWITCH"
SITE = Path(__file__).parent / "site"
PACKAGE = Path(__file__).parents[2]

_PYTHON = re.compile(r"pythonw?[\d.]*(\.exe)?")  # python3-config is none
_SHELL = re.compile(r"(ba|da|k|z|a)?sh")
_BEFORE = re.compile(r"\w+=.*|-.*|[\d.]+[smhd]?|env|exec|nohup|nice|time|timeout|command|!|{", re.DOTALL)
"""What may stand before a command in a line of a shell."""
_FAR = 8
"""Generations between a process and the one that started a shell that is its ancestor."""
_KINDS = ("ready", "starts", "shells", "switched", "passed")
_TELLS = ("-V", "-VV", "--version", "-h", "-?", "--help", "--help-env", "--help-xoptions", "--help-all")


@dataclass(frozen=True)
class Orders:
    """What a child is told.

    Attributes:
        adapter: the adapter's folder.
        check: strict or warn.
        identity: nothing of the adapter is to be at work.
        features: where known programs keep features; None: in the user's cache.
        reports: the folder to report to.
    """

    adapter: str
    check: str
    identity: bool
    features: str | None
    reports: str

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """``base`` with what a child reads when it starts."""
        paths = [str(SITE), *filter(None, [base.get("PYTHONPATH")]), str(PACKAGE)]
        return {**base, VARIABLE: json.dumps(self.__dict__), "PYTHONPATH": os.pathsep.join(paths)}

    @classmethod
    def read(cls) -> Orders:
        """Those of this process.

        Raises:
            KeyError: there are none.
        """
        return cls(**json.loads(os.environ[VARIABLE]))


@dataclass(frozen=True)
class Report:
    """What all processes of a program have noted.

    Attributes:
        switched: names of models that were given with the adapter.
        passed: names of others, with the first digits of their weights' hash.
        lost: commands of Python children that never reported.
    """

    switched: list[str]
    passed: list[str]
    lost: list[str]


def start() -> None:
    """Switches the adapter of this process's orders on, for its whole life; called when Python starts."""
    from opendas_plugin.switch.calls import turn_on

    orders = Orders.read()

    @functools.cache
    def switch() -> Switch:
        from opendas_plugin.switch.switch import Switch

        logging.getLogger("opendas_plugin").setLevel(logging.INFO)
        logging.getLogger("opendas_plugin").addHandler(logging.StreamHandler(sys.stderr))
        logging.getLogger("opendas_plugin").propagate = False
        found = Switch.on(orders.adapter, orders.check, identity=orders.identity, features=orders.features)  # type: ignore[arg-type]
        found.note = lambda kind, name: note(orders, kind, name)
        return found

    turn_on(switch)
    _show_ours_in_a_line()
    watch(orders)


def _show_ours_in_a_line() -> None:
    others = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if any(base.__name__ == "OpenDASError" for base in kind.__mro__):
            sys.stderr.write(f"error: {error}\n")
        else:
            others(kind, error, trace)

    sys.excepthook = show


def watch(orders: Orders) -> None:
    """Notes that this process is ready, and which Python programs it starts."""
    note(orders, "ready", "")
    os.register_at_fork(after_in_child=lambda: note(orders, "ready", ""))

    def heed(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            command = arguments[1]
            words = command.split() if isinstance(command, str) else list(map(os.fsdecode, command))
            if words and runs_python(words):
                note(orders, "starts", " ".join(words))
            elif shell_runs_python(words):
                note(orders, "shells", " ".join(words))
        elif event == "os.system" and shell_runs_python(["sh", "-c", os.fsdecode(arguments[0])]):
            note(orders, "shells", os.fsdecode(arguments[0]))

    sys.addaudithook(heed)


def runs_python(words: Sequence[str]) -> bool:
    """Whether a command starts Python on a program; one that asks for its version or its flags loads nothing."""
    is_python = words[0] == sys.executable or _PYTHON.fullmatch(Path(words[0]).name)
    return bool(is_python) and not (len(words) > 1 and words[1] in _TELLS)


def shell_runs_python(words: Sequence[str]) -> bool:
    """Whether a command gives a shell a line in which Python runs a program, whatever comes before it.

    What stands behind ``||`` or in an ``if`` may not run, and a script of a shell is not read.
    """
    if not words or not _SHELL.fullmatch(Path(words[0]).name) or "-c" not in words[:-1]:
        return False
    try:
        parts = list(shlex.shlex(words[words.index("-c") + 1].replace("\n", ";"), posix=True, punctuation_chars=True))
    except ValueError:  # quotes that do not match
        return False
    command: list[str] = []
    for before, part in zip(["", *parts], [*parts, ";"], strict=True):
        if set(part) <= set("();|&"):
            if command and runs_python(command):
                return True
            command = ["||"] if part == "||" or (command[:1] == ["||"] and part != ";") else []
        elif command or not (_BEFORE.fullmatch(part) or before == "-u"):
            command.append(part)
    return False


def ancestors() -> list[int]:
    """The parent of this process, its parent and so on, nearest first; where Linux does not tell, the parent alone."""
    found = [os.getppid()]
    with contextlib.suppress(OSError, ValueError, IndexError):
        while found[-1] > 1 and len(found) < _FAR:
            status = Path(f"/proc/{found[-1]}/stat").read_text(encoding="utf-8", errors="replace")
            found.append(int(status.rpartition(")")[2].split()[1]))  # a name may hold spaces and brackets
    return found


def note(orders: Orders, kind: str, name: str) -> None:
    """Appends a line to this process's report."""
    line = json.dumps({"kind": kind, "name": name, "ancestors": ancestors() if kind == "ready" else []})
    with open(Path(orders.reports) / f"{os.getpid()}.jsonl", "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def read_reports(folder: Path) -> Report:
    """What the processes of a program have noted in a folder."""
    lines: dict[str, list[tuple[int, str, list[int]]]] = {kind: [] for kind in _KINDS}
    for path in sorted(folder.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            lines[line["kind"]].append((int(path.stem), line["name"], line["ancestors"]))
    ready, lost = [ancestors for _, _, ancestors in lines["ready"]], []
    for kind, far in (("starts", 1), ("shells", _FAR)):  # a shell may become the Python that it runs, our child then
        for pid, command, _ in lines[kind]:
            child = next((found for found in ready if pid in found[:far]), None)
            if child is None:
                lost.append(command)
            else:
                ready.remove(child)
    names = {kind: list(dict.fromkeys(name for _, name, _ in lines[kind])) for kind in ("switched", "passed")}
    return Report(names["switched"], names["passed"], lost)


def command_of(program: Sequence[str]) -> list[str]:
    """The words by which Python runs a program: ``-m module ...`` or a script, and its arguments."""
    return [sys.executable, *program]
