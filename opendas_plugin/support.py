"""Support: a few labelled segments that tell what a name looks like, beside its words. Nothing is trained.

CLIP's image features lie apart from its text features, all of them by much the same vector (the modality gap), so a
mean of image features would draw every image to the names that have one. Only its direction away from other segments is
taken, at the distance that names have from each other:

    q = m + r * unit(p - u),    class feature = unit((1 - weight) * t + weight * q)

for a name's text feature t and the mean p of its segments' features, where m is the mean of all names' text features, r
their mean distance from it, and u the mean of all segments' features; a mean of features is brought to unit length
where it stands for a name. Names without segments keep their text features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.names import NameTable

if TYPE_CHECKING:
    from torch import Tensor


DEFAULT_WEIGHT = 0.2


@dataclass(frozen=True, eq=False)
class Support:
    """Labelled segments, as image features.

    Args:
        features: (M, D) float32 of unit length.
        names: (M,) what each shows; None: something else, which counts for the mean of all alone.
        weight: share of what the segments say, 0 to 1; the rest is the words'.

    Raises:
        ConfigError: a weight outside 0 to 1.
        DataError: as many names as features are expected, and a name whose segments can be told from others.
    """

    features: Tensor
    names: tuple[str | None, ...]
    weight: float = DEFAULT_WEIGHT

    def __post_init__(self) -> None:
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 <= self.weight <= 1:
            raise ConfigError(f"expected the weight of the support to be from 0 to 1, got {self.weight!r}")
        if len(self.features) != len(self.names):
            raise DataError(f"expected a name for each of {len(self.features)} segments, got {len(self.names)}")
        if len(kinds := set(self.names)) < 2 or kinds == {None}:
            raise DataError(
                "expected support of two names or more, or of one and of other segments of its pictures, whose name is "
                f"None: what tells a name from others is taken; got {self.counts or 'no name'}"
            )

    @property
    def counts(self) -> dict[str, int]:
        """How many segments each name has."""
        return {name: self.names.count(name) for name in dict.fromkeys(self.names) if name is not None}

    def among(self, classes: Sequence[str]) -> tuple[str | None, ...]:
        """The class that each segment shows, None where it is none of them."""
        found = NameTable(classes).find_all({name for name in self.names if name is not None})
        return tuple(None if name is None else found[name] for name in self.names)

    def mix(self, text: Tensor, classes: Sequence[str]) -> Tensor:
        """The class features (N, D), of unit length, of text features (N, D) of unit length."""
        import torch
        from torch.nn.functional import normalize as unit

        names, features = self.among(classes), self.features.to(text.device)
        centre = text.mean(dim=0)
        reach = (text - centre).norm(dim=1).mean()
        away = features.mean(dim=0)
        mixed = text.clone()
        for place, name in enumerate(classes):
            own = features[torch.tensor([found == name for found in names], device=text.device)]
            if len(own):
                seen = centre + reach * unit(unit(own.mean(dim=0), dim=0) - away, dim=0)
                mixed[place] = unit((1 - self.weight) * text[place] + self.weight * seen, dim=0)
        return mixed
