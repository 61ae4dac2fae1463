"""The crops behind segments, and batches of them that threads make ahead."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from opendas_plugin.crops import OPENAI_PIXELS, CropPolicy, PixelFormat, cut, resize
from opendas_plugin.data.augment import Augmentation
from opendas_plugin.data.images import ImageCache
from opendas_plugin.data.packed import PackedCrops
from opendas_plugin.data.segments import Region
from opendas_plugin.errors import ConfigError, DataError

Cropped = TypeVar("Cropped", bound=Region)

_BATCHES_AHEAD = 4


class SegmentCrops(Generic[Cropped]):
    """The crops of a list of segments under one policy; pictures are decoded when they are needed.

    Args:
        segments: what to crop, in the order of the indices used here.
        policy: how.
        packed: keeps crops of these segments and this policy on disk; unused when crops are augmented. The first crop
            of a picture makes those of all its segments, from one decode.
        pixels: of the backbone that the crops are for.
        images: gives the picture of a path, uint8 (H, W, 3) RGB; None: read from the file, the last few being kept.
    """

    def __init__(
        self,
        segments: Sequence[Cropped],
        policy: CropPolicy,
        packed: PackedCrops | None = None,
        pixels: PixelFormat = OPENAI_PIXELS,
        images: Callable[[Path], np.ndarray] | None = None,
    ) -> None:
        self.segments = segments
        self.policy = policy
        self.pixels = pixels
        self._packed = packed
        self._siblings = {} if packed is None else _by_image(segments)
        self._lock = threading.Lock()
        self._images = images or ImageCache()

    def __len__(self) -> int:
        return len(self.segments)

    def require(self, pixels: PixelFormat) -> None:
        """Raises ConfigError where the crops are made for a backbone that takes other pixels than ``pixels``."""
        if pixels != self.pixels:
            raise ConfigError(f"the crops are made for {self.pixels}, but the backbone takes {pixels}; give it to them")

    def crop(
        self, index: int, augment: Augmentation | None = None, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """The crop of segment ``index``, uint8 (S, S, 3); a random view of it if ``augment`` is one, drawn by ``rng``.

        Raises:
            MissingFileError, DataError: the image is missing, cannot be read, or is not of the mask's size.
        """
        if self._packed is None or (augment is not None and augment.kind != "none"):
            return self._make(index, augment, rng)
        crop = self._packed.get(index)
        if crop is None:
            crop = self._make(index)
            self._packed.put(index, crop)
            with self._lock:
                siblings = self._siblings.pop(self.segments[index].image, [])
            for sibling in siblings:
                if self._packed.get(sibling) is None:
                    self._packed.put(sibling, self._make(sibling))
        return crop

    def _make(
        self, index: int, augment: Augmentation | None = None, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        segment = self.segments[index]
        image = self._images(segment.image)
        if image.shape[:2] != segment.size:
            (height, width), (rows, columns) = image.shape[:2], segment.size
            raise DataError(
                f"{segment.image} is {width}x{height}, but its mask {columns}x{rows}; prepare the data again"
            )
        mask = None if self.policy.background == "keep" else segment.mask()
        region = cut(image, segment.box, self.policy, mask, self.pixels)
        if augment is None or augment.kind == "none":
            return resize(region, self.policy, self.pixels)
        if rng is None:
            raise ValueError("augmentation needs a random generator")
        return augment(region, self.policy.size, rng, self.pixels)


class CropCache:
    """Crops kept in memory as uint8, first come, first kept, up to a number of bytes."""

    def __init__(self, max_bytes: int = 1 << 30) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._crops: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def get(self, index: int) -> np.ndarray | None:
        """The crop of segment ``index`` if it is kept."""
        return self._crops.get(index)

    def put(self, index: int, crop: np.ndarray) -> None:
        """Keeps ``crop`` if there is room."""
        with self._lock:
            if index not in self._crops and self.used_bytes + crop.nbytes <= self.max_bytes:
                self._crops[index] = crop
                self.used_bytes += crop.nbytes


class CropLoader:
    """Iterates over batches of crops; threads decode and crop the next batches while the caller works on this one.

    The order is that of ``batches``, and the pixels do not depend on the number of threads.

    Args:
        crops: the crops to draw from.
        batches: index lists, one a batch.
        workers: threads; 0 crops in the calling thread.
        augmentation: what to do to each crop.
        seeds: the random seed for the crop at each position of the epoch; needed when crops are augmented.
        cache: keeps crops from one epoch to the next, for this ``crops`` alone; unused when crops are augmented.

    Yields:
        uint8 (B, S, S, 3) and int64 (B,), the indices.
    """

    def __init__(
        self,
        crops: SegmentCrops[Any],
        batches: Sequence[Sequence[int]],
        *,
        workers: int = 2,
        augmentation: Augmentation | None = None,
        seeds: Callable[[int], int] | None = None,
        cache: CropCache | None = None,
    ) -> None:
        self.crops = crops
        self.batches = batches
        self.workers = workers
        self.augmentation = augmentation if augmentation is not None and augmentation.kind != "none" else None
        self.seeds = seeds
        self.cache = cache if self.augmentation is None else None
        if self.augmentation is not None and seeds is None:
            raise ValueError("an augmenting CropLoader needs seeds")
        self._siblings = _by_image(crops.segments) if self._cache_holds_all() else {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        if self.workers < 1:
            for batch, positions in self._positions():
                yield _collate(batch, [self._crop(*item) for item in zip(batch, positions, strict=True)])
            return
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="crops")
        ahead: deque[tuple[Sequence[int], list[Future[np.ndarray]]]] = deque()
        try:
            for batch, positions in self._positions():
                ahead.append((batch, [pool.submit(self._crop, *item) for item in zip(batch, positions, strict=True)]))
                if len(ahead) > _BATCHES_AHEAD:
                    yield _finished(*ahead.popleft())
            while ahead:
                yield _finished(*ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _positions(self) -> Iterator[tuple[Sequence[int], range]]:
        start = 0
        for batch in self.batches:
            yield batch, range(start, start + len(batch))
            start += len(batch)

    def _crop(self, index: int, position: int) -> np.ndarray:
        if self.augmentation is not None and self.seeds is not None:
            return self.crops.crop(index, self.augmentation, np.random.default_rng(self.seeds(position)))
        if self.cache is None:
            return self.crops.crop(index)
        kept = self.cache.get(index)
        if kept is not None:
            return kept
        crop = self.crops.crop(index)
        self.cache.put(index, crop)
        # One decode serves the whole picture: its other segments will be asked for later in the epoch.
        # Backwards, because other threads come forwards in an ordered epoch.
        for sibling in reversed(self._take_siblings(index)):
            if self.cache.get(sibling) is None:
                self.cache.put(sibling, self.crops.crop(sibling))
        return crop

    def _take_siblings(self, index: int) -> list[int]:
        with self._lock:
            return self._siblings.pop(self.crops.segments[index].image, [])

    def _cache_holds_all(self) -> bool:
        crop_bytes = 3 * self.crops.policy.size**2
        return self.cache is not None and len(self.crops) * crop_bytes <= self.cache.max_bytes


def _by_image(segments: Sequence[Region]) -> dict[Path, list[int]]:
    indices: dict[Path, list[int]] = defaultdict(list)
    for index, segment in enumerate(segments):
        indices[segment.image].append(index)
    return indices


def _finished(batch: Sequence[int], futures: list[Future[np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
    return _collate(batch, [future.result() for future in futures])


def _collate(batch: Sequence[int], crops: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(np.stack(crops)), torch.tensor(batch, dtype=torch.long)
