"""What the tools' layouts say beyond plain polygons."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.data.picture_finding import Pictures
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.readers import Context
from opendas_plugin.readers.cityscapes import LABELS, class_names, label_values
from opendas_plugin.readers.registry import get
from tests.readers import ten_photos as ten
from tests.readers.reading import read_parts

HEIGHT, WIDTH = ten.HEIGHT, ten.WIDTH


def segments_of(name, **options):
    """Label and mask of each segment of the first picture."""
    train, _ = read_parts(get(name), 1, **options)
    return [(segment.label, segment.mask()) for segment in train.images[0].segments]


def region(*boxes):
    """Bool (H, W): the boxes x0, y0, x1, y1."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def corners(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def labelme_file(root: Path, shapes: list, **changes) -> None:
    ten.save_photo(root / "a.jpg", 0)
    content = {"version": "5.4.1", "shapes": shapes, "imagePath": "a.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH}
    ten.write(root / "a.json", json.dumps({**content, **changes}))


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **more}


def cvat_file(root: Path, shapes: str, version="1.1") -> dict:
    ten.save_photo(root / "images" / "sub" / "a.jpg", 0)
    labels = "".join(f"<label><name>{name}</name><type>any</type></label>" for name in ("mug", "desk"))
    image = f'<image id="0" name="sub/a.jpg" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
    head = f"<version>{version}</version><meta><job><labels>{labels}</labels></job></meta>"
    ten.write(root / "annotations.xml", f"<annotations>{head}{image}</annotations>")
    return {"annotations": root / "annotations.xml", "images": root / "images"}


def test_supervisely_holes_are_no_part_of_an_object(tmp_path):
    ten.supervisely("polygon")(tmp_path)
    path = tmp_path / "train" / "ann" / "0.jpg.json"
    content = json.loads(path.read_text())
    points = {"exterior": corners(10, 10, 60, 50), "interior": [corners(20, 20, 30, 30), corners(40, 20, 50, 45)]}
    content["objects"] = [{"classTitle": "car", "geometryType": "polygon", "points": points},
                          {"classTitle": "car", "geometryType": "line", "points": points}]  # fmt: skip
    path.write_text(json.dumps(content))
    ((label, mask),) = segments_of("supervisely", root=tmp_path)
    expected = region((10, 10, 60, 50)) & ~region((20, 20, 30, 30), (40, 20, 50, 45))
    assert label == "car" and np.array_equal(mask, expected)
    train, val = read_parts(get("supervisely"), root=tmp_path, val=("val",))
    assert len(train.images) == 8 and len(val.images) == 2
    assert train.images[0].dropped == {"line, which has no area": 1}


def test_cvat_shapes_on_top_hide_what_lies_below_and_groups_are_one_object(tmp_path):
    boxes = [("desk", (0, 0, 60, 60), 0, None), ("mug", (10, 10, 20, 20), 1, 1), ("mug", (30, 10, 50, 20), 1, 1),
             ("desk", (40, 15, 70, 30), 1, 1)]  # fmt: skip
    shapes = "".join(
        ten.cvat_shape("box", label, xtl=x0, ytl=y0, xbr=x1, ybr=y1, z_order=z, **({"group_id": g} if g else {}))
        for label, (x0, y0, x1, y1), z, g in boxes
    )
    found = segments_of("cvat", **cvat_file(tmp_path, shapes))
    (desk, below), (mug, both), (_, other) = found  # what is of no group first, then the groups
    top = region((10, 10, 20, 20), (30, 10, 50, 20), (40, 15, 70, 30))
    assert (desk, mug) == ("desk", "mug")
    assert np.array_equal(below, region((0, 0, 60, 60)) & ~top)
    assert np.array_equal(both, region((10, 10, 20, 20), (30, 10, 50, 20)))
    assert np.array_equal(other, region((40, 15, 70, 30)))  # of one height: they may overlap


