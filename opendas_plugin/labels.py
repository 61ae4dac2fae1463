"""What is said of the masks of a picture: names, cosines, probabilities."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Labels:
    """What a :class:`~opendas_plugin.labeller.Labeller` says of the M masks of an image; N names competed.

    Attributes:
        names: (M,) the name of each mask; None for an empty one.
        indices: (M,) int64, its place among ``classes``; -1 for an empty mask.
        cosines: (M, N) float32, of each mask's feature with each name's; nan for an empty mask.
        probabilities: (M, N) float32, the softmax of the cosines at CLIP's own scale, or where the model has a logit
            bias (SigLIP) the sigmoid of each; nan for an empty mask.
        empty: (M,) bool, the masks without a pixel.
        classes: the N names.
    """

    names: tuple[str | None, ...]
    indices: NDArray[np.int64]
    cosines: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    empty: NDArray[np.bool_]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        counts = Counter("an empty mask" if name is None else name for name in self.names)
        said = ", ".join(f"{name}: {count}" for name, count in counts.most_common())
        return f"Labels of {len(self)} masks ({said})"
