"""Pascal VOC's layout: segments of classes and of objects against the PNGs' own pixels, and what is no class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.readers.registry import get
from opendas_plugin.readers.voc import NAMES, RAW_NAMES, READER
from opendas_plugin.vocabulary import Vocabulary
from tests.readers.reading import read_parts

CHAIR, PERSON, VOID = 9, 15, 255
LISTS = {"train": ["2007_000032", "2007_000039", "2007_000063"], "val": ["2007_000033", "2007_000042"]}


def colours() -> list[int]:
    """VOC's palette: the bits of a value, spread over red, green and blue from the highest on (VOCcode's colormap)."""
    table = np.zeros((256, 3), int)
    for value in range(256):
        for bit in range(8):
            table[value] |= [(value >> (3 * bit + channel) & 1) << (7 - bit) for channel in range(3)]
    return table.ravel().tolist()


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values.astype(np.uint8))
    picture.putpalette(colours())
    picture.save(path)


@pytest.fixture
def devkit(tmp_path):
    """VOCdevkit/VOC2012 with two chairs and a person an image, each with a void border."""
    folder = tmp_path / "VOCdevkit" / "VOC2012"
    for name in ("JPEGImages", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for name, stems in {**LISTS, "trainval": sorted([*LISTS["train"], *LISTS["val"]])}.items():
        (folder / "ImageSets" / "Segmentation" / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in stems))
        for place, stem in enumerate(stems):
            classes, objects = np.zeros((2, 40, 60), int)
            for number, (value, left) in enumerate(((CHAIR, 2), (PERSON, 20), (CHAIR, 40)), 1):
                classes[8 : 30 + place, left : left + 16] = objects[8 : 30 + place, left : left + 16] = VOID
                classes[9 : 29 + place, left + 1 : left + 15] = value
                objects[9 : 29 + place, left + 1 : left + 15] = number
            save(folder / "SegmentationClass" / f"{stem}.png", classes)
            save(folder / "SegmentationObject" / f"{stem}.png", objects)
            Image.new("RGB", (60, 40), (20 * place, 90, 90)).save(folder / "JPEGImages" / f"{stem}.jpg")
    return tmp_path / "VOCdevkit"


def pixels(devkit: Path, kind: str, stem: str) -> np.ndarray:
    return np.asarray(Image.open(devkit / "VOC2012" / kind / f"{stem}.png"))


def test_the_palettes_first_colours_are_vocs():
    assert colours()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    assert colours()[-3:] == [224, 224, 192]


def test_there_are_20_names_that_are_a_vocabulary():
    Vocabulary(NAMES)
    assert len(NAMES) == 20 and (NAMES[CHAIR - 1], NAMES[PERSON - 1]) == ("chair", "person")
    assert set(RAW_NAMES) <= set(NAMES)


def test_segments_are_all_pixels_of_a_class(devkit):
    for part, stems in zip(read_parts(READER, root=devkit), LISTS.values(), strict=True):
        assert [image.group for image in part.images] == stems
        for image, stem in zip(part.images, stems, strict=True):
            values = pixels(devkit, "SegmentationClass", stem)
            assert [segment.label for segment in image.segments] == ["chair", "person"]
            for value, segment in zip((CHAIR, PERSON), image.segments, strict=True):
                assert (segment.mask() == (values == value)).all()
                assert segment.image == devkit / "VOC2012" / "JPEGImages" / f"{stem}.jpg"
            assert image.dropped == {"background": 1, "void": 1}


def test_segments_are_objects_of_the_class_that_their_pixels_have(devkit):
    train, _ = read_parts(READER, root=devkit / "VOC2012", segments="object")
    values = pixels(devkit, "SegmentationObject", LISTS["train"][0])
    found = train.images[0].segments
    assert [segment.label for segment in found] == ["chair", "person", "chair"]
    for number, segment in enumerate(found, 1):
        assert (segment.mask() == (values == number)).all()


@pytest.mark.parametrize("segments", ["class", "object"])
def test_background_may_be_a_class(devkit, segments):
    train, _ = read_parts(READER, root=devkit, background=True, segments=segments)
    assert train.names == ("background", *NAMES)
    (ground,) = [segment for segment in train.images[0].segments if segment.label == "background"]
    assert (ground.mask() == (pixels(devkit, "SegmentationClass", LISTS["train"][0]) == 0)).all()


def test_small_segments_are_dropped(devkit):
    train, _ = read_parts(READER, 300, root=devkit, segments="object")
    assert train.images[0].dropped["smaller than 300 pixels"] == 3


def test_the_command(devkit, tmp_path, capsys):
    flags = ["voc", "--root", str(devkit), "--output", str(tmp_path / "out")]
    assert main([*flags, "--segments", "object", "--novel-fraction", "0.05"]) == 0
    domain = load_domain(tmp_path / "out")
    assert domain.info["images"] == {"train": 3, "val": 2} and len(domain.val) == 6
    assert domain.info["raw_names"] == RAW_NAMES
    assert main([*flags, "--val-fraction", "0.4"]) == 2
    assert "--val-fraction has no effect beside validation data of its own" in capsys.readouterr().err
    assert main([*flags, "--lists", "trainval", "--val-fraction", "0.4", "--overwrite"]) == 0
    assert load_domain(tmp_path / "out").info["images"] == {"train": 3, "val": 2}


def test_what_is_missing_or_odd_is_named(devkit, tmp_path):
    folder = devkit / "VOC2012"
    with pytest.raises(MissingFileError, match="holds 0 folders such as VOC2012"):
        read_parts(READER, root=tmp_path / "elsewhere")
    stem = LISTS["val"][0]
    odd = pixels(devkit, "SegmentationClass", stem).copy()
    odd[0, 0] = 21
    save(folder / "SegmentationClass" / f"{stem}.png", odd)
    with pytest.raises(DataError, match=rf"{stem}\.png: the value 21 is none of VOC's"):
        read_parts(READER, root=devkit)
    save(folder / "SegmentationClass" / f"{stem}.png", odd[:10])
    with pytest.raises(DataError, match="is 60x10, but its image"):
        read_parts(READER, root=devkit)
    (folder / "JPEGImages" / f"{stem}.jpg").unlink()
    with pytest.raises(MissingFileError, match=rf"{stem}\.jpg does not exist"):
        read_parts(READER, root=devkit)
    (folder / "ImageSets" / "Segmentation" / "val.txt").unlink()
    with pytest.raises(MissingFileError, match=r"val\.txt does not exist"):
        read_parts(READER, root=devkit)
    (devkit / "VOC2007" / "ImageSets").mkdir(parents=True)
    with pytest.raises(MissingFileError, match="holds 2 folders"):
        read_parts(READER, root=devkit)


@pytest.mark.parametrize(
    "lines",
    [
        ("_background_", "door", "window"),
        ("Background", "door", "window"),
        ("__ignore__", "_background_", "door", "window"),
        ("door", "window"),
    ],
)
def test_other_names_are_counted_from_the_background_however_it_is_spelled(tmp_path, lines):
    """labelme's labels.txt has __ignore__ as number -1 and _background_ as 0 (its labelme2voc.py)."""
    values = np.zeros((40, 60), int)
    values[:20, :20], values[20:, 20:] = 1, 2
    values[0, 0] = VOID
    save(tmp_path / "SegmentationClass" / "a.png", values)
    (tmp_path / "JPEGImages").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "JPEGImages" / "a.JPG")
    (tmp_path / "names.txt").write_text("".join(f"{line}\n" for line in lines))
    train, _ = read_parts(READER, root=tmp_path, classes=str(tmp_path / "names.txt"), lists="all")
    found = {segment.label: int(segment.mask().sum()) for segment in train.images[0].segments}
    assert found == {"door": 399, "window": 800}


