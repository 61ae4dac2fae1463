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

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval.instance3d import Instance
from opendas_plugin.files import read_json
from opendas_plugin.names import check_names, normal_form

Protocol = Literal["scannet", "scannetpp"]

logger = logging.getLogger(__name__)


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
        check_names(names, str(path))
        return Classes(tuple(range(len(names))), names)
    pairs = [line.split(maxsplit=1) for line in names]
    for number, pair in enumerate(pairs):
        if len(pair) < 2 or not pair[0].isdecimal():
            raise DataError(f'{path}, line {number + 1}: expected "id name", got {names[number]!r}')
    ids = tuple(int(first) for first, _ in pairs)
    if len(set(ids)) < len(ids):
        raise DataError(f"{path}: expected each class id once")
    check_names([name for _, name in pairs], str(path))
    return Classes(ids, tuple(name for _, name in pairs))


def read_names(path: Path) -> tuple[str, ...]:
    """Reads the lines of a text file that are not empty, in Unicode's NFC.

    Raises:
        MissingFileError, DataError: there is no such file, or nothing in it.
    """
    lines = tuple(normal_form(line.strip()) for line in _text(path).splitlines() if line.strip())
    if not lines:
        raise DataError(f"{path} is empty; expected a line for each name")
    return lines


def read_truth(path: Path) -> NDArray[np.int64]:
    """Reads class * 1000 + instance of each point, (N,), one integer a line.

    Raises:
        MissingFileError, DataError: there is no such file, or a line is no integer.
    """
    return _integers(path, "class * 1000 + instance")


def read_kept(path: Path, points: int) -> NDArray[np.bool_]:
    """Reads a mesh mask (the numbers of vertices to leave out, one a line): (N,) False for those.

    Raises:
        MissingFileError, DataError: there is no such file, or a number is no vertex.
    """
    removed = _integers(path, "a vertex number")
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
    path = folder / f"{scene}.txt"
    found: dict[Path, tuple[int, float]] = {}
    for number, line in enumerate(_text(path).splitlines()):
        mask, class_id, score = _prediction_line(line, f"{path}, line {number + 1}", protocol)
        if not (folder / mask).resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{path}, line {number + 1}: {mask} lies outside {folder}; mask files must lie in it")
        if class_id not in known:
            raise DataError(
                f"{path}, line {number + 1}: the class id {class_id} is not one of the {len(known)} in `classes`, "
                f"{min(known)} to {max(known)}; use the list that the predictions were made by"
            )
        if folder / mask in found:
            logger.warning("%s names %s twice; the last line counts", path, mask)
        found[folder / mask] = class_id, score
    read_mask = read_rle if protocol == "scannetpp" else read_mask_lines
    for file, (class_id, score) in found.items():
        yield Instance(read_mask(file, points), class_id, score)


def read_mask_lines(path: Path, points: int) -> NDArray[np.int64]:
    """Reads a mask with one number a point, 0 outside: the points (n,) inside.

    Raises:
        MissingFileError, DataError: there is no such file, or it is not about ``points`` points.
    """
    values = _integers(path, "0 or 1")
    if len(values) != points:
        raise DataError(f"{path} is about {len(values)} points, but the ground truth has {points}")
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
    except ValueError as error:
        raise odd from error
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    if content.get("length") != points or len(starts) != len(lengths):
        raise odd
    if len(starts) and not (starts.min() >= 0 and lengths.min() >= 0 and (starts + lengths).max() <= points):
        raise odd
    first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)  # of each run, less what came before it
    return np.unique(first + np.arange(lengths.sum()))


def _prediction_line(line: str, where: str, protocol: Protocol) -> tuple[str, int, float]:
    try:
        mask, class_id, score = line.split()
        if not float(class_id).is_integer():
            raise ValueError(class_id)
        parsed = mask, int(float(class_id)), float(score)
    except (ValueError, OverflowError) as error:
        raise DataError(f'{where}: expected "mask_file class_id score", got {line!r}') from error
    if not math.isfinite(parsed[2]) or (protocol == "scannetpp" and not 0 <= parsed[2] <= 1):
        wanted = "from 0 to 1" if protocol == "scannetpp" else "that is a number"
        raise DataError(f"{where}: expected a score {wanted}, got {score}")
    return parsed


def _integers(path: Path, what: str) -> NDArray[np.int64]:
    lines = _text(path).split()
    try:
        return np.array(lines, dtype=np.int64) if lines else np.empty(0, dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: expected {what} a line ({error})") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, found other bytes at {error.start}") from error
