"""The switch in processes: what a program and its children are started with, and what each reports.

Every Python child reads the switch from its environment when it starts (``site/sitecustomize.py``), and appends
lines to a file of its own in the folder of reports: that it is ready, which models it was given, and which Python it
starts.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
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

    sys.addaudithook(heed)


def runs_python(words: Sequence[str]) -> bool:
    """Whether a command starts Python on a program; one that asks for its version or its flags loads nothing."""
    is_python = words[0] == sys.executable or _PYTHON.fullmatch(Path(words[0]).name)
    return bool(is_python) and not (len(words) > 1 and words[1] in _TELLS)


def note(orders: Orders, kind: str, name: str) -> None:
    """Appends a line to this process's report."""
    line = json.dumps({"kind": kind, "name": name, "parent": os.getppid()})
    with open(Path(orders.reports) / f"{os.getpid()}.jsonl", "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def read_reports(folder: Path) -> Report:
    """What the processes of a program have noted in a folder."""
    lines: dict[str, list[tuple[int, str, int]]] = {"ready": [], "starts": [], "switched": [], "passed": []}
    for path in sorted(folder.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            lines[line["kind"]].append((int(path.stem), line["name"], line["parent"]))
    children = [parent for _, _, parent in lines["ready"]]
    lost = []
    for pid, command, _ in lines["starts"]:
        if pid in children:
            children.remove(pid)
        else:
            lost.append(command)
    names = {kind: list(dict.fromkeys(name for _, name, _ in lines[kind])) for kind in ("switched", "passed")}
    return Report(names["switched"], names["passed"], lost)


def command_of(program: Sequence[str]) -> list[str]:
    """The words by which Python runs a program: ``-m module ...`` or a script, and its arguments."""
    return [sys.executable, *program]
