"""What a run learns from, and what its steps read: crops that are decoded ahead, or features that were encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from opendas_plugin.data.augment import Augmentation
from opendas_plugin.data.loader import CropCache, CropLoader, SegmentCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.vocabulary import Vocabulary


@dataclass(frozen=True)
class TrainingData:
    """Labelled segments and the names that compete for them.

    Args:
        crops: the segments, and how they become inputs.
        vocabulary: its base names are the classes.
        unlabelled: segments for a stage that looks at no names; None: those of ``crops``.

    Raises:
        DataError: no segments, those of a single name, or one whose label is not a base name.
    """

    crops: SegmentCrops[Segment]
    vocabulary: Vocabulary
    unlabelled: SegmentCrops[Segment] | None = None

    def __post_init__(self) -> None:
        if not len(self.crops):
            raise DataError("expected segments to train on, got none; look at what opendas-prepare kept and dropped")
        base = set(self.vocabulary.base)
        if len(base) == 1:
            raise DataError(
                f"expected training segments of two names or more, got those of {self.vocabulary.base[0]!r} alone, "
                "with which nothing competes, so that nothing would be learnt; label other things in the pictures, too"
            )
        for segment in self.crops.segments:
            if segment.label not in base:
                raise DataError(f"expected training labels to be base names, got {segment.label!r} in {segment.image}")

    @cached_property
    def labels(self) -> Tensor:
        """(M,) int64, the place of each segment's label among the base names."""
        index = {name: place for place, name in enumerate(self.vocabulary.base)}
        return torch.tensor([index[segment.label] for segment in self.crops.segments])


class Inputs(Protocol):
    """Turns index lists into the images of a batch."""

    def __call__(self, batches: Sequence[Sequence[int]], seeds: Callable[[int], int] | None = None) -> Iterator[Tensor]:
        """The images of each batch on the device of the model.

        Args:
            batches: segment indices, one list a batch.
            seeds: the random seed for each place in the batches laid end to end, where they are augmented.
        """


class CropInputs:
    """Crops, uint8 (B, S, S, 3); without augmentation those that fit the memory are kept for the next epoch.

    Args:
        crops: the training segments' crops.
        device: where they go; to a GPU from pinned memory, beside the computation.
        augmentation: what is done to them.
        workers: threads that decode and crop ahead.
    """

    def __init__(
        self, crops: SegmentCrops[Segment], device: torch.device, augmentation: Augmentation, workers: int
    ) -> None:
        self.crops = crops
        self.device = device
        self.augmentation = augmentation
        self.workers = workers
        self._cache = CropCache()

    def __call__(self, batches: Sequence[Sequence[int]], seeds: Callable[[int], int] | None = None) -> Iterator[Tensor]:
        """See :class:`Inputs`."""
        loader = CropLoader(
            self.crops,
            batches,
            workers=self.workers,
            augmentation=self.augmentation,
            seeds=seeds,
            cache=self._cache,
        )
        for crops, _ in loader:
            pinned = crops.pin_memory() if self.device.type == "cuda" else crops
            yield pinned.to(self.device, non_blocking=True)


class FeatureInputs:
    """Image features (B, D) of segments that were encoded before.

    Args:
        features: (M, D) of all training segments, on the device of the model.
    """

    def __init__(self, features: Tensor) -> None:
        self.features = features

    def __call__(self, batches: Sequence[Sequence[int]], seeds: Callable[[int], int] | None = None) -> Iterator[Tensor]:
        """See :class:`Inputs`."""
        for batch in batches:
            yield self.features[torch.tensor(batch, device=self.features.device)]