def test_circles_ellipses_and_turned_boxes_have_their_areas(tmp_path):
    labelme_file(tmp_path, [shape("mug", [[48, 36], [48, 56]], "circle")])
    ((_, circle),) = segments_of("labelme", root=tmp_path)
    assert circle.sum() == pytest.approx(np.pi * 20**2, rel=0.01)
    rows, columns = np.nonzero(circle)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((36, 48), abs=0.1)
    shapes = ten.cvat_shape("ellipse", "mug", cx=48, cy=36, rx=30, ry=10, rotation=90)
    shapes += ten.cvat_shape("box", "desk", xtl=18, ytl=26, xbr=78, ybr=46, rotation=90, z_order=0)
    (_, ellipse), (_, box) = segments_of("cvat", **cvat_file(tmp_path / "c", shapes))
    assert ellipse.sum() == pytest.approx(np.pi * 300, rel=0.01)
    assert np.flatnonzero(ellipse.any(axis=1))[[0, -1]].tolist() == [6, 65]
    assert np.array_equal(box, region((38, 6, 58, 66)))


def test_labels_that_people_type_are_one_name_in_their_most_frequent_spelling(tmp_path):
    shapes = [shape(name, corners(9 * n, 5, 9 * n + 8, 40)) for n, name in enumerate(("Mug", "mug", "mug", "desk"))]
    labelme_file(tmp_path, shapes)
    train, _ = read_parts(get("labelme"), root=tmp_path)
    assert train.names == ("desk", "mug") and len(train.images[0].segments) == 4
    ten.write(tmp_path / "labels.txt", "__ignore__\n_background_\nMUG\n")
    train, _ = read_parts(get("labelme"), root=tmp_path, classes=str(tmp_path / "labels.txt"))
    assert train.names == ("MUG",) and len(train.images[0].segments) == 3
    assert train.images[0].dropped == {"label that is none of the classes": 1}


@pytest.mark.parametrize("exif", [None, "turned", "stored"])
def test_yolo_says_no_size_so_that_a_turned_photo_needs_a_word(tmp_path, exif):
    """The photo is stored lying on its side (orientation 6: turn clockwise to view it)."""
    ten.yolo(tmp_path)
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / "train" / "0.jpg", exif=tags)
    ten.write(tmp_path / "labels" / "train" / "0.txt", "0 0 0 0.5 0 0.5 0.25 0 0.25\n")
    reader = get("yolo")
    dataset = reader.read(reader.options(data=tmp_path), Context(tmp_path, tmp_path, 1, exif=exif))
    if exif is None:
        with pytest.raises(DataError, match=r"0\.jpg has an EXIF orientation, .*say `exif` turned or stored"):
            dataset.train.read(dataset.train.items[0])
        return
    (segment,) = dataset.train.read(dataset.train.items[0]).segments
    assert segment.size == (WIDTH, HEIGHT)
    rows, columns = (slice(0, 24), slice(0, 36)) if exif == "turned" else (slice(0, 48), slice(54, 72))
    expected = np.zeros((WIDTH, HEIGHT), bool)
    expected[rows, columns] = True
    assert np.array_equal(segment.mask(), expected)


@pytest.mark.parametrize(
    "name",
    [
        "b/kitchen 1.jpg", "kitchen 1.jpg", "images\\3\\kitchen 1.jpg", "/data/upload/3/0a1b2c3d-kitchen 1.jpg",
        "https://host/data/b/kitchen%201.jpg?token=5", "s3://bucket/b/kitchen%201.jpg", "C:\\photos\\b\\kitchen 1.jpg",
    ],
)  # fmt: skip
def test_pictures_are_found_by_what_tools_call_them(tmp_path, name):
    ten.save_photo(tmp_path / "b" / "kitchen 1.jpg", 0)
    ten.save_photo(tmp_path / "b" / "kitchen 2.jpg", 0)
    assert Pictures(tmp_path).find(name) == tmp_path / "b" / "kitchen 1.jpg"


