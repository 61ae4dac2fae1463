"""``reproduction.json``: everything that a reproduction has found, to look at and to send in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opendas_plugin.errors import DataError
from opendas_plugin.files import read_json
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.runs.reproduce.results import Result
from opendas_plugin.runs.reproduce.store import Done

if TYPE_CHECKING:
    import torch

NAME = "reproduction.json"
FORMAT = 1
ORDER = ("check", "anchor", "rivals", "ade20k", "kitti360", "scannetpp", "hosts")
"""The steps."""
_TITLE = "OpenDAS reproduction"


@dataclass
class Document:
    """What a reproduction has found.

    Args:
        made: versions, git commit, device, tier and so on; nothing that says who or where somebody is.
        steps: step -> what it has found.
        left_out: step -> why it was not done.
    """

    made: Mapping[str, Any]
    steps: dict[str, Done] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, place: Place, record: RunRecord) -> Document:
        """One of a run that begins; or goes on, and then has the time at which the first one began."""
        made = {name: record.facts[name] for name in ("versions", "git", "started")}
        made |= {"tier": place.tier.name, "rehearsal": place.tier.is_rehearsal, **device_facts(place.device)}
        path = place.output / NAME
        if path.exists():
            made["started"] = cls.from_json(read_json(path), path).made.get("started")
        return cls(made)

    def add(self, step: str, done: Done) -> None:
        """Takes a step in, at its place."""
        self.steps = in_order({**self.steps, step: done})
        self.left_out.pop(step, None)

    def leave_out(self, step: str, why: str) -> None:
        """Says why a step is not in it."""
        self.left_out[step] = why

    @property
    def made_with(self) -> dict[str, Any]:
        """What a step's figures, seconds and memory depend on: versions, git commit and device."""
        return {name: self.made[name] for name in ("versions", "git", "device", "gpu") if name in self.made}

    def notes(self, step: str) -> list[str]:
        """The sentences of a step, and with what it was made where an earlier call did that with something else."""
        done = self.steps[step]
        if not done.made or dict(done.made) == self.made_with:
            return list(done.notes)
        versions = ", ".join(f"{name} {version}" for name, version in dict(done.made.get("versions", {})).items())
        device = done.made.get("gpu") or done.made.get("device")
        return [*done.notes, f"Made by an earlier call, on {device}; {versions}; commit {done.made.get('git')}."]

    @property
    def is_rehearsal(self) -> bool:
        """Whether its data and weights were made up."""
        return bool(self.made.get("rehearsal"))

    def rows(self) -> Iterator[tuple[str, Result]]:
        """Every row with its step."""
        for step, done in self.steps.items():
            for row in done.results:
                yield step, row

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        content = {
            "title": _TITLE,
            "format": FORMAT,
            "made": dict(self.made),
            "steps": {step: done.to_json() for step, done in self.steps.items()},
            "left_out": dict(self.left_out),
        }
        return {**content, "digest": digest_of(content)}

    @classmethod
    def from_json(cls, content: Any, source: object) -> Document:
        """The inverse of :meth:`to_json`, of the file ``source``.

        Raises:
            DataError: it is something else, of a newer format, or was changed since it was written.
        """
        if not isinstance(content, dict) or content.get("title") != _TITLE:
            raise DataError(f"{source} is no {NAME} of opendas-reproduce; give such a file")
        if content.get("format") != FORMAT:
            raise DataError(
                f"{source} has the format {content.get('format')!r:.40} and this version reads {FORMAT}; update the "
                "older one"
            )
        known = {key: value for key, value in content.items() if key != "digest"}
        if content.get("digest") != digest_of(known):
            raise DataError(f"{source} has been changed since it was written; ask for the file as it was")
        try:
            steps = {str(step): Done.from_json(done) for step, done in content["steps"].items()}
            return cls(dict(content["made"]), in_order(steps), dict(content["left_out"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{source} is damaged ({error}); ask for the file as it was") from error


def in_order(steps: Mapping[str, Done]) -> dict[str, Done]:
    """Steps in their order; a file has them in the alphabet's."""
    return {name: steps[name] for name in (*ORDER, *steps) if name in steps}


def digest_of(content: Mapping[str, Any]) -> str:
    """The SHA-256 of JSON's content, however it is laid out; against slips of a hand, not against a forger."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def device_facts(device: torch.device) -> dict[str, Any]:
    """The device, its name, and a GPU's memory in GiB."""
    import torch

    if device.type != "cuda":
        return {"device": str(device), "threads": torch.get_num_threads()}
    properties = torch.cuda.get_device_properties(device)
    return {
        "device": str(device),
        "gpu": properties.name,
        "gpu_gib": round(properties.total_memory / 2**30, 1),
        "cuda": torch.version.cuda,
    }
