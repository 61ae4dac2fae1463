"""KITTI-360: its label table against the toolbox's, and its layout."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.readers.kitti360 import LABELS, READER, class_names, class_of_id
from opendas_plugin.vocabulary import Vocabulary
from tests.data.layouts import CAR, GATE, make_kitti360
from tests.readers.reading import read_parts


@pytest.fixture
def root(tmp_path):
    return make_kitti360(tmp_path)


def segments(image):
    return sorted((segment.label, segment.area) for segment in image.segments)


def test_the_table_is_the_toolboxs():
    toolbox = pytest.importorskip("kitti360scripts.helpers.labels", reason="kitti360scripts is not installed")
    rows = [label for label in toolbox.labels if label.id >= 0]
    assert [(label.name, label.id, label.kitti_id, label.train_id, label.instances) for label in LABELS] == [
        (row.name, row.id, row.kittiId, row.trainId, row.hasInstances) for row in rows
    ]
    annotated = sorted((row for row in rows if row.kittiId > 0), key=lambda row: row.kittiId)
    assert class_names(37) == tuple(row.name for row in annotated)
    assert class_names(19) == tuple(row.name for row in rows if not row.ignoreInEval)
    assert class_names(19) == tuple(toolbox.trainId2label[number].name for number in range(19))


def test_the_classes():
    for count in (37, 19):
        Vocabulary(class_names(count))
        assert len(class_names(count)) == count
    assert (class_names(37)[0], class_names(37)[36]) == ("road", "unknown object")
    assert class_names(37)[class_of_id(37)[GATE]] == "gate"
    assert class_names(19)[class_of_id(19)[GATE]] == "fence"


def test_instances_and_regions_become_segments(root):
    train, val = read_parts(READER, root=root)
    assert (len(train.images), len(val.images)) == (4, 2)
    image = train.images[0]
    road = 40 * 120 - 480 - 720 - 200 - 420 - 240 - 300
    assert segments(image) == [("building", 720), ("car", 240), ("car", 300), ("gate", 200), ("road", road)]
    assert image.dropped == {"void label": 1, "low confidence": 1}
    assert {image.group for image in train.images} == {"2013_05_28_drive_0000_sync"}
    assert {image.group for image in val.images} == {"2013_05_28_drive_0002_sync"}
    assert image.segments[0].image == root / "data_2d_raw/2013_05_28_drive_0000_sync/image_00/data_rect/0000000000.png"


def test_masks_are_those_of_the_pngs(root):
    train, _ = read_parts(READER, root=root)
    instance = np.asarray(Image.open(next((root / "data_2d_semantics").rglob("instance/0000000000.png"))))
    cars = [segment.mask() for segment in train.images[0].segments if segment.label == "car"]
    assert (cars[0] == (instance == CAR * 1000 + 1)).all() and (cars[1] == (instance == CAR * 1000 + 2)).all()


def test_the_19_classes_merge_as_the_evaluation_does(root):
    train, _ = read_parts(READER, root=root, classes=19)
    assert train.names == class_names(19)
    assert [label for label, _ in segments(train.images[0])] == ["building", "car", "car", "fence", "road"]


def test_frames_areas_and_confidence_can_be_chosen(root):
    train, val = read_parts(READER, root=root, every=3, min_area=250, min_confidence=0.0)
    assert (len(train.images), len(val.images)) == (2, 1)
    assert [label for label, _ in segments(train.images[0])] == ["building", "car", "road", "vegetation"]


def test_without_confidence_maps_everything_is_sure(root):
    for path in root.rglob("confidence/*.png"):
        path.unlink()
    assert "vegetation" in [segment.label for segment in read_parts(READER, root=root)[0].images[0].segments]


def spoil(root, kind, change):
    path = sorted(root.rglob(f"{kind}/*.png"))[0]
    Image.fromarray(change(np.asarray(Image.open(path)).copy())).save(path)


def to_99(pixels):
    pixels[0, 0] = 99
    return pixels


def test_data_that_do_not_fit_are_named(root, tmp_path):
    with pytest.raises(MissingFileError, match=r"train_frames\.txt does not exist"):
        read_parts(READER, root=tmp_path / "elsewhere")
    spoil(root, "instance", lambda pixels: pixels[:10])
    with pytest.raises(DataError, match="but its instances are"):
        read_parts(READER, root=root)
    make_kitti360(root)
    spoil(root, "semantic", to_99)
    with pytest.raises(DataError, match="the id 99 is none of KITTI-360's"):
        read_parts(READER, root=root)
    make_kitti360(root)
    (root / "data_2d_semantics/train/2013_05_28_drive_val_frames.txt").write_text("a\n")
    with pytest.raises(DataError, match=r"val_frames\.txt, line 1"):
        read_parts(READER, root=root)
