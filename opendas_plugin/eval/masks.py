"""Class-agnostic masks of pictures -> class maps: each mask is classified, and what they say of a pixel is added up."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from opendas_plugin.data.images import IMAGE_SUFFIXES, Exif, label_frame, picture_size
from opendas_plugin.data.mask_entries import mask_entries
from opendas_plugin.data.segments import Segment, check_rle, encode
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval.label_maps import map_files, match, without_suffix
from opendas_plugin.eval.semantic import NONE
from opendas_plugin.files import find_files, read_json, write_json, write_text
from opendas_plugin.labeller import Labeller
from opendas_plugin.wording import counted, some_of

Entry = dict[str, object]
Bare = tuple[str, tuple[int, int]]
"""A picture without masks: its path in the folder of pictures, and (H, W)."""

logger = logging.getLogger(__name__)


def read_proposals(path: str | Path, images: str | Path) -> list[Segment]:
    """Reads class-agnostic masks: a list of ``file_name`` (in ``images``) and ``segmentation`` (COCO run-length code).

    Masks of a picture with an EXIF orientation also have ``exif``, "turned" or "stored": the pixels they are of. COCO's
    instances (``images`` and ``annotations``, whose polygons or codes are taken and whose categories are not) do, too.

    Returns:
        A segment a mask, those of a picture together, with an empty label and ``file_name`` as their group.

    Raises:
        MissingFileError: there is no such file, or a picture is missing.
        DataError: an entry is not such a mask; the message has its number.
    """
    content, by_image = read_json(path), defaultdict[str, list[Segment]](list)
    frames = defaultdict[str, set[tuple[tuple[int, int], Exif | None]]](set)
    for place, entry in enumerate(mask_entries(content, path)):
        if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
            raise DataError(f'{path}, entry {place + 1}: expected {{"file_name": ..., "segmentation": ...}}')
        fault = check_rle(entry.get("segmentation"))
        if fault is not None:
            raise DataError(f"{path}, entry {place + 1}: {fault}")
        if entry.get("exif") not in (None, "turned", "stored"):
            raise DataError(
                f'{path}, entry {place + 1}: expected "exif" as turned or stored, got {entry["exif"]!r:.60}'
            )
        name = entry["file_name"]
        by_image[name].append(Segment(Path(images) / name, entry["segmentation"], "", name))
        frames[name].add((by_image[name][-1].size, entry.get("exif")))
    missing = [segments[0].image for segments in by_image.values() if not segments[0].image.is_file()]
    if missing:
        raise MissingFileError(f"{missing[0]} does not exist ({counted(len(missing), 'such picture')}); check `images`")
    if not by_image:
        raise DataError(f"{path} holds no masks")
    for name, found in frames.items():
        by_image[name] = _upright(by_image[name], found, f"{path}: a mask")
    return [segment for segments in by_image.values() for segment in segments]


def pictures_without_masks(masks: Sequence[Segment], images: Path, ground_truth: Path) -> list[Bare]:
    """The pictures that have a label map and no mask, and looks whether the masks are of the label maps' sizes.

    Args:
        masks: by :func:`read_proposals`.
        images: folder of the pictures.
        ground_truth: folder of the label maps.

    Raises:
        MissingFileError: a label map has neither masks nor a picture, or none of them has masks.
        DataError: a mask is not of its label map's size.
    """
    maps = map_files(ground_truth)
    sizes: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for mask in masks:
        sizes[without_suffix(mask.group)].add(mask.size)
    covered = match(sizes, maps)
    for stem, found in covered.items():
        height, width = picture_size(maps[stem])
        odd = sorted(found - {(height, width)})
        if odd:
            raise DataError(
                f"{maps[stem]} is {width}x{height}, but a mask of its picture {odd[0][1]}x{odd[0][0]}; make them anew"
            )
    bare = [stem for stem in maps if stem not in covered]
    if not covered:
        raise MissingFileError(f"no mask is of a picture that {ground_truth} has a label map for; check the paths")
    pictures = _pictures(images) if bare else {}
    own = match(pictures, bare)
    missing = [stem for stem in bare if stem not in own]
    if missing:
        raise MissingFileError(
            f"{maps[missing[0]]} has neither masks nor a picture in {images} "
            f"({counted(len(missing), 'such label map')} of "
            f"{len(maps)}); add the picture"
        )
    if bare:
        logger.warning(
            "%s no mask, %s first: every pixel there counts as missed",
            some_of(len(bare), len(maps), "picture", "has", "have"),
            bare[0],
        )
    return [(own[stem], picture_size(maps[stem])) for stem in bare]


def _pictures(images: Path) -> dict[str, str]:
    """Path without suffix -> path in the folder, of all pictures in it."""
    return {stem: path.relative_to(images).as_posix() for stem, path in find_files(images, IMAGE_SUFFIXES).items()}


def _upright(segments: list[Segment], frames: set[tuple[tuple[int, int], Exif | None]], name: str) -> list[Segment]:
    """The masks of a picture in the frame that it is read in."""
    if len(frames) > 1:
        raise DataError(f"{name} of {segments[0].image} has another size or frame than others; make them anew")
    size, exif = next(iter(frames))
    upright = label_frame(segments[0].image, size, name, exif, decode=False)
    if upright is None:
        return segments
    return [replace(segment, rle=encode(upright(segment.mask()))) for segment in segments]


def write_proposals(path: str | Path, segments: Sequence[Segment]) -> None:
    """Writes what :func:`read_proposals` reads; ``file_name`` is each segment's group."""
    write_json(
        path,
        [{"file_name": segment.group, "segmentation": dict(segment.rle), "exif": "turned"} for segment in segments],
    )