def test_cvats_group_0_is_no_group(tmp_path):
    shapes = [ten.cvat_shape("box", "mug", xtl=x, ytl=0, xbr=x + 10, ybr=10, group_id=0) for x in (0, 30)]
    found = segments_of("cvat", **cvat_file(tmp_path, "".join(shapes)))
    assert [np.flatnonzero(mask.any(axis=0))[0] for _, mask in found] == [0, 30]


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
def test_a_bitmap_whose_palette_has_the_object_first_is_read_by_its_transparency(tmp_path, transparency):
    """As Supervisely's own reading has it: what is not transparent is the object, whatever its number."""
    bits = np.zeros((5, 4), bool)
    bits[0, 0] = bits[2:, 1:] = True
    picture = Image.fromarray((~bits).astype(np.uint8)).convert("P")
    picture.putpalette([255, 255, 255, 0, 0, 0])
    stream = io.BytesIO()
    picture.save(stream, format="PNG", transparency=transparency)
    data = base64.b64encode(zlib.compress(stream.getvalue())).decode()
    ten.supervisely("polygon")(tmp_path)
    path = tmp_path / "train" / "ann" / "0.jpg.json"
    content = json.loads(path.read_text())
    bitmap = {"origin": [20, 10], "data": data}
    content["objects"] = [{"classTitle": "car", "geometryType": "bitmap", "bitmap": bitmap}]
    path.write_text(json.dumps(content))
    ((_, mask),) = segments_of("supervisely", root=tmp_path)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[10:15, 20:24] = bits
    assert np.array_equal(mask, expected)


def test_labelmes_words_for_no_class_are_none_where_they_are_typed(tmp_path):
    boxes = [("__ignore__", 0), ("mug", 20), ("_background_", 40)]
    labelme_file(tmp_path, [shape(label, corners(x, 0, x + 10, 10)) for label, x in boxes])
    assert [label for label, _ in segments_of("labelme", root=tmp_path)] == ["mug"]
    assert get("labelme").read(get("labelme").options(root=tmp_path), Context(tmp_path, tmp_path)).names == ("mug",)


def test_pictures_that_may_be_two_are_refused(tmp_path):
    for folder in "ab":
        ten.save_photo(tmp_path / folder / "1.jpg", 0)
    with pytest.raises(DataError, match=r"'c/1\.jpg' may be .*a/1\.jpg or .*b/1\.jpg"):
        Pictures(tmp_path).find("c/1.jpg")
    with pytest.raises(MissingFileError, match="no picture below"):
        Pictures(tmp_path).find("2.jpg")
    pictures = Pictures(tmp_path / "a")
    assert pictures.find("1.jpg") == pictures.find("1.jpg")
    with pytest.raises(DataError, match=r"'1\.jpg' and 'other/1\.jpg' both lead to"):
        pictures.find("other/1.jpg")


def test_roboflows_heading_is_a_class_where_an_annotation_has_it(tmp_path):
    ten.roboflow(tmp_path)
    path = tmp_path / "train" / "_annotations.coco.json"
    options = {"instances_json": path, "images": path.parent}
    assert read_parts(get("coco"), **options)[0].names == ten.NAMES
    content = json.loads(path.read_text())
    content["annotations"][0]["category_id"] = 0
    path.write_text(json.dumps(content))
    assert read_parts(get("coco"), **options)[0].names == ("traffic", *ten.NAMES)


def test_cityscapes_table_is_the_toolboxs():
    """Its classes that are no void have the ids 7 to 33, and those that are evaluated these."""
    assert [label.id for label in LABELS] == list(range(34))
    assert len(class_names(27)) == 27 and class_names(27)[:2] == ("road", "sidewalk")
    ids = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    assert label_values(19, "labelIds").of == tuple((number,) for number in ids)
    assert label_values(19, "labelTrainIds").of == tuple((number,) for number in range(19))
    assert label_values(19, "color").of[0] == (128 << 16 | 64 << 8 | 128,)


def test_cityscapes_objects_and_scenes(tmp_path):
    ten.cityscapes("labelIds")(tmp_path)
    for path in (tmp_path / "gtFine").rglob("*_labelIds.png"):
        ids = np.array(Image.open(path)).astype(np.uint16)
        ids[ids == 26] = 26001
        ids[(ids == 26001) & (np.arange(WIDTH) > 60)] = 26002
        ten.save_map(path.with_name(path.name.replace("labelIds", "instanceIds")), ids)
    train, val = read_parts(get("cityscapes"), root=tmp_path, segments="object")
    assert [segment.label for segment in train.images[0].segments].count("car") == 2
    assert [image.group for image in train.images][:3] == ["aachen_000000", "aachen_000000", "aachen_000001"]
    assert {image.group for image in val.images} == {"ulm_000004"}
