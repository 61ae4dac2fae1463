"""transformers' image processors of a program, which get the pixel statistics that the adapter was learnt with."""

from __future__ import annotations

import weakref
from typing import Any

from PIL import Image

from opendas_plugin.model.facts import BackboneFacts
from opendas_plugin.switch.saying import say


class Processors:
    """Those that a program has loaded, by name; a processor holds no weights, so the name says whose it is.

    Args:
        facts: how the adapter's backbone reads pixels; None: the adapter does not say, and all stay as they are.
    """

    def __init__(self, facts: BackboneFacts | None) -> None:
        self.facts = facts
        self._models: set[str] = set()
        self._loaded: list[tuple[str, weakref.ref[Any]]] = []
        self._said: set[str] = set()

    def add(self, processor: Any, name: str) -> None:
        """Takes in a processor that the program has loaded by a name."""
        self._loaded.append((name, weakref.ref(processor)))
        if self._models:
            self._look(processor, name)

    def adapted(self, name: str) -> None:
        """Takes in the name of a model that the program has been given with the adapter."""
        self._models.add(name)
        for other, reference in self._loaded:
            if (processor := reference()) is not None:
                self._look(processor, other)

    def _look(self, processor: Any, name: str) -> None:
        """Gives a processor of an adapted model's name its statistics; says where one of another name has others."""
        if self.facts is None:
            return
        wanted: dict[str, Any] = {"image_mean": list(self.facts.mean), "image_std": list(self.facts.std)}
        wanted["resample"] = Image.Resampling[self.facts.interpolation.upper()]
        differences = {key: value for key, value in wanted.items() if not _same(getattr(processor, key, None), value)}
        if not differences:
            return
        said = ", ".join(f"{key} {_shown(getattr(processor, key, None))}" for key in differences)
        ours = ", ".join(_shown(value) for value in differences.values())
        if name in self._models:
            for key, value in differences.items():
                setattr(processor, key, value)
            say("the processor of %s had %s; it gets what the adapter was learnt with, %s", name, said, ours)
        elif name not in self._said:
            self._said.add(name)
            say(
                "the processor of %s has %s, where the adapter was learnt with %s; give its pixels to no adapted model",
                name, said, ours,
            )  # fmt: skip


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        fits = isinstance(found, list | tuple) and len(found) == len(wanted)
        return fits and all(abs(a - b) < 1e-6 for a, b in zip(found, wanted, strict=True))
    return found is not None and int(found) == int(wanted)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "/".join(f"{number:.4g}" for number in value)
    return "none" if value is None else Image.Resampling(int(value)).name.lower()
