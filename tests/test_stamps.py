"""Stamps of inputs: what counts as the same file, and how a difference is said."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from opendas_plugin.stamps import ABSENT, SMALL, Inputs, digest, is_same, named, note, stamp, watching


def write(path: Path, content: bytes, date: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if date is not None:
        os.utime(path, ns=(date, date))
    return path


@pytest.mark.parametrize("size", [1, SMALL + 1])
def test_a_file_is_the_same_where_it_was_copied_or_touched_and_another_where_it_was_written_over(tmp_path, size):
    file = write(tmp_path / "a", b"x" * size)
    known = stamp(file)
    shutil.copyfile(file, tmp_path / "copy")
    os.utime(tmp_path / "copy", ns=(1, 1))
    assert is_same(file, known) and is_same(tmp_path / "copy", known)
    assert not is_same(write(file, b"y" * size, date=2), known)
    assert not is_same(write(file, b"x" * (size + 1)), known)
    file.unlink()
    assert not is_same(file, known) and stamp(file) == ABSENT and is_same(file, ABSENT)
    assert not is_same(write(file, b""), ABSENT)


def test_a_small_file_is_known_by_its_content_whatever_its_date(tmp_path):
    file = write(tmp_path / "pose.txt", b"1 0 0 0", date=10**18)
    known = stamp(file)
    assert not is_same(write(file, b"2 0 0 0", date=10**18), known)


def test_a_difference_is_said_by_its_first_and_the_number_of_others(tmp_path):
    files = {name: write(tmp_path / name, name.encode()) for name in ("a.jpg", "b.jpg")}
    record = Inputs(files, {"every": 20, "cloud": digest(np.eye(3)), "names": ["desk"]}).record()

    def difference(files=files, **values):
        return Inputs(files, {"every": 20, "cloud": digest(np.eye(3)), "names": ["desk"], **values}).difference(record)

    assert difference() is None
    assert difference(every=10) == "every was 20, now 10"
    assert difference(cloud=digest(np.ones((3, 3)))) == "cloud has changed"
    assert difference(names=["desk", "mug"]) == 'names was ["desk"], now ["desk", "mug"]'
    assert difference({"a.jpg": files["a.jpg"]}) == "b.jpg is gone"
    assert difference({**files, "c.jpg": tmp_path / "c.jpg"}) == "c.jpg is new"
    write(files["b.jpg"], b"other")
    assert difference(every=10) == "every was 20, now 10 (and 1 more)"
    files["a.jpg"].unlink()
    assert Inputs({"a.jpg": files["a.jpg"]}).difference(record, common=True) == "a.jpg is gone"
    for damaged in (None, [], {"files": 1, "values": {}}, {"files": {}}):
        assert Inputs().difference(damaged) == "its record of inputs is damaged"
    assert Inputs(files).difference({"files": {"a.jpg": 3, "b.jpg": "x y"}, "values": {}}) is not None


def test_arrays_are_known_by_values_shape_and_kind():
    base = np.arange(6.0)
    assert digest(base) == digest(base[::1].copy()) == digest(np.arange(12.0)[:6])
    others = (base.reshape(2, 3), base.reshape(3, 2), base.astype(np.float32), base + 1)
    assert len({digest(base), *map(digest, others)}) == 5


def test_names_are_places_in_the_common_folder(tmp_path):
    paths = [tmp_path / "data" / "a" / "0.jpg", tmp_path / "data" / "b" / "0.jpg"]
    assert named(paths) == {"a/0.jpg": paths[0], "b/0.jpg": paths[1]}
    assert named(paths[:1]) == {"0.jpg": paths[0]} and named([]) == {}


def test_what_a_thread_reads_is_noted_for_it_alone(tmp_path):
    files = [write(tmp_path / str(number), b"%d" % number) for number in range(8)]

    def read(file):
        with watching() as seen:
            note(file)
        note(tmp_path)  # nobody looks
        return seen

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, files)) == [{str(file): stamp(file)} for file in files]
