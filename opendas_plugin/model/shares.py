"""How much of what was learnt is at work in a CLIP: none, a share, or all of it."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import normalize as unit

from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model.adapter_config import AdapterConfig
from opendas_plugin.model.config import Interpolation
from opendas_plugin.model.frozen_parts import FrozenParts
from opendas_plugin.model.tower import TowerName
from opendas_plugin.model.weights import LearntWeights


@dataclass(frozen=True)
class AtWork:
    """What of an adapter is at work: asked once for a feature, so that nothing changes on the way to it."""

    visual: bool
    """Whether what was learnt in the visual tower is at work at all."""
    text: bool
    interpolation: Interpolation
    weight_mix: float


@dataclass(eq=False)
class _Block:
    """An open ``with`` block that changes what is at work in one CLIP."""

    clip: weakref.ref[Shares]
    change: Callable[[AtWork], AtWork]
    is_open: bool = True


_OPEN: ContextVar[tuple[_Block, ...]] = ContextVar("open blocks of adapters", default=())
"""Of this thread, or this task of asyncio: what one switches off is at work for the others. No CLIP holds it, so copies
and pickles made inside a block are not switched."""


class Shares(FrozenParts):
    """The switches and shares of an adapter.

    What an adapter folder says is ``config``; ``weight_mix`` is the share of the learnt weights.
    """

    config: AdapterConfig
    visual_weights: LearntWeights
    text_weights: LearntWeights

    def __init__(self) -> None:
        super().__init__()
        self._weight_mix = 1.0

    @property
    def weight_mix(self) -> float:
        """The share of the learnt weights that is at work; it can be set."""
        return self.at_work().weight_mix

    @weight_mix.setter
    def weight_mix(self, share: float) -> None:
        self._weight_mix = share

    def at_work(self) -> AtWork:
        """Returns what is at work here and now."""
        found = AtWork(True, True, self.config.interpolation, self._weight_mix)
        for block in _OPEN.get():
            if block.clip() is self and block.is_open:
                found = block.change(found)
        return found

    def interpolate(self, visual: float = 1.0, text: float = 1.0) -> None:
        """Sets the share of the adapted feature in each tower's; it is saved with the adapter.

        A tower's feature becomes normalise(share x adapted + (1 - share) x frozen), both of unit length: at 1 exactly
        the adapter's, at 0 exactly plain CLIP's.

        Raises:
            ConfigError: a share outside 0 to 1, or an adapter whose features are no mixture of this kind.
        """
        if self.config.prompts.form in ("read_only", "conditional"):
            raise ConfigError(f"{self.config.prompts.form} prompts have no features to interpolate with plain CLIP's")
        self.config = replace(self.config, interpolation=Interpolation(visual, text))

    @contextlib.contextmanager
    def prompts_disabled(self, visual: bool = True, text: bool = True) -> Iterator[None]:
        """Switches all that was learnt in the named towers off inside the ``with`` block: plain CLIP.

        As with torch's ``no_grad``, the block is of the thread that opens it: others, and those started inside, have
        what was learnt at work. Blocks may lie in one another and overlap.
        """

        def change(found: AtWork) -> AtWork:
            return replace(found, visual=found.visual and not visual, text=found.text and not text)

        with self._changed(change):
            yield

    @contextlib.contextmanager
    def unmixed(self, weights: bool = True) -> Iterator[None]:
        """Takes what was learnt at its full share inside the ``with`` block, of features and of ``weights``.

        The block is of the thread that opens it.
        """

        def change(found: AtWork) -> AtWork:
            return replace(found, interpolation=Interpolation(), weight_mix=1.0 if weights else found.weight_mix)

        with self._changed(change):
            yield

    @contextlib.contextmanager
    def weights_at(self, share: float) -> Iterator[None]:
        """Takes this share of the learnt weights inside the ``with`` block, which is of the thread that opens it."""
        with self._changed(lambda found: replace(found, weight_mix=share)):
            yield

    def merged_weights(self) -> dict[str, torch.Tensor]:
        """Returns the learnt weights as plain CLIP has them, by their names in ``model``.

        Raises:
            AdapterError: the adapter is not weights alone, so that no set of weights of plain CLIP can hold it.
        """
        prompts, shares = self.config.prompts, self.config.interpolation
        if prompts.visual_tokens or prompts.text_tokens:
            lacking = "tokens beside the weights"
        elif self.config.cache.entries:
            lacking = "stored features"
        elif shares != Interpolation():
            lacking = "a share of plain CLIP's features"
        else:
            mix = self.weight_mix
            with torch.no_grad():
                visual = self.visual_weights.merged(self.towers.visual, mix)
                return visual | self.text_weights.merged(self.towers.text, mix)
        raise AdapterError(
            f"the {self.config.method} adapter has {lacking}, which plain CLIP has no place for; load it with "
            "opendas.load, export it with `to` classifier or onnx, or export its backbone alone"
        )

    def _interpolated(self, tower: TowerName, encode: Callable[[AtWork | None], torch.Tensor]) -> torch.Tensor:
        """Features of a tower at its share; ``encode`` returns them with what is at work, or with None of it."""
        found = self.at_work()
        share = getattr(found.interpolation, tower)
        adapted = found if getattr(found, tower) else None
        if share == 1 or adapted is None:
            return encode(adapted)
        frozen = encode(None)
        if share == 0:
            return frozen
        return unit(share * unit(encode(adapted), dim=-1) + (1 - share) * unit(frozen, dim=-1), dim=-1)

    @contextlib.contextmanager
    def _changed(self, change: Callable[[AtWork], AtWork]) -> Iterator[None]:
        """Opens a block; its end is marked in it, so that it may be another thread's, or come before an inner one's."""
        block = _Block(weakref.ref(self), change)
        _OPEN.set((*_OPEN.get(), block))
        try:
            yield
        finally:
            block.is_open = False
            _OPEN.set(tuple(other for other in _OPEN.get() if other.is_open))
