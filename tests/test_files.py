"""Writing leaves the old file or the whole new one, never half of it."""

from __future__ import annotations

import errno
import os

import pytest

from opendas_plugin.errors import DataError, MissingFileError, OutputError
from opendas_plugin.files import atomic_file, atomic_folder, read_json, write_json, write_text


def full_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(OutputError, match=r"file\.txt: No space left on device; free space"), atomic_file(path) as new:
        new.write_text("half")
        full_disk()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path):
    folder = tmp_path / "folder"
    with atomic_folder(folder) as new:
        (new / "a").write_text("old")
    with pytest.raises(OutputError), atomic_folder(folder) as new:
        (new / "a").write_text("half")
        full_disk()
    assert (folder / "a").read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_folder_replaces_the_old_one_whole(tmp_path):
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "folder") as folder:
            (folder / name).touch()
    assert [entry.name for entry in (tmp_path / "folder").iterdir()] == ["new"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_an_error_that_is_not_the_disks_passes_through(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "file") as new:
        new.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_written_files_have_the_users_usual_permissions(tmp_path):
    write_text(tmp_path / "ours", "")
    (tmp_path / "usual").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_place_that_cannot_hold_the_output_is_named(tmp_path):
    (tmp_path / "file").touch()
    for open_it in (atomic_file, atomic_folder):
        with pytest.raises(OutputError, match="file/out"), open_it(tmp_path / "file" / "out"):
            pass


def test_json_survives_the_file_in_a_stable_order(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, None], "a": "tür"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8").index('"a"') < 10
    assert read_json(tmp_path / "a.json") == {"a": "tür", "b": [1, None]}


def test_json_that_cannot_be_read_is_named_with_its_line(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.json does not exist"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{\n"a": }')
    with pytest.raises(DataError, match=r"bad\.json, line 2"):
        read_json(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_json(tmp_path / "bad.json")


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another disk, as it were, that links point into."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


@pytest.mark.parametrize("there", [True, False], ids=["there", "not yet there"])
def test_a_file_that_is_a_link_is_written_through_it(tmp_path, elsewhere, there):
    if there:
        (elsewhere / "file").write_text("old")
    (tmp_path / "link").symlink_to(elsewhere / "file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (elsewhere / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["disk", "file", "link"]


@pytest.mark.parametrize("there", [True, False], ids=["there", "not yet there"])
def test_a_folder_that_is_a_link_is_replaced_behind_it(tmp_path, elsewhere, there):
    if there:
        (elsewhere / "out").mkdir()
        (elsewhere / "out" / "old").touch()
    (tmp_path / "link").symlink_to(elsewhere / "out")
    with atomic_folder(tmp_path / "link") as folder:
        (folder / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (elsewhere / "out").iterdir()] == ["new"]
    write_text(tmp_path / "link" / "more", "")
    assert (elsewhere / "out" / "more").is_file()


def test_a_folder_that_a_link_names_is_made(tmp_path, elsewhere):
    (tmp_path / "link").symlink_to(elsewhere / "out")
    write_text(tmp_path / "link" / "file", "new")
    assert (elsewhere / "out" / "file").read_text() == "new"


@pytest.mark.parametrize("write", [lambda path: write_text(path, "x"), lambda path: atomic_folder(path).__enter__()])
def test_what_is_no_file_or_no_folder_is_never_replaced(tmp_path, write):
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("loop", "circle"), ("pipe", "it is")):
        with pytest.raises(OutputError, match=message):
            write(tmp_path / name)
    assert (tmp_path / "loop").is_symlink() and (tmp_path / "pipe").is_fifo()
    (tmp_path / "file").write_text("old")
    with pytest.raises(OutputError, match="it is a file; choose a folder"):
        atomic_folder(tmp_path / "file").__enter__()
    assert (tmp_path / "file").read_text() == "old"