@pytest.mark.parametrize("background", ["background", "Background", "_background_"])
def test_the_background_of_a_table_of_colours_is_no_class_however_it_is_spelled(tmp_path, background):
    colours = np.zeros((40, 60, 3), np.uint8)
    colours[:20, :20] = 120, 60, 20
    for name, pixels in (("SegmentationClass", colours), ("JPEGImages", colours)):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    table = tmp_path / "labelmap.txt"
    table.write_text(f"{background}:0,0,0::\ndoor:120,60,20::\n")
    of_folders = {"images": tmp_path / "JPEGImages", "labels": tmp_path / "SegmentationClass"}
    for name, options in (("voc", {"root": tmp_path, "lists": "all"}), ("folders", of_folders)):
        train, _ = read_parts(get(name), classes=str(table), **options)
        assert train.names == ("door",)
        assert [segment.label for segment in train.images[0].segments] == ["door"]


def first_image(devkit: Path, **options: str) -> list[Segment]:
    return read_parts(READER, root=devkit, **options)[0].images[0].segments


def repaint(path: Path, order: list[int]) -> None:
    """Saves a label PNG so that each pixel keeps its colour, with ``order[i]`` of VOC's palette at place i."""
    values = np.asarray(Image.open(path))
    picture = Image.fromarray(np.array([order.index(value) for value in range(256)], np.uint8)[values])
    picture.putpalette(np.array(colours()).reshape(256, 3)[order].ravel().tolist())
    picture.save(path)


def test_a_palette_in_another_order_is_refused_and_a_table_of_colours_reads_it(devkit, tmp_path):
    """As painting programs save it: the value 1 would be an aeroplane in place of a chair, and nothing would say so."""
    path = devkit / "VOC2012" / "SegmentationClass" / "2007_000032.png"
    right = first_image(devkit)
    first = [0, CHAIR, PERSON, VOID]
    repaint(path, first + [value for value in range(256) if value not in first])
    with pytest.raises(DataError, match=r"2007_000032.*another order \(the value 1 is drawn in the colour of 9\)"):
        read_parts(READER, root=devkit)
    table = tmp_path / "labelmap.txt"
    rgb = np.array(colours()).reshape(256, 3)
    rows = [f"{name}:{','.join(map(str, rgb[value]))}::" for value, name in enumerate(["background", *NAMES])]
    table.write_text("# label:color_rgb:parts:actions\n" + "\n".join(rows) + "\n")
    again = first_image(devkit, classes=str(table))
    assert [segment.label for segment in again] == [segment.label for segment in right] == ["chair", "person"]
    assert all((a.mask() == b.mask()).all() for a, b in zip(again, right, strict=True))


def test_a_palette_of_ones_own_says_nothing_of_the_order(devkit):
    path = devkit / "VOC2012" / "SegmentationClass" / "2007_000032.png"
    right = first_image(devkit)
    picture = Image.open(path)
    picture.putpalette([value for place in range(256) for value in (place, 255 - place, 7)])
    picture.save(path)
    assert [segment.label for segment in first_image(devkit)] == [segment.label for segment in right]


def test_two_pictures_of_one_stem_are_refused(devkit):
    stem = LISTS["train"][0]
    Image.new("RGB", (60, 40)).save(devkit / "VOC2012" / "JPEGImages" / f"{stem}.png")
    with pytest.raises(DataError, match=rf"{stem}\.jpg and .*{stem}\.png differ only in their suffix"):
        read_parts(READER, root=devkit)
