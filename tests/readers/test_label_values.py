"""What the readers say of the numbers in their datasets' label maps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.building import hold_out
from opendas_plugin.data.domain import load_domain
from opendas_plugin.readers import kitti360
from opendas_plugin.vocabulary import Vocabulary


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, dtype=np.uint8)).save(path)


@pytest.fixture
def folders(tmp_path):
    """Six pictures of four classes in stripes; the second value is ignored."""
    for number in range(6):
        save(tmp_path / f"images/{number}.png", np.full((40, 40, 3), 9 * number))
        save(tmp_path / f"labels/{number}.png", np.repeat(np.arange(4), 10)[:, None].repeat(40, axis=1))
    flags = ["--images", tmp_path / "images", "--labels", tmp_path / "labels", "--classes", "wall,void,desk,chair"]
    assert main(["folders", *map(str, flags), "--ignore", "1", "--output", str(tmp_path / "data")]) == 0
    return tmp_path / "data"


def test_a_value_ignored_in_the_middle_leaves_the_others_where_they_are(folders):
    stored = json.loads((folders / "vocabulary.json").read_text())
    assert stored["names"] == ["wall", "desk", "chair"]
    assert stored["values"] == {"wall": 0, "desk": 2, "chair": 3}
    assert stored["ignored"] == [1]


def test_names_that_are_held_out_keep_their_values(folders):
    domain = load_domain(folders)
    assert hold_out(domain, ["desk"]).vocabulary.values == domain.vocabulary.values


def test_label_maps_of_proposals_have_the_vocabularys_values(folders, tmp_path):
    output = tmp_path / "proposals"
    assert main(["proposals", "--data", str(folders), "--output", str(output)]) == 0
    drawn = [np.array(Image.open(path)) for path in (output / "labels").rglob("*.png")]
    assert drawn
    for label_map in drawn:  # the stripes as they were; what is ignored is drawn by the ignored value
        assert label_map[:, 0].tolist() == np.repeat(np.arange(4), 10).tolist()


@pytest.mark.parametrize("classes", [37, 19])
def test_kitti360s_ids_are_those_of_its_toolbox(classes):
    names, table = kitti360.class_names(classes), kitti360.label_values(classes)
    vocabulary = Vocabulary(names, values=table)
    by_name = {label.name: label for label in kitti360.LABELS}
    for name, own in zip(vocabulary.names, table.of, strict=True):
        assert by_name[name].id in own
    assert sorted([*table.place, *table.ignored]) == list(range(45))
    if classes == 19:  # the benchmark merges garages with buildings, gates with fences, small poles with poles
        assert table.of[names.index("building")] == (11, 34)
        assert table.of[names.index("fence")] == (13, 35)
        assert table.of[names.index("pole")] == (17, 37)
