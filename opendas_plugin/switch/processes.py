"""The switch in processes: what a program and its children are started with, and what each reports.

Every Python child reads the switch from its environment when it starts (``site/sitecustomize.py``), and appends
lines to a file of its own in the folder of reports: that it is ready, which models it was given, and which Python it
starts, itself or by a line for a shell. Workers of multiprocessing, which may be ended before they have begun, and what
takes a process's place (exec) are not waited for: whether they can be switched is seen where they are started.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import os
import re
import shlex
import sys
import threading
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
"""Generations between a process and the one that started it, by a shell or a command such as ``timeout``."""
_WORKER = "-c from multiprocessing."
"""How the command of a worker of multiprocessing, or of its helpers, begins behind Python's name and flags."""
_DEAF = re.compile(r"-[bBdEiIOPqsSuvx]*[EIS][bBdEiIOPqsSuvx]*")
"""Flags below which Python does not look for what switches it."""
_KINDS = ("ready", "starts", "shells", "lost", "switched", "passed")
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

    def reach(self, words: Sequence[str], environment: Mapping[Any, Any]) -> bool:
        """Whether Python with these words and in this environment reads them."""
        found = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}
        flags = itertools.takewhile(lambda word: word.startswith("-") and word not in ("-c", "-m"), words[1:])
        is_there = VARIABLE in found and str(SITE) in found.get("PYTHONPATH", "").split(os.pathsep)
        return is_there and not any(map(_DEAF.fullmatch, flags))

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
        lost: commands of Python children that were started without the switch, or never reported.
    """

    switched: list[str]
    passed: list[str]
    lost: list[str]


def start() -> None:
    """Switches the adapter of this process's orders on, for its whole life; called when Python starts."""
    from opendas_plugin.switch.calls import turn_on
    from opendas_plugin.switch.saying import say_aloud

    orders, lock = Orders.read(), threading.Lock()

    @functools.cache
    def make() -> Switch:
        from opendas_plugin.switch.switch import Switch

        logging.getLogger("opendas_plugin").setLevel(logging.INFO)
        logging.getLogger("opendas_plugin").addHandler(logging.StreamHandler(sys.stderr))
        logging.getLogger("opendas_plugin").propagate = False
        say_aloud()
        found = Switch.on(orders.adapter, orders.check, identity=orders.identity, features=orders.features)  # type: ignore[arg-type]
        found.note = lambda kind, name: note(orders, kind, name)
        return found

    def switch() -> Switch:
        with lock:  # threads that load a CLIP each share it
            return make()

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
    note(orders, "ready", " ".join(sys.orig_argv[1:]))

    def heed(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            _heed_command(orders, *arguments[:2])
        elif event == "os.system" and shell_runs_python(["sh", "-c", os.fsdecode(arguments[0])]):
            note(orders, "shells", os.fsdecode(arguments[0]))
        elif event == "os.exec" and not isinstance(arguments[0], int):
            path, words, environment = arguments
            if os.access(path, os.X_OK):  # execvp tries all folders of PATH
                words = list(map(os.fsdecode, [path, *words[1:]]))
                _heed_reach(orders, words, os.environ if environment is None else environment)
        elif event == "import" and arguments[0] == "multiprocessing.util":
            _heed_workers(orders)

    sys.addaudithook(heed)


def _heed_command(orders: Orders, executable: Any, command: Any) -> None:
    if isinstance(command, str):  # on Windows, where its parts are not known
        if runs_python(command.split()):
            note(orders, "shells", command)
        return
    words = list(map(os.fsdecode, command))
    python = python_in(words) or python_in([os.fsdecode(executable), *words[1:]])
    if python:
        note(orders, "starts", " ".join([Path(python[0]).name, *python[1:]]))
    elif shell_runs_python(words):
        note(orders, "shells", " ".join(words))


def _heed_reach(orders: Orders, words: Sequence[str], environment: Mapping[Any, Any]) -> None:
    if runs_python(words) and not orders.reach(words, environment):
        note(orders, "lost", " ".join(words))


def _heed_workers(orders: Orders) -> None:
    """Looks at the environment of workers that multiprocessing starts, which no event of Python's tells."""
    try:
        import _posixsubprocess
        import subprocess  # noqa: F401  (has taken the function as it was, and tells of its own children)
    except ImportError:  # Windows, where workers get this process's environment by other calls
        return
    own = _posixsubprocess.fork_exec

    def fork_exec(args: Any, *more: Any) -> Any:
        words = list(map(os.fsdecode, args))
        if not any("resource_tracker" in word for word in words):
            _heed_reach(orders, words, os.environ)
        return own(args, *more)

    vars(_posixsubprocess)["fork_exec"] = fork_exec


def python_in(words: Sequence[str]) -> Sequence[str]:
    """The part of a command that starts Python on a program, behind ``env``, ``nice`` and the like; else nothing.

    One that asks for its version or its flags loads nothing.
    """
    for place, word in enumerate(words):
        if not (_BEFORE.fullmatch(word) or (place and words[place - 1] == "-u")):
            is_python = word == sys.executable or _PYTHON.fullmatch(Path(word).name)
            tells = set(words[place + 1 : place + 2]) & set(_TELLS)
            return words[place:] if is_python and not tells else ()
    return ()


def runs_python(words: Sequence[str]) -> bool:
    """Whether a command starts Python on a program."""
    return bool(python_in(words))


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
    for part in [*parts, ";"]:
        if set(part) <= set("();|&"):
            if runs_python(command):
                return True
            command = ["||"] if part == "||" or (command[:1] == ["||"] and part != ";") else []
        else:
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
    """Appends a line to this process's report; nobody reads it where the program has ended before its children."""
    line = json.dumps({"kind": kind, "name": name, "ancestors": ancestors() if kind == "ready" else []})
    with (
        contextlib.suppress(FileNotFoundError),
        open(Path(orders.reports) / f"{os.getpid()}.jsonl", "a", encoding="utf-8") as file,
    ):
        file.write(f"{line}\n")


def read_reports(folder: Path) -> Report:
    """What the processes of a program have noted in a folder."""
    lines: dict[str, list[tuple[int, str, list[int]]]] = {kind: [] for kind in _KINDS}
    for path in sorted(folder.glob("*.jsonl")):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            lines[line["kind"]].append((int(path.stem), line["name"], line["ancestors"]))
    ready = [(name, far) for _, name, far in lines["ready"] if _WORKER not in name]
    lost = [command for _, command, _ in lines["lost"]]
    for kind in ("starts", "shells"):
        for pid, command, _ in lines[kind]:
            own = command.partition(" ")[2]  # who a child of a shell is, is not known
            child = next((one for one in ready if pid in one[1] and (kind == "shells" or one[0] == own)), None)
            if child is None:
                lost.append(command)
            else:
                ready.remove(child)
    names = {kind: list(dict.fromkeys(name for _, name, _ in lines[kind])) for kind in ("switched", "passed")}
    return Report(names["switched"], names["passed"], lost)


def command_of(program: Sequence[str]) -> list[str]:
    """The words by which Python runs a program: ``-m module ...`` or a script, and its arguments."""
    return [sys.executable, *program]
