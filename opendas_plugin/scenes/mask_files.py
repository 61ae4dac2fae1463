"""Masks of a scene's points in the benchmarks' files: lists of predictions, lines of 0 and 1, run-length codes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.files import read_json, read_lines
from opendas_plugin.wording import counted


def read_listing(folder: Path, scene: str) -> Iterator[tuple[str, str, str, str]]:
    """Yields where it stands, mask file, class id and score of each line of ``<scene>.txt``.

    Mask files are paths in ``folder``; links in it may lead elsewhere.

    Raises:
        MissingFileError, DataError: there is no such file, a line has not three words, or a path leads out of the
            folder.
    """
    path = folder / f"{scene}.txt"
    for number, line in enumerate(read_lines(path, "give predictions for this scene"), 1):
        where = f"{path}, line {number}"
        if not line:
            continue
        try:
            mask, class_id, score = line.split()
        except ValueError as error:
            raise DataError(f'{where}: expected "mask_file class_id score", got {line!r:.80}') from error
        inside = Path(os.path.normpath(mask))  # by its name: a folder of masks may be a link to another disk
        if inside.is_absolute() or inside.parts[:1] in ((os.pardir,), ()):
            raise DataError(f"{where}: {mask} lies outside {folder}; mask files must lie in it")
        yield where, inside.as_posix(), class_id, score


def read_integers(path: Path, what: str) -> NDArray[np.int64]:
    """Reads one integer a line; ``what`` names it in errors.

    Raises:
        MissingFileError, DataError: there is no such file, or a line is something else.
    """
    lines = read_lines(path)
    if lines == [""]:
        return np.empty(0, dtype=np.int64)
    try:
        return np.array(lines, dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: expected {what} a line ({error})") from error


def read_mask_lines(path: Path, points: int) -> NDArray[np.int64]:
    """Reads a mask with one number a point, 0 outside: the points (n,) inside.

    Raises:
        MissingFileError, DataError: there is no such file, or it is not about ``points`` points.
    """
    values = read_integers(path, "0 or 1")
    if len(values) != points:
        raise DataError(f"{path} is about {counted(len(values), 'point')}, but the ground truth has {points:,}")
    return np.flatnonzero(values)


def read_rle(path: Path, points: int) -> NDArray[np.int64]:
    """Reads ScanNet++'s run-length code (common/utils/rle.py): the points (n,) inside.

    Raises:
        MissingFileError, DataError: there is no such file, or it is not such a code of ``points`` points.
    """
    content = read_json(path)
    odd = DataError(f'{path}: expected {{"length": {points}, "counts": "start number ..."}} with starts from 1')
    if not isinstance(content, dict) or not isinstance(content.get("counts"), str):
        raise odd
    try:
        numbers = np.array(content["counts"].split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise odd from error
    if type(content.get("length")) is int and content["length"] != points:
        raise DataError(f"{path} is about {content['length']} points, but the scene has {points}")
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    if type(content.get("length")) is not int or len(starts) != len(lengths):
        raise odd
    if len(starts) and not (
        starts.min() >= 0 and lengths.min() >= 0 and lengths.max() <= points and (starts + lengths).max() <= points
    ):
        raise odd
    steps = np.zeros(points + 1, dtype=np.int64)  # runs may overlap: their number is no bound of the memory
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + lengths, -1)
    return np.flatnonzero(np.cumsum(steps[:-1]) > 0)
