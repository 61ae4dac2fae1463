"""Files of 3D masks, which points of a cloud belong to which mask, in every form in which they are kept."""

from __future__ import annotations

import logging
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.files import atomic_file
from opendas_plugin.wording import counted

log = logging.getLogger(__name__)

_EXPECTED = "expected points x masks, above 0 where a point belongs to a mask"
_NAMES = ("masks", "pred_masks")  # of the masks among other things; the second is Mask3D's
_KINDS = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64"


def read_masks(path: str | Path) -> sparse.csr_matrix:
    """Reads a mask file: bool (N, M), which of N points belong to which of M masks.

    See :func:`read_values` for its forms and errors.
    """
    values = read_values(path)
    return sparse.csr_matrix(values > 0)


def read_values(path: str | Path) -> NDArray[Any] | sparse.csr_matrix:
    """Reads the numbers of a mask file, (N, M), above 0 where a point belongs to a mask.

    A ``.npy`` file; an ``.npz`` with one array, one called ``masks``, or a matrix of scipy's; any other as
    ``torch.save`` wrote it: a numpy array, as OpenMask3D's are, or a tensor, dense, COO or CSR, alone, in a pair with
    scores, or as ``masks`` or ``pred_masks`` of a dict. Scores are left aside, which is logged.

    Returns:
        numbers as they are stored, bfloat16 and smaller as float32; sparse where the file is.

    Raises:
        MissingFileError, DataError: there is no such file, it cannot be read, or holds something else.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        content: Any = read_array(path, "compute the masks first")
    else:
        content = _read_archive(path) if path.suffix.lower() == ".npz" else _load(path)
    values = _numbers(path, _without_scores(path, content))
    if values.ndim != 2:
        raise DataError(f"{path} holds an array of shape {tuple(values.shape)}; {_EXPECTED}")
    held = np.asarray(values.data if sparse.issparse(values) else values)
    if held.dtype.kind == "f" and np.isnan(held).any():
        raise DataError(f"{path} holds values that are no numbers; compute the masks again")
    if (kinds := np.unique(held[held > 0])).size > 1:
        raise DataError(
            f"{path} holds {kinds[0]:g}, {kinds[1]:g} and so on; expected 0 and one other number: of shares, or "
            "of instances' numbers, make a column a mask first"
        )
    return values


def sparse_masks(masks: Any, points: int) -> sparse.csr_matrix:
    """Returns (N, M) masks, an array, a tensor or a sparse matrix, as one that is checked against the cloud.

    Raises:
        DataError: no masks, none with a point, or another number of rows than ``points``.
    """
    if masks.ndim != 2 or masks.shape[1] == 0:
        raise DataError(f"the mask file holds no masks: expected (points, masks), got {tuple(masks.shape)}")
    if masks.shape[0] != points:
        turned = " (they look turned: a row a mask, not a column)" if masks.shape[1] == points else ""
        raise DataError(
            f"the masks are about {counted(masks.shape[0], 'point')}, but the cloud has {points:,}{turned}; they "
            "must be of the "
            "same cloud"
        )
    matrix = sparse.csr_matrix(_numbers("the masks", masks) > 0)
    if not matrix.nnz:
        raise DataError(f"all {masks.shape[1]} masks are empty; compute the masks again")
    return matrix


def save_masks(path: str | Path, masks: NDArray) -> None:
    """Writes masks (points, masks) as OpenMask3D does: a numpy array of float16 by ``torch.save``."""
    with atomic_file(path) as temporary:
        torch.save(np.asarray(masks, dtype=np.float16), temporary)


def safe_kinds() -> list[Any]:
    """What ``torch.load`` must be allowed to build for numpy arrays of numbers; nothing of it acts.

    The same function has one name in files that numpy 1 wrote, and another in those of numpy 2.
    """
    reconstruct = np.empty(0).__reduce__()[0]
    names = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
    kinds = [type(np.dtype(kind)) for kind in _KINDS.split()]
    return [np.ndarray, np.dtype, *kinds, bytes, *((reconstruct, name) for name in names)]


def read_array(path: str | Path, advice: str) -> NDArray[Any]:
    """Reads the array of a ``.npy`` file, which is as long as its head says; ``advice``: what to do if there is none.

    Raises:
        MissingFileError, DataError: there is no such file, or it holds something else.
    """
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # no memory is taken before the size is looked at
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; {advice}") from error
    except (OSError, ValueError, EOFError, OverflowError, SyntaxError, TypeError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read as a .npy file ({reason}); {advice}") from error
    if not isinstance(mapped, np.ndarray):
        raise DataError(f"{path} is an archive of arrays; expected a .npy file with one")
    return np.array(mapped)


def _read_archive(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.zip.namelist():
                _check_header(arrays.zip, name, size)
            if "format" in arrays.files:
                return _checked(sparse.load_npz(path))
            return dict(arrays) if len(arrays.files) != 1 else arrays[arrays.files[0]]
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; compute the masks first") from error
    except Exception as error:  # a damaged file can fail at any point of its reader
        raise _unreadable(path, error) from error


def _check_header(archive: zipfile.ZipFile, name: str, size: int) -> None:
    """Compares an array's length with its file's, before anything is allocated."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
    if np.prod(shape, dtype=object) * kind.itemsize > size:
        raise ValueError(f"{name} is longer than its file")


