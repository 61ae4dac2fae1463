"""Programs that give a model its weights after it was built, by ``load_state_dict``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

Look: TypeAlias = Callable[[nn.Module], None]
Fingerprint: TypeAlias = dict[str, tuple[float, float]]


@torch.no_grad()
def fingerprint(model: nn.Module) -> Fingerprint:
    """Sum and sum of squares of each of a model's tensors, which tell in a fraction of a hash's time if one changed."""
    found = {}
    for key, value in model.state_dict().items():
        exact = value.double()
        found[key] = exact.sum().item(), exact.square().sum().item()
    return found


class Watch:
    """Calls ``look`` with a model into which a program has loaded weights; copies of the model are watched alike.

    It is left out where the model is pickled, since it belongs to this process.
    """

    def __init__(self, look: Look) -> None:
        self.look = look

    @classmethod
    def over(cls, model: nn.Module, look: Look) -> None:
        """Watches ``model.load_state_dict``; what loads into a part of it alone is not seen."""
        for key, hook in list(model._load_state_dict_post_hooks.items()):
            if isinstance(hook, Watch):
                del model._load_state_dict_post_hooks[key]
        model.register_load_state_dict_post_hook(cls(look))

    def __call__(self, model: nn.Module, _: Any) -> None:
        """The call of torch, with the keys that did not match."""
        self.look(model)

    def __deepcopy__(self, memo: dict[int, Any]) -> Watch:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Watch, (_nothing,)


def _nothing(model: nn.Module) -> None:
    """What a pickled watch does in another process."""
