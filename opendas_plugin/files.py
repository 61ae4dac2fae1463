"""Files: written whole or not at all, and read with errors that name the file."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Collection, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

from opendas_plugin.errors import DataError, MissingFileError, OpenDASError, OutputError


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


def cache_home() -> Path:
    """The user's folder for what is made once and kept: ``$OPENDAS_HOME``, or ``opendas-plugin`` in their cache."""
    if named := os.environ.get("OPENDAS_HOME"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "opendas-plugin"


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


def read_text(path: str | Path, advice: str = "check the path") -> str:
    """Reads a UTF-8 text with or without a byte-order mark; ``advice`` says what to do where there is no such file.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").replace("\ufeff", "")  # joined files have one in their middle
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist; {advice}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, found other bytes at {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error


def read_lines(path: str | Path, advice: str = "check the path") -> list[str]:
    """The lines of a text without white space around them, empty ones included but for those at the end.

    Raises:
        MissingFileError, DataError: as :func:`read_text`.
    """
    return [line.strip() for line in read_text(path, advice).rstrip().split("\n")]


def read_list(path: str | Path, advice: str = "check the path") -> list[str]:
    """The lines of a text that are not empty, each of which must occur once.

    Raises:
        MissingFileError, DataError: as :func:`read_text`; also where there is no line, or one is repeated.
    """
    lines = [line for line in read_lines(path, advice) if line]
    if not lines:
        raise DataError(f"{path} is empty; expected a line for each name")
    require_unique(lines, f"{path}: the line")
    return lines


def read_json(path: str | Path, damaged: str | None = None) -> Any:
    """Reads a JSON file.

    Args:
        path: of the file.
        damaged: what to do about a file that is not JSON, for the error.

    Raises:
        MissingFileError: there is no such file.
        DataError: the file is not UTF-8 JSON, or an object has a key twice; the message has the line or the key.
    """
    if damaged is not None:
        try:
            return read_json(path)
        except DataError as error:
            raise DataError(f"{error}; {damaged}") from error

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            require_unique((key for key, _ in pairs), f"{path}: the key")
        return found

    try:
        return json.loads(read_text(path), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: expected JSON, got {error.msg!r}") from error
    except RecursionError as error:
        raise DataError(f"{path}: expected JSON, got lists or objects inside each other without end") from error
    except OpenDASError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"{path}: expected JSON with numbers that can be read ({error})") from error


def holds_text(path: str | Path, *texts: str) -> bool:
    """Whether a file's bytes hold all of the texts, whatever else it is; one that cannot be read has none."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(text.encode()) >= 0 for text in texts)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def require_unique(values: Iterable[Hashable], what: str) -> None:
    """Looks whether values by which things are found occur once.

    Raises:
        DataError: one does not; the message begins with ``what``, as in "a.json: the image id".
    """
    seen: set[Hashable] = set()
    for value in values:
        if value in seen:
            raise DataError(f"{what} {value!r} is there twice, so that one would hide the other; remove one")
        seen.add(value)


def names_file(text: object) -> bool:
    """Whether a text that may be something else, such as a list of names, is the path of a file that is there."""
    try:
        return isinstance(text, str | Path) and Path(text).is_file()
    except (OSError, ValueError):  # longer than any path, or with a character that none has
        return False


_MOST_VISITS = 64  # of one folder by different links; links to links can be followed in 2^n ways


def find_files(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """The files of a folder and of all below it, links followed, that end in one of ``suffixes`` (in lower case).

    A link back to a folder that it lies in is passed over, since all of it is read already. Names with a dot first are
    hidden.

    Returns:
        path in ``folder`` without suffix, with forward slashes -> file, sorted.

    Raises:
        MissingFileError: no such folder, or a link leads nowhere.
        DataError: two files differ in their suffix alone, or a folder cannot be read.
    """
    if not folder.is_dir():
        raise MissingFileError(f"{folder} is not a folder; check the path")
    found: dict[str, Path] = {}
    for path in walk_files(folder):
        if path.suffix.lower() not in suffixes:
            continue
        if not path.exists():
            raise MissingFileError(f"{path} is a link to {path.readlink()}, which does not exist; restore or remove it")
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise DataError(f"{found[stem]} and {path} differ only in their suffix; keep one of them")
        found[stem] = path
    return found


def walk_files(folder: Path) -> list[Path]:
    """All files of a folder and of all below it, as :func:`find_files` walks them, sorted; hidden ones left out."""
    return [path for path in sorted(_walk(folder, (), {})) if not path.name.startswith(".")]


def _walk(folder: Path, above: tuple[str, ...], visits: dict[str, int]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return
    visits[real] = visits.get(real, 0) + 1
    if visits[real] > _MOST_VISITS:
        raise DataError(f"links lead to {real} in more than {_MOST_VISITS} ways, last by {folder}; remove some")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read ({error.strerror or error}); check it") from error
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir():
            yield from _walk(path, (*above, real), visits)
        elif entry.is_file() or entry.is_symlink():
            yield path


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