def _load(path: Path) -> Any:
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; compute the masks first")
    try:
        with torch.serialization.safe_globals(safe_kinds()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that sparse tensors are validated
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail at any point of its reader
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    refused = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
    reason = f"it asks for {refused[1]}" if refused else (str(error).splitlines() or [type(error).__name__])[0]
    return DataError(f"{path} cannot be read as masks ({reason}); expected an array of points x masks")


def _without_scores(path: Path, content: Any) -> Any:
    """The masks of what a file holds."""
    if isinstance(content, Mapping):
        named = [name for name in _NAMES if name in content]
        others = [str(name) for name in content if name not in named]
        if len(named) != 1:
            raise DataError(
                f"{path} holds {', '.join([*named, *others]) or 'nothing'}; {_EXPECTED}, alone or named masks"
            )
        masks = content[named[0]]
        scores = next((content[name] for name in content if "score" in str(name)), None)
        _check_scores(path, masks, scores)
    elif isinstance(content, tuple | list) and [getattr(part, "ndim", None) for part in content] == [2, 1]:
        masks, others = content[0], ["scores"]
        _check_scores(path, masks, content[1])
    else:
        return content
    if others:
        log.warning(
            "%s: of it the masks alone are used, and not %s: every mask has the score 1, as in OpenMask3D",
            path,
            ", ".join(others),
        )
    return masks


def _check_scores(path: Path, masks: Any, scores: Any) -> None:
    if getattr(scores, "ndim", None) == 1 and getattr(masks, "ndim", None) == 2 and len(scores) != masks.shape[1]:
        raise DataError(
            f"{path} holds {counted(len(scores), 'score')} for {counted(masks.shape[1], 'mask')}; compute them again"
        )


def _numbers(path: str | Path, masks: Any) -> NDArray[Any] | sparse.csr_matrix:
    """Masks as an array of numpy's, or a sparse matrix; what is neither is refused by its name."""
    if isinstance(masks, torch.Tensor):
        masks = _from_torch(path, masks.detach().cpu())
    if sparse.issparse(masks):
        masks = masks.tocsr()
    elif not isinstance(masks, np.ndarray):
        count = f" of {len(masks)}" if isinstance(masks, tuple | list) else ""
        raise DataError(f"{path} holds a {type(masks).__name__}{count}; {_EXPECTED}")
    if masks.dtype.kind not in "biuf":
        raise DataError(f"{path} holds {masks.dtype}; {_EXPECTED}")
    return masks


def _from_torch(path: str | Path, masks: torch.Tensor) -> Any:
    if masks.dtype.is_complex or masks.is_quantized or masks.layout not in _LAYOUTS or masks.ndim != 2:
        shape = f"{masks.dtype} {tuple(masks.shape)}, {masks.layout}"
        raise DataError(f"{path} holds a tensor of {shape}; {_EXPECTED}, dense, COO or CSR")
    try:
        if masks.layout == torch.sparse_coo:
            rows, columns = masks._indices().numpy()
            return _checked(sparse.coo_matrix((_plain(masks._values()), (rows, columns)), shape=tuple(masks.shape)))
        if masks.layout == torch.sparse_csr:
            parts = _plain(masks.values()), masks.col_indices().numpy(), masks.crow_indices().numpy()
            return _checked(sparse.csr_matrix(parts, shape=tuple(masks.shape)))
    except ValueError as error:
        raise _unreadable(Path(path), error) from error
    return _plain(masks)


_LAYOUTS = (torch.strided, torch.sparse_coo, torch.sparse_csr)


def _plain(values: torch.Tensor) -> NDArray[Any]:
    """A tensor as numpy has it, which knows neither bfloat16 nor what is smaller than float16."""
    small = values.is_floating_point() and values.dtype not in (torch.float16, torch.float32, torch.float64)
    found: NDArray[Any] = (values.float() if small else values).numpy()
    return found


def _checked(matrix: Any) -> sparse.csr_matrix:
    """A sparse matrix of a file, whose indices lie in its shape."""
    if matrix.format in ("csr", "csc"):
        matrix.check_format(full_check=True)
    elif matrix.format != "coo":
        raise ValueError(f"a sparse matrix of format {matrix.format}, where csr, csc or coo is expected")
    return sparse.csr_matrix(matrix)
