"""Domains: nothing novel in training, no image in two splits, and every dropped segment accounted for."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import opendas_plugin as opendas
from opendas_plugin.data.building import build_domain, hold_out
from opendas_plugin.data.domain import describe, domain_folder, load_domain, write_domain
from opendas_plugin.data.reading import ImageReading, Reading
from opendas_plugin.data.segments import Segment, encode
from opendas_plugin.errors import ConfigError, DataError, MissingFileError, OutputError

NAMES = ("wall", "door", "mug", "desk")
RLE = encode(np.ones((4, 5), bool))


def reading_of(groups, names=NAMES, folder=Path("images")):
    """A reading with one image per list of labels; ``groups`` holds (group, labels) pairs."""
    images = []
    for number, (group, labels) in enumerate(groups):
        segments = [Segment(folder / f"{number}.png", RLE, label, group) for label in labels]
        images.append(ImageReading(group, segments, Counter({"crowd region": 1})))
    return Reading(names, images)


IMAGES = st.lists(st.tuples(st.sampled_from("abcdefg"), st.lists(st.sampled_from(NAMES), max_size=4)), max_size=25)


@settings(max_examples=200)
@given(
    IMAGES,
    st.floats(0.05, 0.95),
    st.integers(0, 20),
    st.sampled_from([{}, {"novel": ["Mugs"]}, {"novel_fraction": 0.3}]),
)
def test_splits_share_no_group_and_training_has_no_novel_name(groups, fraction, seed, novel):
    reading = reading_of(groups)
    try:
        domain = build_domain("made", reading, val_fraction=fraction, seed=seed, **novel)
    except DataError:
        return  # too few groups, names or segments to split
    assert not {segment.group for segment in domain.train} & {segment.group for segment in domain.val}
    assert not {segment.image for segment in domain.train} & {segment.image for segment in domain.val}
    assert not {segment.label for segment in domain.train} & set(domain.vocabulary.novel)
    dropped = sum(sum(counts.values()) for counts in domain.info["dropped"].values())
    found = sum(len(labels) for _, labels in groups) + len(groups)  # one crowd an image
    assert len(domain.train) + len(domain.val) + dropped == found
    assert domain.info["kept"] == {"train": len(domain.train), "val": len(domain.val)}


def test_novel_segments_leave_training_and_are_counted():
    train = reading_of([("a", ["wall", "mug", "mug"]), ("b", ["door"])])
    val = reading_of([("c", ["wall", "mug"])])
    domain = build_domain("made", train, val, novel=["mug"])
    assert [segment.label for segment in domain.train] == ["wall", "door"]
    assert [segment.label for segment in domain.val] == ["wall", "mug"]
    assert domain.info["dropped"] == {
        "train": {"crowd region": 2, "novel name in a training image": 2},
        "val": {"crowd region": 1},
    }


def test_names_without_segments_are_reported():
    domain = build_domain("made", reading_of([("a", ["wall"])]), reading_of([("b", ["mug"])]), novel=["mug"])
    assert domain.info["novel_for_want_of_training_segments"] == ["door", "desk"]
    assert domain.info["names_without_validation_segment"] == ["wall", "door", "desk"]
    assert describe(domain).splitlines() == [
        "train: 1 segment in 1 image kept, 1 dropped (crowd region: 1)",
        "val: 1 segment in 1 image kept, 1 dropped (crowd region: 1)",
        "names: 4, of them 3 novel",
        "novel names (3): door, mug, desk",
        "of them novel because no training segment has them (2): door, desk",
        "names without a validation segment (3): wall, door, desk",
    ]


def test_names_that_are_all_novel_for_want_of_segments_are_listed_once():
    domain = build_domain("made", reading_of([("a", ["wall"])]), reading_of([("b", ["wall"])]))
    lines = describe(domain).splitlines()
    assert "novel names, all because no training segment has them (3): door, mug, desk" in lines
    assert len([line for line in lines if "novel" in line and "door" in line]) == 1


def test_validation_data_must_have_the_same_names():
    with pytest.raises(DataError, match="'sofa'"):
        build_domain("made", reading_of([("a", ["wall"])]), reading_of([("b", ["wall"])], names=(*NAMES, "sofa")))


def test_a_split_without_a_segment_is_refused():
    with pytest.raises(DataError, match=r"left for training, all 2 .*novel name.*; choose fewer or other novel names"):
        build_domain("made", reading_of([("a", ["mug"])]), reading_of([("b", ["mug"])]), novel=["mug"])
    with pytest.raises(DataError, match=r"left for validation, all 1 .*\(crowd region: 1\)"):
        build_domain("made", reading_of([("a", ["mug"])]), reading_of([("b", [])]))


@pytest.fixture
def written(tmp_path):
    """A domain on disk, and its folder."""
    for number in range(2):
        Image.new("RGB", (5, 4)).save(tmp_path / f"{number}.png")
    groups = [("a", ["wall", "mug"]), ("b", ["wall", "mug"])]
    domain = build_domain("made", reading_of(groups, folder=tmp_path), val_fraction=0.5, novel=["mug"])
    with domain_folder(tmp_path / "out") as folder:
        write_domain(folder, domain)
    return tmp_path / "out", domain


def test_a_domain_comes_back(written):
    folder, domain = written
    back = load_domain(folder)
    assert back.vocabulary == domain.vocabulary
    assert back.info == domain.info
    for ours, theirs in ((back.train, domain.train), (back.val, domain.val)):
        assert [(one.label, one.group) for one in ours] == [(one.label, one.group) for one in theirs]
        assert all(one.image.samefile(other.image) for one, other in zip(ours, theirs, strict=True))


def test_a_novel_label_in_training_is_refused(written):
    folder, _ = written
    lines = (folder / "train.jsonl").read_text()
    (folder / "train.jsonl").write_text(lines + lines.replace('"wall"', '"mug"'))
    with pytest.raises(DataError, match="'mug' is a novel name, but training segments have it"):
        load_domain(folder)


def test_a_label_outside_the_vocabulary_is_refused(written):
    folder, _ = written
    (folder / "val.jsonl").write_text((folder / "val.jsonl").read_text().replace('"mug"', '"cup"'))
    with pytest.raises(DataError, match="validation segment is labelled 'cup'"):
        load_domain(folder)


def test_an_empty_split_is_refused(written):
    folder, _ = written
    (folder / "val.jsonl").write_text("")
    with pytest.raises(DataError, match="no segment is left for validation"):
        load_domain(folder)


def test_images_in_both_splits_are_warned_of(written, caplog):
    folder, _ = written
    (folder / "val.jsonl").write_bytes((folder / "train.jsonl").read_bytes())
    with caplog.at_level(logging.WARNING):
        load_domain(folder)
    assert "1 image is in both training and validation" in caplog.text


@pytest.mark.parametrize("name", ["train.jsonl", "val.jsonl", "vocabulary.json", "domain.json"])
def test_a_missing_file_is_named(written, name):
    folder, _ = written
    (folder / name).unlink()
    with pytest.raises(MissingFileError, match=name):
        load_domain(folder)


def test_a_missing_domain_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"nowhere does not exist; make it with opendas-prepare"):
        load_domain(tmp_path / "nowhere")


def test_an_older_domain_is_replaced_whole_or_not_at_all(written):
    folder, domain = written
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RuntimeError), domain_folder(folder, overwrite=True) as fresh:
        write_domain(fresh, domain)
        raise RuntimeError
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(OutputError, match=r"out holds a prepared domain\..* say `overwrite`"), domain_folder(folder):
        pass
    with domain_folder(folder, overwrite=True) as fresh:
        (fresh / "domain.json").write_text("{}")
    assert [path.name for path in folder.iterdir()] == ["domain.json"]
    assert not list(folder.parent.glob(".out*"))


def test_other_folders_are_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_text("precious")
    with pytest.raises(OutputError, match=r"photos holds other files \(1\.jpg\)"), domain_folder(tmp_path / "photos"):
        pass
    assert (tmp_path / "photos" / "1.jpg").read_text() == "precious"
    with pytest.raises(OutputError, match="is a file"), domain_folder(tmp_path / "photos" / "1.jpg"):
        pass


def test_the_description_is_json(written):
    folder, _ = written
    info = json.loads((folder / "domain.json").read_text())
    assert info["name"] == "made"
    assert info["images"] == {"train": 1, "val": 1}


def test_held_out_names_are_novel_and_not_learnt_from_and_what_is_judged_stays():
    domain = build_domain("made", reading_of([(group, NAMES) for group in "abc"]), novel=["mug"], val_fraction=0.3)
    part = hold_out(domain, ["wall", "desk"])
    assert part.vocabulary.names == NAMES
    assert part.vocabulary.novel == ("wall", "mug", "desk")
    assert {segment.label for segment in part.train} == {"door"}
    assert part.val == domain.val
    assert part.info["dropped"]["train"]["name held out"] == len(domain.train) - len(part.train) > 0


def test_holding_out_all_that_is_labelled_leaves_nothing_to_learn_from():
    domain = build_domain("made", reading_of([(group, ("wall", "door")) for group in "abc"]))
    with pytest.raises(DataError, match=r"no segment is left for training.*name held out: \d+\); choose fewer"):
        hold_out(domain, ["wall", "door"])


def test_a_name_that_loses_its_last_training_segment_is_novel(written):
    """In a folder from before names were marked so, too."""
    folder, domain = written
    vocabulary = json.loads((folder / "vocabulary.json").read_text())
    (folder / "vocabulary.json").write_text(json.dumps({**vocabulary, "names": [*vocabulary["names"], "globe"]}))
    assert load_domain(folder).vocabulary.novel == (*domain.vocabulary.novel, "globe")


class TestMoved:
    @pytest.fixture
    def prepared(self, tmp_path, monkeypatch) -> Path:
        """Photos of two sites, in folders of their own, prepared by the command."""
        monkeypatch.chdir(tmp_path)
        for stem in ("hall/1", "hall/2", "yard/1", "yard/2"):
            for folder in ("photos", "labels"):
                (tmp_path / folder / stem).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "photos" / f"{stem}.jpg")
            Image.fromarray(np.arange(1600, dtype=np.uint8).reshape(40, 40) % 2).save(
                tmp_path / "labels" / f"{stem}.png"
            )
        opendas.runs.prepare("folders", images="photos", labels="labels", classes=["a", "b"], output="data/mine")
        return tmp_path / "data" / "mine"

    def images(self, folder: Path, **where) -> set[Path]:
        domain = load_domain(folder, **where)
        return {segment.image.resolve() for segment in (*domain.train, *domain.val)}

    def test_a_folder_that_has_moved_keeps_its_pictures(self, prepared, tmp_path):
        before = self.images(prepared)
        (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
        moved = prepared.rename(tmp_path / "elsewhere" / "deep" / "mine")
        assert self.images(moved) == before and len(before) == 4

    def test_what_moves_together_stays_together(self, prepared, tmp_path):
        whole = tmp_path / "whole"
        whole.mkdir()
        for name in ("photos", "data"):
            (tmp_path / name).rename(whole / name)
        assert self.images(whole / "data" / "mine") == set((whole / "photos").rglob("*.jpg"))

    def test_pictures_that_have_moved_are_found_under_images_root(self, prepared, tmp_path):
        (tmp_path / "photos").rename(tmp_path / "disk")
        with pytest.raises(MissingFileError, match=r"jpg does not exist; .* `images_root`"):
            load_domain(prepared)
        assert self.images(prepared, images_root=tmp_path / "disk") == set((tmp_path / "disk").rglob("*.jpg"))
        with pytest.raises(ConfigError, match="`images_root` must be a folder"):
            load_domain(prepared, tmp_path / "photos")
        fold = opendas.runs.prepare_fold(
            data=prepared, images_root=tmp_path / "disk", folds=2, output=tmp_path / "fold"
        )
        assert {s.image.resolve() for s in fold.train} <= set((tmp_path / "disk").rglob("*.jpg"))
        info = json.loads((prepared / "domain.json").read_text())
        del info["images_root"]
        (prepared / "domain.json").write_text(json.dumps(info))
        with pytest.raises(ConfigError, match="does not say which folder its pictures lay under"):
            load_domain(prepared, tmp_path / "disk")

    def test_other_pictures_of_the_same_names_are_refused(self, prepared, tmp_path):
        """Rewritten in place, beside a copy of the folder, or under images_root; a copy is the same."""
        other = Image.fromarray(np.full((40, 40, 3), 200, np.uint8))
        shutil.copytree(tmp_path / "photos", tmp_path / "backup")
        assert len(self.images(prepared, images_root=tmp_path / "backup")) == 4
        other.save(tmp_path / "backup" / "hall" / "1.jpg")
        with pytest.raises(DataError, match=r"hall/1\.jpg is not the picture that .*mine was prepared from \(1 of 4"):
            load_domain(prepared, tmp_path / "backup")
        (tmp_path / "b" / "data").mkdir(parents=True)
        shutil.copytree(prepared, tmp_path / "b" / "data" / "mine")
        shutil.copytree(tmp_path / "backup", tmp_path / "b" / "photos")
        with pytest.raises(DataError, match="is not the picture that"):
            load_domain(tmp_path / "b" / "data" / "mine")
        other.save(tmp_path / "photos" / "yard" / "2.jpg")
        with pytest.raises(DataError, match=r"yard/2\.jpg is not the picture"):
            load_domain(prepared)
