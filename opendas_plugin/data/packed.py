"""Crops kept on disk, ready for the model: one decode of each picture serves all later epochs and runs."""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.crops import OPENAI_PIXELS, CropPolicy, PixelFormat
from opendas_plugin.data.images import UPRIGHT, orientation
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import OutputError
from opendas_plugin.files import write_json
from opendas_plugin.version import __version__

log = logging.getLogger(__name__)

_WRITTEN = 1 << 32  # beside the checksum, so that a place of zeros is an empty one


class PackedCrops:
    """The crops of a list of segments under one policy, uint8 in a memory-mapped file, each with its checksum.

    A folder of their own, named by what they depend on, holds ``crops.bin`` (N, S, S, 3), ``sums.bin`` (N,) and
    ``about.json``; another policy, other segments or newer pictures get another. A crop that was half written by a kill
    or damaged later does not match its checksum and counts as absent. Several threads and processes may use one.

    Args:
        folder: where the folders are.
        segments: what is cropped.
        policy: how.
        pixels: of the backbone that the crops are for.

    Raises:
        OutputError: the files cannot be made; the disk needs 3 S^2 bytes a segment.
    """

    def __init__(
        self, folder: Path, segments: Sequence[Segment], policy: CropPolicy, pixels: PixelFormat = OPENAI_PIXELS
    ) -> None:
        self.folder = folder / _key(segments, policy, pixels)
        shape = (len(segments), policy.size, policy.size, 3)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._crops = _map(self.folder / "crops.bin", np.uint8, shape)
            self._sums = _map(self.folder / "sums.bin", np.uint64, shape[:1])
        except OSError as error:
            raise OutputError(
                f"could not make {self.folder} of {np.prod(shape) / 2**30:.1f} GiB: {error.strerror or error}; free "
                "space or choose another folder"
            ) from error
        write_json(self.folder / "about.json", {"segments": len(segments), "policy": policy.to_dict()})

    def get(self, index: int) -> NDArray[np.uint8] | None:
        """The crop of segment ``index``, (S, S, 3), or None where there is none that is whole."""
        written = int(self._sums[index])
        if not written:
            return None
        crop = np.array(self._crops[index])
        if zlib.crc32(crop.data) | _WRITTEN == written:
            return crop
        log.warning("%s: crop %d is damaged and is made again", self.folder, index)
        return None

    def put(self, index: int, crop: NDArray[np.uint8]) -> None:
        """Keeps a crop."""
        self._crops[index] = crop
        self._sums[index] = zlib.crc32(np.ascontiguousarray(crop).data) | _WRITTEN

    def __len__(self) -> int:
        """How many crops are kept."""
        return int(np.count_nonzero(self._sums))


def _map(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    """A file of zeros at first; what is not written takes no room on most file systems."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with open(path, "ab") as file:
        if file.tell() != size:
            file.truncate(size)
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)


def _key(segments: Sequence[Segment], policy: CropPolicy, pixels: PixelFormat) -> str:
    """Changes with version, policy, backbone, the masks and their order, and the pictures' sizes and dates."""
    digest = hashlib.sha256(__version__.encode() + json.dumps(policy.to_dict(), sort_keys=True).encode())
    digest.update(f"{pixels.fill} {pixels.interpolation}".encode())
    stamps: dict[Path, str] = {}
    for segment in segments:
        if segment.image not in stamps:
            state = segment.image.stat()
            number = orientation(segment.image)[0]
            turned = "" if number == UPRIGHT else f" {number}"  # crops of an earlier version were not turned
            stamps[segment.image] = f"{segment.image.resolve()} {state.st_size} {state.st_mtime_ns}{turned}"
        digest.update(f"{stamps[segment.image]} {segment.rle['size']} {segment.rle['counts']}\n".encode())
    return digest.hexdigest()[:16]
