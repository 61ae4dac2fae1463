"""A picture with an EXIF orientation is turned everywhere, and labels are in its frame or refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.images import convert_image, orientation, read_image, read_labels, read_upright, turn
from opendas_plugin.errors import DataError
from opendas_plugin.eval.masks import read_proposals
from opendas_plugin.runs import prepare

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def save(path, pixels, number):
    tags = Image.Exif()
    tags[0x0112] = number
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=tags)


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_pictures_are_turned_as_pillow_turns_them(tmp_path, number, suffix):
    path = tmp_path / f"a.{suffix}"
    save(path, PIXELS, number)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        assert np.array_equal(convert_image(picture, "it") if suffix != "tif" else read_image(path), expected)
    assert np.array_equal(read_image(path), expected)
    assert orientation(path)[0] == number
    if suffix == "png":
        assert np.array_equal(turn(PIXELS, number), expected)


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_orientation_that_there_is_not_is_none(tmp_path, value):
    save(tmp_path / "a.png", PIXELS, value)
    assert np.array_equal(read_image(tmp_path / "a.png"), PIXELS)


def test_what_is_measured_by_pixels_must_be_upright(tmp_path):
    save(tmp_path / "a.png", PIXELS, 3)
    with pytest.raises(DataError, match=r"a\.png has an EXIF orientation"):
        read_upright(tmp_path / "a.png")
    save(tmp_path / "labels.png", PIXELS[..., 0], 6)
    with pytest.raises(DataError, match=r"labels\.png: values with an EXIF orientation"):
        read_labels(tmp_path / "labels.png")


def phones(folder, number, turned_labels):
    """Pictures whose upper half is red once they are turned, with labels 0 above and 1 below, turned or as stored."""
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :, 0], upright[20:, :, 2] = 220, 220
    labels = np.repeat([0, 1], 20)[:, None].repeat(60, axis=1).astype(np.uint8)
    back = {1: 1, 3: 3, 6: 8, 8: 6}[number]
    for name in "ab":
        save(folder / "images" / f"{name}.png", turn(upright, back), number)
        (folder / "labels").mkdir(exist_ok=True)
        Image.fromarray(labels if turned_labels else turn(labels, back)).save(folder / "labels" / f"{name}.png")


def colours(domain):
    """The mean colour that each name has in what training reads."""
    segments = [*domain.train, *domain.val]
    return {segment.label: read_image(segment.image)[segment.mask()].mean(axis=0).tolist() for segment in segments}


def run(folder, **more):
    settings = {
        "images": folder / "images",
        "labels": folder / "labels",
        "classes": "red,blue",
        "output": folder / "out",
    }
    return prepare("folders", **settings, **more)


@pytest.mark.parametrize(
    ("number", "turned_labels", "exif"),
    [(6, True, None), (8, True, "turned"), (3, True, "turned"), (3, False, "stored"), (6, False, "stored")],
)
def test_names_lie_on_their_colours(tmp_path, number, turned_labels, exif):
    phones(tmp_path, number, turned_labels)
    assert colours(run(tmp_path, exif=exif)) == {"red": [220, 0, 0], "blue": [0, 0, 220]}


@pytest.mark.parametrize(
    ("number", "turned_labels", "says"), [(3, True, "nothing says which"), (6, False, "by its size the stored ones")]
)
def test_labels_of_an_unknown_or_the_stored_frame_are_refused(tmp_path, number, turned_labels, says):
    phones(tmp_path, number, turned_labels)
    with pytest.raises(DataError, match=rf"a\.png has an EXIF orientation.*{says}.*`exif` turned or stored"):
        run(tmp_path)
    assert not (tmp_path / "out").exists()


def test_coco_is_turned_likewise(tmp_path):
    phones(tmp_path, 3, True)
    ring = [0, 0, 60, 0, 60, 20, 0, 20]  # of the stored pixels: the blue half
    content = {
        "images": [{"id": n, "file_name": f"{name}.png", "height": 40, "width": 60} for n, name in enumerate("ab")],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "segmentation": [ring]} for n in range(2)],
        "categories": [{"id": 1, "name": "blue"}],
    }
    (tmp_path / "c.json").write_text(json.dumps(content))
    settings = {"instances_json": tmp_path / "c.json", "images": tmp_path / "images", "output": tmp_path / "out"}
    with pytest.raises(DataError, match="nothing says which"):
        prepare("coco", **settings)
    assert colours(prepare("coco", **settings, exif="stored")) == {"blue": [0, 0, 220]}


def test_a_domain_of_the_time_before_is_refused_if_its_pictures_would_be_turned_now(tmp_path):
    phones(tmp_path, 3, True)
    run(tmp_path, exif="turned")
    path = tmp_path / "out" / "domain.json"
    info = json.loads(path.read_text())
    del info["exif"]
    path.write_text(json.dumps(info))
    with pytest.raises(DataError, match=r"not yet turned by their EXIF orientation.*2 of 2 pictures"):
        load_domain(tmp_path / "out")


def test_proposals_say_their_frame(tmp_path):
    phones(tmp_path, 3, True)
    segment = run(tmp_path, exif="turned").train[0]
    entry = {"file_name": segment.image.name, "segmentation": dict(segment.rle)}

    def read(**more):
        (tmp_path / "p.json").write_text(json.dumps([{**entry, **more}]))
        return read_proposals(tmp_path / "p.json", tmp_path / "images")[0].mask()

    assert np.array_equal(read(exif="turned"), segment.mask())
    assert np.array_equal(read(exif="stored"), segment.mask()[::-1, ::-1])
    with pytest.raises(DataError, match="nothing says which"):
        read()
    with pytest.raises(DataError, match='expected "exif" as turned or stored'):
        read(exif="sideways")
