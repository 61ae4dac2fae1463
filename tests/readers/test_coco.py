"""COCO's formats against pycocotools' own reading of them, and the real panoptic labels where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.readers.coco import READER
from opendas_plugin.readers.coco_common import clean_names
from opendas_plugin.runs.preparation import prepare
from opendas_plugin.vocabulary import Vocabulary
from tests.readers.reading import read_parts

REAL = Path(__file__).parents[3] / "shared" / "data" / "coco"
HEIGHT, WIDTH = 60, 80
BLOB = np.hypot(*np.mgrid[-20:40, -30:50]) < 15


def uncompressed(mask):
    """COCO's run lengths as a list, column by column, zeros first."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.ravel().astype(int)])))
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()}


def compressed(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


ANNOTATIONS = [
    {
        "id": 1,
        "image_id": 7,
        "category_id": 1,
        "segmentation": [[5, 5, 30, 8, 25, 40], [50, 10, 70, 10, 70, 30, 50, 30]],
    },
    {"id": 2, "image_id": 7, "category_id": 3, "segmentation": uncompressed(BLOB), "iscrowd": 0},
    {"id": 3, "image_id": 7, "category_id": 3, "segmentation": compressed(BLOB), "iscrowd": 0},
    {"id": 4, "image_id": 7, "category_id": 1, "segmentation": uncompressed(BLOB), "iscrowd": 1},
    {"id": 5, "image_id": 7, "category_id": 1, "segmentation": [[5, 5, 7, 5, 7, 7, 5, 7]]},
    {"id": 6, "image_id": 7, "category_id": 1, "segmentation": [[5, 5, 5.1, 5, 5.1, 5.1]]},
]


@pytest.fixture
def instances(tmp_path):
    """An instances JSON with one annotated image and one bare one."""
    (tmp_path / "images").mkdir()
    content = {
        "images": [{"id": number, "file_name": f"{number}.jpg", "height": HEIGHT, "width": WIDTH} for number in (7, 8)],
        "annotations": [dict(annotation) for annotation in ANNOTATIONS],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "wall-other-merged"}],
    }
    for record in content["images"]:
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / record["file_name"])
    return tmp_path, content


def read(root, content, **options):
    (root / "instances.json").write_text(json.dumps(content))
    return read_parts(READER, 10, instances_json=root / "instances.json", images=root / "images", **options)[0]


def test_polygons_and_run_lengths_are_read_as_pycocotools_reads_them(instances):
    root, content = instances
    (image,) = read(root, content).images
    coco = COCO(root / "instances.json")
    assert [segment.label for segment in image.segments] == ["cat", "wall", "wall"]
    for segment, annotation in zip(image.segments, coco.loadAnns([1, 2, 3]), strict=True):
        assert np.array_equal(segment.mask(), coco.annToMask(annotation))
        assert segment.area == coco_mask.area(coco.annToRLE(annotation))
    assert image.segments[0].image == root / "images" / "7.jpg"


def test_crowds_and_small_segments_are_dropped_and_counted(instances):
    reading = read(*instances)
    assert reading.images[0].dropped == {"crowd region": 1, "smaller than 10 pixels": 2}
    assert reading.unlabelled == 1
    assert reading.names == ("cat", "wall")
    assert reading.raw_names == {"wall": "wall-other-merged"}


def test_suffixes_fall_where_names_stay_unique():
    raw = ["window", "window-other", "door-stuff", "sky-other-merged", "wall-brick", "wall-other-merged", "Stuff"]
    assert clean_names(raw) == ["window", "window-other", "door", "sky", "wall-brick", "wall", "Stuff"]
    assert clean_names(["door-stuff", "Door-other"]) == ["door-stuff", "Door-other"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"segmentation": []}, "annotation 1: expected a polygon"),
        ({"segmentation": [[1, 2, 3, 4]]}, "annotation 1: expected a polygon"),
        ({"segmentation": uncompressed(BLOB.T)}, "annotation 1: the mask is 60x80, but its image is 80x60"),
        ({"segmentation": uncompressed(np.zeros((HEIGHT, WIDTH), bool))}, "annotation 1: the mask is empty"),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [3, 4]}}, "annotation 1: .*add up"),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "oops"}}, "annotation 1: "),
        ({"segmentation": None}, "COCO's format"),
        ({"category_id": 2}, "category id 2"),
        ({"image_id": 99}, "image id 99"),
    ],
)
def test_bad_annotations_are_named(instances, change, said):
    root, content = instances
    content["annotations"][0].update(change)
    with pytest.raises(DataError, match=rf"instances\.json: .*{said}"):
        read(root, content)


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_other_json_is_refused(instances, key):
    root, content = instances
    del content[key]
    with pytest.raises(DataError, match=rf"instances\.json: expected COCO's format, but '{key}' is missing"):
        read(root, content)
    with pytest.raises(DataError, match=r"instances\.json: expected COCO's format"):
        read(root, [])


def test_categories_of_one_name_are_refused(instances):
    root, content = instances
    content["categories"][1]["name"] = "_CAT"
    with pytest.raises(DataError, match="'cat' and '_CAT' are the same name"):
        read(root, content)


