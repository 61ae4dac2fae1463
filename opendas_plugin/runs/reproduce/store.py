"""What a step has done, kept in its folder, so that a further run goes on behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import read_json, write_json
from opendas_plugin.runs.reproduce.results import Result
from opendas_plugin.stamps import Inputs

FILE = "step.json"
BEGUN = "inputs.json"
"""What a step began with."""


@dataclass(frozen=True)
class Done:
    """A finished step.

    Args:
        results: its rows.
        notes: sentences for the page.
        facts: what later steps take from it, and what else it found.
        seconds: that it took, without the parts that an earlier run had done.
        gib: peak of its memory, the device's on a GPU, else the process's; None: not known.
        made: versions, git commit and device that it was finished with; empty in files of earlier versions.
    """

    results: Sequence[Result] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    gib: float | None = None
    made: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "results": [result.to_json() for result in self.results],
            "notes": list(self.notes),
            "facts": dict(self.facts),
            "seconds": round(self.seconds, 1),
            "gib": None if self.gib is None else round(self.gib, 3),
            **({"made": dict(self.made)} if self.made else {}),
        }

    @classmethod
    def from_json(cls, content: Any) -> Done:
        """The inverse of :meth:`to_json`.

        Raises:
            DataError: it is something else.
        """
        try:
            rows = [Result.from_json(row) for row in content["results"]]
            made = dict(content.get("made", {}))
            return cls(rows, content["notes"], content["facts"], content["seconds"], content["gib"], made)
        except (KeyError, TypeError) as error:
            raise DataError(f"expected a step of a reproduction, got {content!r:.80}") from error


def open_step(folder: Path, inputs: Inputs, *, again: bool = False) -> Done | None:
    """What a step's folder holds; None: it is not finished, and is to be begun, or gone on with.

    Args:
        folder: of the step.
        inputs: what it is made from.
        again: begin anew where it was made from something else.

    Raises:
        ConfigError: it was made from something else, or begun with it.
        DataError: its file is damaged.
    """
    path = folder / FILE if (folder / FILE).exists() else folder / BEGUN
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(
                f"{folder} holds work of a step, and neither {FILE} nor {BEGUN} says what it was made from; remove "
                "it, and the step is done again"
            )
        write_json(path, {"inputs": inputs.record()})
        return None
    advice = f"remove {path if path.name == FILE else folder}, and the step is done again"
    content = read_json(path, advice)
    if not isinstance(content, dict) or "inputs" not in content:
        raise DataError(f"{path} is damaged; {advice}")
    difference = inputs.difference(content["inputs"])
    if difference and again:
        (folder / FILE).unlink(missing_ok=True)
        write_json(folder / BEGUN, {"inputs": inputs.record()})
        return None
    if difference:
        raise ConfigError(
            f"{folder} is of another configuration: {difference}; give another `output`, or remove that folder to do "
            "this step again"
        )
    if path.name == BEGUN:
        return None
    try:
        return Done.from_json(content["done"])
    except (DataError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}); {advice}") from error


def finished(folder: Path, tier: str) -> Done | None:
    """A step that an earlier call has done for the same tier, whatever it was made from; None: it is not."""
    path = folder / FILE
    if not path.exists():
        return None
    content = read_json(path)
    try:
        return Done.from_json(content["done"]) if content["inputs"]["values"]["tier"] == tier else None
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged; remove it, and the step is done again") from error


def write_step(folder: Path, inputs: Inputs, done: Done) -> None:
    """Keeps a finished step."""
    write_json(folder / FILE, {"inputs": inputs.record(), "done": done.to_json()})