def classify_masks(labeller: Labeller, masks: Sequence[Segment]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns each mask's cosines with the labeller's names (M, N), and their softmax at CLIP's logit scale (M, N)."""
    found = torch.empty((len(masks), len(labeller.classes)))
    for index, cosines in labeller.segments(masks):
        found[index] = cosines
    return found.numpy(), labeller.text.softmax(found).numpy()


def write_names(path: str | Path, masks: Sequence[Segment], cosines: NDArray[np.float32], names: Sequence[str]) -> None:
    """Writes what each mask was named as JSON lines: ``file_name``, ``segmentation`` (COCO RLE), ``name``, ``cosine``.

    Args:
        path: the file.
        masks: M masks.
        cosines: (M, N).
        names: the N names.
    """
    lines = []
    for mask, row in zip(masks, cosines, strict=True):
        best = int(row.argmax())
        line = {"file_name": mask.group, "name": names[best], "cosine": round(float(row[best]), 6)}
        lines.append(json.dumps({**line, "segmentation": dict(mask.rle)}, ensure_ascii=False))
    write_text(path, "".join(f"{line}\n" for line in lines))


def fuse(masks: Sequence[NDArray[np.bool_]], probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Gives each pixel the class with the highest sum of probabilities over the masks that cover it.

    OVSeg's and MaskFormer's rule (semantic inference) for masks of zeros and ones.

    Args:
        masks: M masks (H, W) of one picture.
        probabilities: (M, N).

    Returns:
        (H, W) class indices, ``NONE`` where no mask lies.
    """
    stack = np.stack([mask.ravel() for mask in masks], axis=1)  # (H * W, M)
    packed = np.packbits(stack, axis=1)
    keys, place = np.unique(packed.view(np.dtype((np.void, packed.shape[1]))).ravel(), return_inverse=True)
    covers = np.unpackbits(keys.view(np.uint8).reshape(len(keys), -1), axis=1, count=len(masks))  # (sets, M)
    classes = np.where(covers.any(axis=1), (covers @ probabilities.astype(np.float64)).argmax(axis=1), NONE)
    return classes[place].reshape(masks[0].shape)


def predict_maps(
    masks: Sequence[Segment], probabilities: NDArray[np.float32]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yields each picture's ``file_name`` and fused class map.

    Raises:
        DataError: the masks of a picture differ in size.
    """
    start = 0
    while start < len(masks):
        name, end = masks[start].group, start
        while end < len(masks) and masks[end].group == name:
            end += 1
        sizes = {segment.size for segment in masks[start:end]}
        if len(sizes) > 1:
            raise DataError(f"{name}: expected masks of one size, got {sorted(sizes)}")
        yield name, fuse([segment.mask() for segment in masks[start:end]], probabilities[start:end])
        start = end


def map_entries(name: str, classes: NDArray[np.int64]) -> list[Entry]:
    """A class map as entries of detectron2's ``sem_seg_predictions.json``."""
    return [
        {
            "file_name": PurePosixPath(name).as_posix(),
            "category_id": int(index),
            "segmentation": encode(classes == index),
        }
        for index in np.unique(classes[classes != NONE])
    ]


def empty_entry(name: str, size: tuple[int, int]) -> Entry:
    """A map (H, W) without any class in detectron2's form: a mask of no pixels, so that the picture is known."""
    nothing = encode(np.zeros(size, dtype=bool))
    return {"file_name": PurePosixPath(name).as_posix(), "category_id": 0, "segmentation": nothing}
