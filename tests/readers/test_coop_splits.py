"""DTD and EuroSAT: CoOp's split files and base-to-new protocol, and the datasets' own lists without them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.readers import dtd, eurosat
from tests.readers.reading import read_parts

TEXTURES = ("banded", "dotted", "zig_zagged")


def save(path, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(path.name)).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def textures(tmp_path):
    """DTD with three textures of four pictures; CoOp's split lists the last texture first."""
    lists = {"train": [], "val": [], "test": []}
    for texture in TEXTURES:
        for number, part in enumerate(("train", "train", "val", "test")):
            name = f"{texture}/{texture}_{number:04d}.jpg"
            save(tmp_path / "dtd" / "images" / name)
            lists[part].append(name)
    for part, names in lists.items():
        (tmp_path / "dtd" / "labels").mkdir(exist_ok=True)
        (tmp_path / "dtd" / "labels" / f"{part}1.txt").write_text("\n".join(names) + "\n")
    entries = {
        part: [[name, TEXTURES.index(name.split("/")[0]), name.split("/")[0]] for name in reversed(names)]
        for part, names in lists.items()
    }
    entries["test"].append(entries["train"].pop())  # one picture is elsewhere than in DTD's own lists
    return tmp_path, entries


def write(folder, entries):
    (folder / "dtd" / dtd.SPLIT_FILE).write_text(json.dumps(entries))


def test_coops_file_says_the_split_and_the_first_half_of_the_labels_is_base(textures):
    folder, entries = textures
    write(folder, entries)
    assert main(["dtd", "--root", str(folder / "dtd"), "--output", str(folder / "out")]) == 0
    domain = load_domain(folder / "out")
    assert domain.vocabulary.names == ("banded", "dotted", "zig zagged")
    assert domain.vocabulary.novel == ("zig zagged",), "two of three are base: the half is rounded up"
    assert domain.info["splits"] == "CoOp's"
    stems = {part: sorted(s.image.stem for s in getattr(domain, part)) for part in ("train", "val")}
    assert stems["val"] == ["banded_0000", "banded_0003", "dotted_0003", "zig_zagged_0003"]
    assert stems["train"] == ["banded_0001", "dotted_0000", "dotted_0001"]
    assert all(segment.area == 20 * 30 for segment in domain.val), "whole pictures"


def test_dtds_own_lists_are_said_to_be_such(textures):
    folder, _ = textures
    dataset = dtd.read(dtd.DTD(root=folder), context=None)
    assert dataset.info["splits"] == "its own lists"
    assert [entry.image.stem for entry in dataset.val.items] == [f"{texture}_0003" for texture in TEXTURES]


def test_torchvision_reads_the_same_lists(textures):
    from torchvision.datasets import DTD

    folder, _ = textures
    (folder / "around" / "dtd").mkdir(parents=True)
    (folder / "dtd").rename(folder / "around" / "dtd" / "dtd")
    theirs = DTD(folder / "around", "test")
    ours = dtd.read(dtd.DTD(root=folder / "around" / "dtd"), context=None)
    assert [entry.image for entry in ours.val.items] == theirs._image_files
    assert [entry.label for entry in ours.val.items] == theirs._labels


def test_a_split_given_goes_before_the_one_in_the_folder(textures, tmp_path):
    folder, entries = textures
    write(folder, entries)
    other = {**entries, "test": entries["test"][:1]}
    (tmp_path / "other.json").write_text(json.dumps(other))
    _, val = read_parts(dtd.READER, root=folder / "dtd", split=tmp_path / "other.json")
    assert len(val.images) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: [e], "expected CoOp's"),
        (lambda e: {**e, "test": [["a.jpg", "0", "a"]]}, "expected entries"),
        (lambda e: {**e, "test": [["../../secret.jpg", 0, "banded"]]}, "leads out of"),
        (lambda e: {**e, "test": [["x.jpg", 0, "striped"]]}, "has the names 'banded' and 'striped'|'striped' and"),
        (lambda e: {**e, "test": [["x.jpg", 7, "banded"]]}, "has two labels"),
        (lambda e: {**e, "test": [*e["test"], e["test"][0]]}, "is there twice"),
        (lambda e: {"train": [], "test": []}, "lists no picture"),
    ],
)
def test_a_file_that_is_no_split_is_one_sentence(textures, change, message):
    folder, entries = textures
    write(folder, change(entries))
    with pytest.raises(DataError, match=message):
        dtd.read(dtd.DTD(root=folder / "dtd"), context=None)


def test_a_picture_of_the_split_that_is_not_there_is_named(textures, capsys):
    folder, entries = textures
    write(folder, {**entries, "test": [["banded/gone.jpg", 0, "banded"]]})
    assert main(["dtd", "--root", str(folder / "dtd"), "--output", str(folder / "out")]) == 1
    assert "gone.jpg" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_eurosats_kinds_have_coops_names_and_a_drawn_split_says_so(tmp_path):
    for kind in ("AnnualCrop", "Forest", "SeaLake", "River"):
        for number in range(10):
            save(tmp_path / "eurosat" / "2750" / kind / f"{kind}_{number}.jpg", (16, 16))
    train, val = read_parts(eurosat.READER, root=tmp_path / "eurosat")
    assert train.names == ("Annual Crop Land", "Forest", "River", "Sea or Lake")
    assert (len(train.images), len(val.images)) == (20, 12)
    shown = [{segment.image for image in part.images for segment in image.segments} for part in (train, val)]
    assert not shown[0] & shown[1]
    dataset = eurosat.read(eurosat.EuroSAT(root=tmp_path), context=None)
    assert (dataset.novel, dataset.info["splits"]) == (("River", "Sea or Lake"), "drawn here")


@pytest.mark.parametrize(("reader", "what"), [(dtd, "images"), (eurosat, "2750")])
def test_another_folder_is_refused_with_what_it_lacks(reader, what, tmp_path):
    options = reader.READER.options(root=tmp_path)
    with pytest.raises(MissingFileError, match=f"has no folder {what}"):
        reader.read(options, context=None)


def test_auto_finds_both(textures, capsys):
    folder, entries = textures
    write(folder, entries)
    assert main(["auto", str(folder / "dtd")]) == 0
    assert "opendas-prepare dtd --root" in capsys.readouterr().out
    save(folder / "eurosat" / "2750" / "AnnualCrop" / "AnnualCrop_1.jpg")
    assert main(["auto", str(folder / "eurosat")]) == 0
    assert "opendas-prepare eurosat --root" in capsys.readouterr().out
