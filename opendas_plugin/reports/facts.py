"""What was run on what, and how to run it again: from a run's record, its configuration and its summary."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from opendas_plugin.reports.page import Code, Facts, Section

_ABBREVIATED = 12  # digits of a hash


def facts_section(record: Mapping[str, Any], about: Sequence[tuple[str, Any]]) -> Section:
    """What was run on what.

    Args:
        record: what ``run.json`` holds; ``wall_time`` in seconds.
        about: names and values that come first; those that are None or empty are left out.
    """
    versions = record.get("versions") or {}
    seconds = record.get("wall_time")
    git = record.get("git")
    rows = [
        *about,
        ("seconds", None if seconds is None else duration(float(seconds))),
        ("seed", record.get("seed")),
        ("started", record.get("started")),
        ("host", record.get("host")),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("commit", git if git is None else git[:_ABBREVIATED] + ("-dirty" if git.endswith("-dirty") else "")),
    ]
    return Section("What was run on what", (Facts(tuple((n, str(v)) for n, v in rows if v not in (None, "", [], ()))),))


def command_section(record: Mapping[str, Any], settings: str = "") -> Section:
    """The command that makes it again.

    Args:
        record: what ``run.json`` holds.
        settings: the call of Python, where there was no command.
    """
    command, folder = record.get("command"), record.get("directory")
    if command:
        text = f"cd {shlex.quote(str(folder))}\n{command}" if folder else str(command)
        return Section("To repeat it", (Code(text, "The command; every setting that it left open is in run.json."),))
    if not settings:
        return Section("To repeat it", ())
    return Section("To repeat it", (Code(settings, "It was called from Python; every setting is in run.json."),))


def sentence(text: str) -> str:
    """A text with a capital first."""
    return text[:1].upper() + text[1:]


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
