"""The files of a 3D instance evaluation: ground truth, predictions as ScanNet and ScanNet++ write them, class lists."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import DataError
from opendas_plugin.eval.instance3d import Instance
from opendas_plugin.files import read_lines, read_list, require_unique
from opendas_plugin.names import check_names, normal_form
from opendas_plugin.scenes.mask_files import read_integers, read_listing, read_mask_lines, read_rle

Protocol = Literal["scannet", "scannetpp"]

logger = logging.getLogger(__name__)

_DIGITS = 15  # of a class id; times 1000 it must fit an int64


@dataclass(frozen=True)
class Classes:
    """The classes of a benchmark.

    Attributes:
        ids: class id of each name.
        names: as long as ``ids``.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]

    def only(self, names: Sequence[str]) -> Classes:
        """These classes alone, in the benchmark's order.

        Raises:
            DataError: one of ``names`` is no class.
        """
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            raise DataError(f"{unknown[0]!r} is not one of the {len(self.names)} classes")
        kept = [(number, name) for number, name in zip(self.ids, self.names, strict=True) if name in names]
        return Classes(*(tuple(part) for part in zip(*kept, strict=True)))


def read_classes(path: Path, protocol: Protocol) -> Classes:
    """Reads a class list: lines ``id name`` (scannet), or a name a line, numbered from 0 (scannetpp's ``top100.txt``).

    Raises:
        MissingFileError, DataError: there is no such file, or a line or an id is not as it should be.
    """
    names = read_names(path)
    if protocol == "scannetpp":
        if len(read_lines(path)) != len(names):
            raise DataError(f"{path} has an empty line, but names are numbered by their lines; remove it or name it")
        check_names(names, str(path))
        return Classes(tuple(range(len(names))), names)
    pairs = [line.split(maxsplit=1) for line in names]
    for number, pair in enumerate(pairs):
        if len(pair) < 2 or not pair[0].isdecimal() or len(pair[0]) > _DIGITS:
            raise DataError(f'{path}, line {number + 1}: expected "id name", got {names[number]!r}')
    ids = tuple(int(first) for first, _ in pairs)
    require_unique(ids, f"{path}: the class id")
    check_names([name for _, name in pairs], str(path))
    return Classes(ids, tuple(name for _, name in pairs))


def read_names(path: Path) -> tuple[str, ...]:
    """Reads the lines of a text file that are not empty, in Unicode's NFC.

    Raises:
        MissingFileError, DataError: there is no such file, nothing in it, or a line twice.
    """
    return tuple(normal_form(line) for line in read_list(path))


def read_truth(path: Path) -> NDArray[np.int64]:
    """Reads class * 1000 + instance of each point, (N,), one integer a line.

    Raises:
        MissingFileError, DataError: there is no such file, or a line is no integer.
    """
    return read_integers(path, "class * 1000 + instance")


def read_kept(path: Path, points: int) -> NDArray[np.bool_]:
    """Reads a mesh mask (the numbers of vertices to leave out, one a line): (N,) False for those.

    Raises:
        MissingFileError, DataError: there is no such file, or a number is no vertex.
    """
    removed = read_integers(path, "a vertex number")
    if removed.size and not (removed.min() >= 0 and removed.max() < points):
        raise DataError(f"{path}: expected vertices 0 to {points - 1}, got {removed.min()} to {removed.max()}")
    kept = np.ones(points, dtype=bool)
    kept[removed] = False
    return kept


def check_truth(path: Path, truth: NDArray[np.int64], known: Collection[int]) -> None:
    """Looks whether every class of the ground truth is known; 0, and numbers below 1000, are no class here.

    Raises:
        DataError: a number is negative, or of a class that is not known.
    """
    numbers = np.unique(truth)
    if len(numbers) and numbers[0] < 0:
        raise DataError(f"{path}: expected class * 1000 + instance, got {numbers[0]}")
    classes = np.unique(numbers[numbers >= 1000] // 1000).tolist()
    unknown = [str(number) for number in classes if number not in known]
    if unknown:
        raise DataError(
            f"{path} has points of the class ids {' '.join(unknown[:20])}{' ...' if unknown[20:] else ''}, which are "
            "not in `classes`; use the list that it was made by, or name those that do not count by `void`"
        )


def read_predictions(
    folder: Path, scene: str, points: int, protocol: Protocol, known: Collection[int]
) -> Iterator[Instance]:
    """Yields the instances of ``<scene>.txt``, whose lines are ``mask_file class_id score``, one mask at a time.

    A mask file holds one 0 or 1 a point (scannet), or ``{"length", "counts": "start number ..."}`` with starts from 1
    (scannetpp). Where a mask file is named twice its last line counts, as in both benchmarks.

    Args:
        folder, scene: where the file is.
        points: of the scene.
        protocol: whose mask files.
        known: the class ids that a line may have.

    Raises:
        MissingFileError, DataError: a file is missing, lies outside ``folder``, or does not hold what it should.
    """
    found: dict[str, tuple[int, float]] = {}
    for where, mask, text, score in read_listing(folder, scene):
        class_id, sure = _class_and_score(text, score, where, protocol)
        if class_id not in known:
            raise DataError(
                f"{where}: the class id {class_id} is not one of the {len(known)} in `classes`, "
                f"{min(known)} to {max(known)}; use the list that the predictions were made by"
            )
        if mask in found:
            logger.warning("%s names %s twice; the last line counts", where, mask)
        found[mask] = class_id, sure
    read_mask = read_rle if protocol == "scannetpp" else read_mask_lines
    for mask, (number, confidence) in found.items():
        yield Instance(read_mask(folder / mask, points), number, confidence)


def _class_and_score(class_id: str, score: str, where: str, protocol: Protocol) -> tuple[int, float]:
    try:
        if not float(class_id).is_integer():
            raise ValueError(class_id)
        parsed = int(float(class_id)), float(score)
    except (ValueError, OverflowError) as error:
        raise DataError(f'{where}: expected "mask_file class_id score", got {class_id!r} and {score!r}') from error
    if not math.isfinite(parsed[1]) or (protocol == "scannetpp" and not 0 <= parsed[1] <= 1):
        wanted = "from 0 to 1" if protocol == "scannetpp" else "that is a number"
        raise DataError(f"{where}: expected a score {wanted}, got {score}")
    return parsed
