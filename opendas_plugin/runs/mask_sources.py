"""Where the masks of photos come from: superpixels, SAM, a file of masks, or a folder with a file for each photo."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import LABEL_SUFFIXES, Exif, label_frame, read_labels
from opendas_plugin.data.mask_inputs import ArrayMask, read_masks
from opendas_plugin.data.sam import Sam, SamSettings
from opendas_plugin.data.segments import Region
from opendas_plugin.data.superpixels import WEAKNESS, require_superpixels, superpixels
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import find_files, read_json
from opendas_plugin.stamps import Inputs, stamp

SUPERPIXELS, SAM = "superpixels", "sam:"
OF_INSTANCES = "store the number of an instance at each pixel, 0 where there is none, as grey of 8 or 16 bits"

logger = logging.getLogger(__name__)


class MaskSource(Protocol):
    """Gives the masks of one photo after the other."""

    def inputs(self) -> Inputs:
        """What decides over the masks of all photos."""

    def file(self, stem: str) -> Path | None:
        """The file that a photo's masks are read from, None where there is none of its own."""

    def masks(self, stem: str, photo: Path, picture: NDArray[np.uint8]) -> list[Region]:
        """The masks of a photo, none of them empty.

        Args:
            stem: the photo's path in the folder of all, without suffix.
            photo: its file.
            picture: (H, W, 3), RGB, turned as its EXIF orientation says.

        Raises:
            DataError, MissingFileError: they cannot be read, or are not of the photo's size.
        """


@dataclass(frozen=True)
class Superpixels:
    """About ``count`` pieces of one colour in each photo."""

    count: int

    def __post_init__(self) -> None:
        require_superpixels()
        logger.info("masks: about %d superpixels a photo; %s", self.count, WEAKNESS)

    def inputs(self) -> Inputs:
        """See :class:`MaskSource`."""
        return Inputs(values={"`masks`": SUPERPIXELS, "`superpixels`": self.count})

    def file(self, stem: str) -> Path | None:
        """See :class:`MaskSource`."""
        return None

    def masks(self, stem: str, photo: Path, picture: NDArray[np.uint8]) -> list[Region]:
        """See :class:`MaskSource`."""
        return [ArrayMask(mask) for mask in superpixels(picture, self.count)]


@dataclass(frozen=True)
class SamMasks:
    """What SAM finds in each photo."""

    sam: Sam

    def inputs(self) -> Inputs:
        """See :class:`MaskSource`; weights are known by their content, wherever they lie."""
        settings = {f"`sam.{name}`": value for name, value in vars(self.sam.settings).items()}
        files = {name: stamp(path).rpartition(" ")[2] for name, path in self.sam.files.items()}
        checkpoint = {"the files of SAM": files} if files else {"`masks`": f"{SAM}{self.sam.checkpoint}"}
        revision = {"the revision of SAM": self.sam.revision} if self.sam.revision else {}
        return Inputs(values={**checkpoint, **revision, **settings})

    def file(self, stem: str) -> Path | None:
        """See :class:`MaskSource`."""
        return None

    def masks(self, stem: str, photo: Path, picture: NDArray[np.uint8]) -> list[Region]:
        """See :class:`MaskSource`."""
        return read_masks(self.sam(picture), *picture.shape[:2])


class FileMasks:
    """Masks of all photos in one JSON file: a list of ``file_name`` and ``segmentation``, or COCO's instances."""

    def __init__(self, path: Path, images: Path) -> None:
        """Reads the file; see :func:`~opendas_plugin.eval.masks.read_proposals` for what it raises."""
        from opendas_plugin.eval.masks import read_proposals

        self._path, self._masks = path, defaultdict[str, list[Region]](list)
        for mask in read_proposals(path, images):
            self._masks[_plain(mask.image)].append(mask)

    def require(self, photos: Mapping[str, Path]) -> None:
        """Looks whether any photo has masks.

        Raises:
            MissingFileError: none has.
        """
        if not self._masks.keys() & set(map(_plain, photos.values())):
            raise MissingFileError(
                f"no mask in {self._path} is of a photo that is named, but of {next(iter(self._masks))} and such; give "
                "masks of these photos"
            )

    def inputs(self) -> Inputs:
        """See :class:`MaskSource`."""
        return Inputs({"the file of masks": self._path}, {"`masks`": "a file"})

    def file(self, stem: str) -> Path | None:
        """See :class:`MaskSource`."""
        return None

    def masks(self, stem: str, photo: Path, picture: NDArray[np.uint8]) -> list[Region]:
        """See :class:`MaskSource`."""
        return self._masks.get(_plain(photo), [])


