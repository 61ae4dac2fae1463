"""``run.json``: what a run was made with, beside its results."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import logging
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opendas_plugin.files import require_writable, write_json
from opendas_plugin.version import __version__


class RunRecord:
    """What a run was made with; :meth:`write` leaves it as ``run.json`` beside the results."""

    def __init__(self, config: Any, *, command: str | None = None, seed: int | None = None) -> None:
        """Notes the time.

        Args:
            config: the run's settings, a dataclass.
            command: the command line; None: the run was called from Python.
            seed: of the run, where it has one.
        """
        self._start = time.monotonic()
        self._facts = {
            "command": command,
            "directory": str(Path.cwd()),  # which the paths are relative to
            "config": plain(config),
            "seed": seed,
            "versions": _versions(),
            "git": _git_hash(),
            "host": platform.node(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        self.warnings: list[str] = []
        self.begun: Path | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What ``run.json`` would hold now."""
        return {**self._facts, "wall_time": round(time.monotonic() - self._start, 3)}

    def begin(self, folder: str | Path) -> None:
        """Notes that the run writes into a folder from now on, so that what stops it may be said there.

        Raises:
            OutputError: the folder cannot be made or written.
        """
        require_writable(folder)
        self.begun = Path(folder)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Keeps what the package's log warns of meanwhile in ``warnings``."""
        ear, log = _Ear(self.warnings), logging.getLogger("opendas_plugin")
        log.addHandler(ear)
        try:
            yield
        finally:
            log.removeHandler(ear)

    def write(self, folder: str | Path, name: str = "run.json", *, config: Any = None) -> None:
        """Writes ``folder/run.json`` with the wall time, in seconds, since this record was made.

        Args:
            folder: the run's output.
            name: of the file; a run whose output is one file in a folder of others gives its record its own.
            config: what the settings turned out to mean, where that was not known at the start.
        """
        write_json(Path(folder) / name, self.facts if config is None else {**self.facts, "config": plain(config)})


class _Ear(logging.Handler):
    """Writes warnings into a list."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append(record.getMessage())


def plain(value: Any) -> Any:
    """Turns nested dataclasses, paths, tuples and mappings into what JSON holds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _versions() -> dict[str, str]:
    import torch

    return {
        "python": platform.python_version(),
        "opendas-plugin": __version__,
        "torch": str(torch.__version__),  # with its build, such as +cpu
        **{name: importlib.metadata.version(name) for name in ("torchvision", "open_clip_torch", "numpy")},
    }


def _git_hash() -> str | None:
    """The commit of the checkout that this file is tracked in, with ``-dirty`` where it was edited; None elsewhere."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None
