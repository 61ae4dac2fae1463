"""Manifests come back as they were written; a line that is no segment is named."""

from __future__ import annotations

import json

import pytest

from opendas_plugin.data.manifest import read_manifest, write_manifest
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError, MissingFileError, OutputError
from tests.data.layouts import make_segments


@pytest.fixture
def segments(tmp_path) -> list[Segment]:
    """Four images with three segments each, in image order."""
    return make_segments(tmp_path / "images")


def test_a_manifest_comes_back(tmp_path, segments):
    write_manifest(tmp_path / "out" / "train.jsonl", segments)
    back = read_manifest(tmp_path / "out" / "train.jsonl")
    assert [(one.label, one.group, dict(one.rle)) for one in back] == [
        (one.label, one.group, dict(one.rle)) for one in segments
    ]
    assert all(ours.image.samefile(theirs.image) for ours, theirs in zip(back, segments, strict=True))


def test_image_paths_are_relative_to_the_manifest_so_that_both_can_move(tmp_path):
    segments = make_segments(tmp_path / "images")
    write_manifest(tmp_path / "out" / "train.jsonl", segments)
    first = json.loads((tmp_path / "out" / "train.jsonl").read_text().splitlines()[0])
    assert first["image"] == "../images/0.png"
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "images").rename(moved / "images")
    (tmp_path / "out").rename(moved / "out")
    assert len(read_manifest(moved / "out" / "train.jsonl")) == len(segments)


def test_paths_hold_through_symbolic_links(tmp_path):
    segments = make_segments(tmp_path / "images")
    (tmp_path / "deep" / "disk").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "disk")
    write_manifest(tmp_path / "link" / "out" / "train.jsonl", segments)
    assert len(read_manifest(tmp_path / "link" / "out" / "train.jsonl")) == len(segments)
    assert len(read_manifest(tmp_path / "deep" / "disk" / "out" / "train.jsonl")) == len(segments)


def test_unknown_keys_and_blank_lines_are_passed_over(tmp_path, segments):
    path = tmp_path / "train.jsonl"
    write_manifest(path, segments[:2])
    lines = [json.dumps({**json.loads(line), "score": 0.5}) for line in path.read_text().splitlines()]
    path.write_text("\n\n".join(lines) + "\n\n")
    assert len(read_manifest(path)) == 2


@pytest.mark.parametrize("kept_bytes", [0, 2**24])
def test_a_manifest_is_a_sequence_and_large_ones_keep_no_segment(tmp_path, segments, monkeypatch, kept_bytes):
    monkeypatch.setattr("opendas_plugin.data.manifest._KEPT_BYTES", kept_bytes)
    path = tmp_path / "out" / "train.jsonl"
    write_manifest(path, segments)
    back = read_manifest(path)
    assert len(back) == 12 and back[-1] == list(back)[11] and back[2:4] == [back[2], back[3]]
    assert back == list(back) and back == read_manifest(path) and back != back[:11]
    with pytest.raises(IndexError):
        back[12]
    assert (back[3] is back[3]) is bool(kept_bytes)
    write_manifest(path, segments[:1])
    assert len(back) == 12 and back[7].label == segments[7].label  # what it was made from, to its end
    lines = path.read_text().splitlines()
    path.write_text("\n" + "\n\n".join(lines * 3))
    assert [segment.label for segment in read_manifest(path)] == [segments[0].label] * 3
    path.write_text("")
    assert list(read_manifest(path)) == []


def test_an_earlier_bad_mask_is_named_before_a_later_bad_line(tmp_path, segments):
    path = tmp_path / "out" / "train.jsonl"
    write_manifest(path, segments)
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace('"size": [40', '"size": [41')
    lines[8] = "nonsense"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"train\.jsonl, line 4: the runs"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("not json", "expected a JSON object, got 'not json'"),
        ("[1, 2]", "expected a JSON object"),
        ("[" * 20000, "expected a JSON object"),
        ("1" * 5000, "expected a JSON object"),
        ({"image": None}, "'image'"),
        ({"label": " "}, "'label'"),
        ({"group": 3}, "'group'"),
        ({"rle": {"size": [40, 50], "counts": "`n1"}}, "the mask is empty"),
        ({"rle": {"size": [40, 50], "counts": "07"}}, "add up"),
        ({"rle": 7}, "expected"),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path, segments, change, said):
    path = tmp_path / "train.jsonl"
    write_manifest(path, segments[:3])
    lines = path.read_text().splitlines()
    lines[1] = change if isinstance(change, str) else json.dumps({**json.loads(lines[1]), **change})
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=rf"train\.jsonl, line 2: .*{said}"):
        read_manifest(path)


def test_a_missing_image_is_named_by_file_and_line(tmp_path, segments):
    write_manifest(tmp_path / "train.jsonl", segments)
    segments[4].image.unlink()
    with pytest.raises(MissingFileError, match=r"train\.jsonl, line 4: .*1\.png"):
        read_manifest(tmp_path / "train.jsonl")


def test_files_that_are_no_manifest_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"nowhere\.jsonl"):
        read_manifest(tmp_path / "nowhere.jsonl")
    (tmp_path / "train.jsonl").write_bytes(b'{"image": "\xff"}')
    with pytest.raises(DataError, match="UTF-8"):
        read_manifest(tmp_path / "train.jsonl")


def test_a_failed_write_leaves_the_old_manifest(tmp_path, segments):
    path = tmp_path / "train.jsonl"
    write_manifest(path, segments)
    before = path.read_bytes()

    def broken():
        yield segments[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_manifest(path, broken())
    assert path.read_bytes() == before
    assert {item.name for item in tmp_path.iterdir()} == {"images", "train.jsonl"}