class FolderMasks:
    """A file for each photo, of its stem.

    It is a PNG with the number of an instance at each pixel (0: none), or JSON as SAM's ``amg.py --convert-to-rle``
    writes it.
    """

    def __init__(self, folder: Path, exif: Exif | None) -> None:
        """Looks which files there are.

        Raises:
            MissingFileError: there is none.
            DataError: a photo has two.
        """
        self._files, self._exif, self._folder = find_files(folder, (*LABEL_SUFFIXES, ".json")), exif, folder
        if not self._files:
            raise MissingFileError(f"{folder} holds no PNG and no JSON of masks; check `masks`")

    def inputs(self) -> Inputs:
        """See :class:`MaskSource`."""
        return Inputs(values={"`masks`": "a folder", "`exif`": self._exif})

    def require(self, stems: Mapping[str, Path]) -> None:
        """Looks whether any photo has masks.

        Raises:
            MissingFileError: none has.
        """
        if not self._files.keys() & stems.keys():
            raise MissingFileError(
                f"no file in {self._folder} has the path of a photo without its suffix, such as {next(iter(stems))}; "
                "give masks of these photos"
            )

    def file(self, stem: str) -> Path | None:
        """See :class:`MaskSource`."""
        return self._files.get(stem)

    def masks(self, stem: str, photo: Path, picture: NDArray[np.uint8]) -> list[Region]:
        """See :class:`MaskSource`."""
        path = self._files.get(stem)
        if path is None:
            return []
        if path.suffix.lower() != ".json":
            numbers = read_labels(path, OF_INSTANCES)
            masks: Any = [numbers == number for number in np.unique(numbers[numbers > 0])]
            size = numbers.shape
        else:
            masks = read_json(path)
            size = _size_of(masks, path)
        if not len(masks):
            return []
        upright = label_frame(photo, size, str(path), self._exif, decode=False)
        try:
            regions = read_masks(masks, *size)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        regions = [region for region in regions if region.area]
        return regions if upright is None else [ArrayMask(upright(region.mask())) for region in regions]


def _plain(path: Path) -> str:
    """A path as it is, however it is spelt; links are not followed, since two photos may be links to one."""
    return os.path.normpath(path.absolute())


def _size_of(masks: Any, path: Path) -> tuple[int, int]:
    """(H, W) of the first mask of SAM's list."""
    if not isinstance(masks, list):
        raise DataError(f"{path}: expected a list of masks, as SAM's amg.py --convert-to-rle writes it")
    first = masks[0] if masks else {"size": [0, 0]}
    code = first.get("segmentation", first) if isinstance(first, dict) else None
    size = code.get("size") if isinstance(code, dict) else None
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side >= 0 for side in size):
        raise DataError(f"{path}, entry 1: expected a run-length code with its size, as [height, width], and counts")
    return size[0], size[1]


def open_source(
    text: str, photos: Mapping[str, Path], images: Path, *, count: int, sam: SamSettings, exif: Exif | None, device: str
) -> MaskSource:
    """The source that a setting names.

    Args:
        text: ``superpixels``, ``sam:`` and a checkpoint, a JSON file, or a folder.
        photos: stem -> file.
        images: the folder that they lie in.
        count: superpixels a photo.
        sam: which of SAM's masks are kept.
        exif: the frame of a folder's masks.
        device: where SAM runs.

    Raises:
        MissingFileError: there is no such file or checkpoint, or it is of other photos.
        DataError: it holds no masks.
        MissingDependencyError: a package of the extra ``segment`` is not installed.
    """
    import torch

    if text == SUPERPIXELS:
        return Superpixels(count)
    if text.startswith(SAM):
        return SamMasks(Sam(text.removeprefix(SAM), sam, torch.device(device)))
    path = Path(text)
    if path.is_dir():
        found = FolderMasks(path, exif)
        found.require(photos)
        return found
    if not path.is_file():
        raise MissingFileError(
            f"{text} is no file or folder of masks; check `masks`, or give {SUPERPIXELS} or sam: and a checkpoint"
        )
    masks = FileMasks(path, images)
    masks.require(photos)
    return masks
