"""Writing that leaves either the old file or the whole new one, never half of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opendas_plugin.errors import DataError, MissingFileError, OutputError


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``; on success it is flushed to disk and renamed to ``path``.

    Where ``path`` is a link, the file that it points at is written, and the link stays.

    Raises:
        OutputError: the folder cannot be made or written, the disk is full, or ``path`` is no file; it is as it was.
    """
    path = _behind_links(Path(path))
    if path.exists() and not path.is_file():
        raise OutputError(f"could not write {path}: it is no file; choose another output")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if isinstance(error, OutputError | MissingFileError):
            raise
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yields an empty temporary folder beside ``path``; on success it takes the place of ``path`` and all in it.

    Where ``path`` is a link, the folder that it points at is replaced, and the link stays.

    Raises:
        OutputError: the folder cannot be written, the disk is full, or ``path`` is a file; it is as it was.
    """
    path = _behind_links(Path(path))
    if path.exists() and not path.is_dir():
        raise OutputError(f"could not write {path}: it is a file; choose a folder for the output")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        os.chmod(temporary, 0o777 & ~_umask())
        yield temporary
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            os.replace(path, old / "contents")
            os.replace(temporary, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, path)
    except OSError as error:
        if isinstance(error, OutputError | MissingFileError):
            raise
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def require_writable(folder: str | Path) -> None:
    """Makes a folder and writes to it once, so that hours of work do not end at a folder that refuses them.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    probe = Path(folder) / ".writable"
    with atomic_file(probe) as temporary:
        temporary.touch()
    probe.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Writes ``text`` as UTF-8 through :func:`atomic_file`."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes ``value`` as indented JSON with sorted keys through :func:`atomic_file`."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Reads a JSON file.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is not UTF-8 JSON; the message has the line.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; check the path") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: expected JSON, got {error.msg!r}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, found other bytes at {error.start}") from error


def _behind_links(path: Path) -> Path:
    """Where a path leads, which need not be there yet.

    Raises:
        OutputError: links that lead in a circle.
    """
    real = Path(os.path.realpath(path))
    if real.is_symlink():
        raise OutputError(f"could not write {path}: its links lead in a circle; choose another output")
    return real


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"could not write {path}: {error.strerror or error}; free space or choose another output")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