def test_validation_data_of_other_classes_are_refused(instances):
    root, content = instances
    (root / "val.json").write_text(
        json.dumps({**content, "categories": [*content["categories"], {"id": 9, "name": "sofa"}]})
    )
    with pytest.raises(DataError, match="name different classes: 'sofa' is only in one of them"):
        read(root, content, val_instances_json=root / "val.json")


def test_an_image_of_another_size_or_none_is_refused(instances):
    root, content = instances
    Image.new("RGB", (WIDTH, HEIGHT + 1)).save(root / "images" / "7.jpg")
    with pytest.raises(DataError, match=r"record in .*instances\.json is 80x60, but its image .*7\.jpg is 80x61"):
        read(root, content)
    (root / "images" / "7.jpg").unlink()
    with pytest.raises(MissingFileError, match=r"7\.jpg does not exist"):
        read(root, content)


@pytest.fixture
def panoptic(tmp_path):
    """A panoptic pair with three segments, one of them a crowd, and unlabelled pixels."""
    ids = np.zeros((HEIGHT, WIDTH), int)
    ids[BLOB], ids[50:], ids[:3, :4] = 70000, 300, 9
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)
    content = {
        "images": [{"id": 7, "file_name": "7.jpg", "height": HEIGHT, "width": WIDTH}],
        "annotations": [
            {
                "image_id": 7,
                "file_name": "7.png",
                "segments_info": [
                    {"id": 70000, "category_id": 1, "iscrowd": 0},
                    {"id": 300, "category_id": 3, "iscrowd": 1},
                    {"id": 9, "category_id": 3, "iscrowd": 0},
                ],
            }
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "wall-stuff"}],
    }
    Image.fromarray(colours).save(tmp_path / "7.png")
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "7.jpg")
    return tmp_path, content


def read_pair(root, content, min_area=1):
    (root / "panoptic.json").write_text(json.dumps(content))
    return read_parts(READER, min_area, panoptic_json=root / "panoptic.json", panoptic_dir=root, images=root)[0]


def test_panoptic_segments_are_the_pixels_of_their_id(panoptic):
    (image,) = read_pair(*panoptic).images
    cat, wall = image.segments
    assert (cat.label, wall.label) == ("cat", "wall")
    assert np.array_equal(cat.mask(), BLOB & (np.arange(HEIGHT) < 50)[:, None])
    assert wall.box == (0, 0, 4, 3)
    assert image.dropped == {"crowd region": 1}
    assert read_pair(*panoptic, min_area=13).images[0].dropped == {"crowd region": 1, "smaller than 13 pixels": 1}


def test_a_png_that_disagrees_with_its_json_is_refused(panoptic):
    root, content = panoptic
    segments = content["annotations"][0]["segments_info"]
    last = segments.pop()
    with pytest.raises(DataError, match=r"7\.png: the segment id 9 is in the PNG and not in"):
        read_pair(root, content)
    segments += [last, {"id": 5, "category_id": 1, "iscrowd": 0}]
    with pytest.raises(DataError, match=r"7\.png: no pixel has the segment id 5"):
        read_pair(root, content)
    segments.pop()
    Image.new("RGB", (WIDTH, 3)).save(root / "7.png")
    with pytest.raises(DataError, match=r"7\.png is 80x3, but its image .*7\.jpg is 80x60"):
        read_pair(root, content)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"COCO is not at {REAL}")
def test_real_panoptic_labels():
    path = REAL / "panoptic" / "panoptic_train2017.json"
    files = {"panoptic_json": path, "panoptic_dir": path.with_suffix(""), "images": REAL / "images" / "train2017"}
    reading, _ = read_parts(READER, 1, **files)
    content = json.loads(path.read_text())
    info = {
        (annotation["file_name"], segment["area"], tuple(segment["bbox"]))
        for annotation in content["annotations"]
        for segment in annotation["segments_info"]
        if not segment["iscrowd"]
    }
    kept = [segment for image in reading.images for segment in image.segments]
    crowds = sum(image.dropped["crowd region"] for image in reading.images)
    assert (len(reading.images), len(kept) + crowds, crowds, len(reading.names)) == (100, 1111, 6, 133)
    assert Vocabulary(reading.names).names == reading.names
    for segment in kept:
        x0, y0, x1, y1 = segment.box
        assert (segment.image.stem + ".png", segment.area, (x0, y0, x1 - x0, y1 - y0)) in info
    assert reading.raw_names["sky"] == "sky-other-merged"
    assert {"window", "window-blind", "wall", "wall-brick", "table", "dining table"} <= set(reading.names)


def test_crowds_alone_are_not_blamed_on_small_areas(instances):
    root, content = instances
    content["annotations"] = [{**ANNOTATIONS[3], "id": n, "image_id": n} for n in (7, 8)]
    (root / "crowds.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"for training, all 1 were dropped \(crowd region: 1\)") as error:
        prepare("coco", instances_json=root / "crowds.json", images=root / "images", output=root / "out")
    assert "min_area" not in str(error.value)
    content["annotations"][0] = {**ANNOTATIONS[4], "id": 7, "image_id": 7}
    content["annotations"][1] = {**ANNOTATIONS[4], "id": 8, "image_id": 8}
    (root / "small.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"smaller than 100 pixels: 1\); lower `min_area`"):
        prepare("coco", instances_json=root / "small.json", images=root / "images", output=root / "out")
