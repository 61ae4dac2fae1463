"""The folder reader on small made folders, and on CamVid where it is at hand."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.errors import ConfigError, DataError, MissingFileError
from opendas_plugin.readers.folders import READER, group_names
from opendas_plugin.readers.reader import Context
from tests.readers.reading import read_parts

NAMES = ("sky", "road", "car", "void")
CAMVID = Path(__file__).parents[3] / "shared" / "data" / "camvid"
CAMVID_NAMES = [
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
]


def save(root, stem, labels, image_suffix=".jpg"):
    """Saves a label map and a grey image of its size."""
    for folder in ("images", "labels"):
        (root / folder / stem).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.uint8(labels)).save(root / "labels" / f"{stem}.png")
    Image.new("RGB", np.shape(labels)[::-1], "grey").save(root / "images" / f"{stem}{image_suffix}")


def read(root, **options):
    return read_labels(root / "images", root / "labels", NAMES, **options)


def read_labels(images, labels, names, *, min_area=1, **options):
    train, val = read_parts(READER, min_area, images=images, labels=labels, classes=",".join(names), **options)
    assert val is None
    return train


@pytest.fixture
def street(tmp_path):
    """Sky above road with two cars, one of them of two pixels; a void column."""
    labels = np.zeros((20, 30), np.uint8)
    labels[10:] = 1
    labels[12:16, 3:9] = 2
    labels[18, 20:22] = 2
    labels[:, 29] = 3
    save(tmp_path, "street", labels)
    return tmp_path, labels


def test_a_segment_is_all_pixels_of_a_class(street):
    root, labels = street
    reading = read(root, ignore=(3,))
    (image,) = reading.images
    assert reading.names == ("sky", "road", "car")
    assert [segment.label for segment in image.segments] == ["sky", "road", "car"]
    for value, segment in enumerate(image.segments):
        assert segment.image == root / "images" / "street.jpg"
        assert np.array_equal(segment.mask(), labels == value)
    assert image.dropped == {"ignored label value": 1}


def test_a_segment_is_a_connected_component(street):
    root, labels = street
    (image,) = read(root, ignore=(3,), regions="component").images
    cars = [segment for segment in image.segments if segment.label == "car"]
    assert [car.box for car in cars] == [(3, 12, 9, 16), (20, 18, 22, 19)]
    assert np.array_equal(cars[0].mask() | cars[1].mask(), labels == 2)


def test_diagonal_neighbours_are_one_component(tmp_path):
    save(tmp_path, "a", np.eye(5, dtype=np.uint8))
    (image,) = read(tmp_path, regions="component").images
    assert [segment.area for segment in image.segments if segment.label == "road"] == [5]


def test_small_segments_are_dropped_and_counted(street):
    root, _ = street
    (image,) = read(root, ignore=(3,), regions="component", min_area=3).images
    assert [segment.area for segment in image.segments] == [290, 264, 24]
    assert image.dropped == {"ignored label value": 1, "smaller than 3 pixels": 1}


@pytest.mark.parametrize("mode", ["P", "I;16"])
def test_labels_may_be_palette_or_16_bit(tmp_path, mode):
    labels = np.uint8([[0, 1], [2, 2]])
    save(tmp_path, "a", labels)
    picture = Image.fromarray(labels.astype(np.uint16) if mode == "I;16" else labels)
    if mode == "P":
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "labels" / "a.png")
    (image,) = read(tmp_path).images
    assert [segment.label for segment in image.segments] == ["sky", "road", "car"]


def test_images_without_labels_are_left_out_and_counted(tmp_path):
    for stem in ("a", "b"):
        save(tmp_path, stem, [[0, 1]])
    (tmp_path / "labels" / "a.png").unlink()
    reading = read(tmp_path)
    assert reading.unlabelled == 1
    assert [image.group for image in reading.images] == ["b"]


def test_sub_folders_are_matched_and_grouped(tmp_path):
    for stem in ("berlin/1", "berlin/2", "bern/1"):
        save(tmp_path, stem, [[0, 1]], ".png")
    reading = read(tmp_path)
    assert [image.group for image in reading.images] == ["berlin", "berlin", "bern"]
    assert {image.group for image in read(tmp_path, group_by="image").images} == {"berlin/1", "berlin/2", "bern/1"}


def test_one_sub_folder_is_no_group():
    assert group_names(["all/1", "all/2"], None) == {"all/1": "all/1", "all/2": "all/2"}


def test_a_video_is_cut_into_blocks_of_neighbours():
    stems = [f"a_{frame:04d}" for frame in range(0, 700, 7)] + [f"b{frame}_left" for frame in (9, 10, 11)] + ["still"]
    groups = group_names(stems, "video")
    blocks = [groups[stem] for stem in stems[:100]]
    assert blocks == sorted(blocks)
    assert [blocks.count(f"a_#{number}") for number in range(10)] == [10] * 10
    assert [groups[stem] for stem in stems[100:]] == ["b_left#0", "b_left#1", "b_left#2", "still#0"]


def test_a_label_value_outside_the_classes_is_refused(tmp_path):
    save(tmp_path, "a", [[0, 7]])
    with pytest.raises(DataError, match=r"a\.png: label value 7 is not one of the 4 classes, 0 to 3; .*`ignore` 7"):
        read(tmp_path)


def test_an_image_of_another_size_is_refused(tmp_path):
    save(tmp_path, "a", [[0, 1]])
    Image.new("RGB", (3, 3)).save(tmp_path / "images" / "a.jpg")
    with pytest.raises(DataError, match=r"a\.png is 2x1, but its image .*a\.jpg is 3x3"):
        read(tmp_path)


def test_a_truncated_image_is_refused(tmp_path):
    save(tmp_path, "a", np.zeros((50, 50)))
    path = tmp_path / "images" / "a.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"a\.jpg cannot be read as a picture"):
        read(tmp_path)


def test_labels_without_an_image_are_refused(tmp_path):
    save(tmp_path, "a", [[0, 1]])
    save(tmp_path, "b", [[0, 1]])
    (tmp_path / "images" / "a.jpg").unlink()
    with pytest.raises(MissingFileError, match=r"labels/a\.png has no image"):
        read(tmp_path)


def test_two_images_of_one_stem_are_refused(tmp_path):
    save(tmp_path, "a", [[0, 1]], ".jpg")
    save(tmp_path, "a", [[0, 1]], ".png")
    with pytest.raises(DataError, match="differ only in their suffix"):
        read(tmp_path)


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="images is not a folder"):
        read(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(MissingFileError, match="images holds no file"):
        read(tmp_path)


@pytest.mark.skipif(not CAMVID.is_dir(), reason=f"CamVid is not at {CAMVID}")
def test_camvid_gives_one_segment_a_class_and_frame():
    reading = read_labels(CAMVID / "val", CAMVID / "valannot", CAMVID_NAMES, ignore=(11,))
    maps = [np.asarray(Image.open(path)) for path in sorted((CAMVID / "valannot").glob("*.png"))]
    assert len(reading.images) == len(maps) == 40
    assert len(reading.names) == 11
    for image, labels in zip(reading.images, maps, strict=True):
        areas = {segment.label: segment.area for segment in image.segments}
        assert areas == {CAMVID_NAMES[value]: (labels == value).sum() for value in np.unique(labels) if value != 11}


@pytest.mark.skipif(not CAMVID.is_dir(), reason=f"CamVid is not at {CAMVID}")
def test_camvids_frames_belong_to_three_videos():
    stems = [path.stem for path in (CAMVID / "train").glob("*.png")]
    groups = group_names(stems, "video")
    assert {group.partition("#")[0] for group in groups.values()} == {"0001TP_", "0006R0_f", "0016E5_"}
    assert len(set(groups.values())) == 30


class TestNumbersAndColours:
    """Who stores 0 for background, numbers with gaps, colours, or label files with longer names."""

    COLOURS = ((0, 0, 0), (120, 60, 20), (1, 2, 3))
    TABLES: ClassVar = {  # each says: background, door, wall
        "CVAT's": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndoor:120,60,20::\nwall:1,2,3::\n",
        "name first": "background 0 0 0\ndoor 120 60 20\nwall 1 2 3\n",
        "name last": "0 0 0\t\tbackground\n120 60 20\t\tdoor\n1 2 3\twall\n",
        "commas": "background,0,0,0\ndoor,120,60,20\nwall,1,2,3\n",
    }

    @pytest.fixture
    def places(self):
        """Nine rows of each of three classes."""
        return np.repeat(np.arange(3, dtype=np.uint8), 9)[:, None].repeat(12, axis=1)

    def found(self, tmp_path, min_area=1, **options):
        """The names, and for each its mask."""
        train, _ = read_parts(READER, min_area, images=tmp_path / "images", labels=tmp_path / "labels", **options)
        (image,) = train.images
        return train.names, {segment.label: segment.mask() for segment in image.segments}

    def test_an_offset_names_the_first_class_and_ignores_what_lies_below(self, tmp_path, places):
        save(tmp_path, "a", places)
        names, masks = self.found(tmp_path, classes="door,wall", offset=1)
        assert names == ("door", "wall") and set(masks) == {"door", "wall"}
        assert (masks["door"] == (places == 1)).all() and (masks["wall"] == (places == 2)).all()

    @pytest.mark.parametrize(("ignore", "classes"), [((1,), "floor,door,wall"), ((), "floor,door,wall")])
    def test_what_is_ignored_renumbers_nothing(self, tmp_path, places, ignore, classes):
        save(tmp_path, "a", places)
        by_name = {} if ignore else {"ignore_classes": ("Door",)}
        names, masks = self.found(tmp_path, classes=classes, ignore=ignore, **by_name)
        assert names == ("floor", "wall") and (masks["wall"] == (places == 2)).all() and "door" not in masks
        folders = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
        dataset = READER.read(READER.options(**folders, classes="a,b", ignore=(0,)), Context(tmp_path, tmp_path))
        assert dataset.values.of == ((1,),) and dataset.values.ignored == (0,)

    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
    def test_colours_are_classes_by_their_table(self, tmp_path, places, table, mode):
        save(tmp_path, "a", places)
        picture = Image.fromarray(places, "P")
        picture.putpalette([value for colour in self.COLOURS for value in colour])
        picture.convert(mode).save(tmp_path / "labels" / "a.png")
        (tmp_path / "labelmap.txt").write_text(self.TABLES[table])
        names, masks = self.found(tmp_path, classes=str(tmp_path / "labelmap.txt"))
        assert names == ("door", "wall") and set(masks) == {"door", "wall"}
        assert (masks["door"] == (places == 1)).all() and (masks["wall"] == (places == 2)).all()

    def test_a_colour_without_a_name_is_named(self, tmp_path, places):
        save(tmp_path, "a", places)
        Image.fromarray(places).convert("RGB").save(tmp_path / "labels" / "a.png")
        (tmp_path / "table.txt").write_text("wall 1 1 1\nfloor 0 0 0")
        with pytest.raises(DataError, match=r"a\.png: the colour 2,2,2 is not in the table of `classes`"):
            self.found(tmp_path, classes=str(tmp_path / "table.txt"))
        with pytest.raises(DataError, match=r"got mode 'RGB'.* give a table of names and colours as `classes`"):
            self.found(tmp_path, classes="floor,wall")

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            ("wall 1 1 1\nfloor\ndoor 2 2 2", "line 2: expected a name and its colour"),
            ("1 120 60 20\ndoor 1 1 1 255", "line 1: expected a name and its colour"),
            ("wall 1 1 256", "line 1: expected a name and its colour, three numbers up to 255"),
            ("wall 1 1 1\nfloor 1 1 1", "the colour '1,1,1' is there twice"),
            ("wall 1 1 1\nwall 1 1 2", "the name 'wall' is there twice"),
        ],
    )
    def test_a_table_with_a_fault_is_refused(self, tmp_path, places, lines, said):
        save(tmp_path, "a", places)
        (tmp_path / "table.txt").write_text(lines)
        with pytest.raises(DataError, match=said):
            self.found(tmp_path, classes=str(tmp_path / "table.txt"))

    def test_labelmes_ignored_pixels_have_no_number_of_a_class(self, tmp_path, places):
        """Its labels.txt counts from -1, which is __ignore__ and 255 in its PNGs."""
        save(tmp_path, "a", np.where(places == 0, 255, places))
        (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ndoor\nwall\n")
        classes = {"classes": str(tmp_path / "labels.txt")}
        _, masks = self.found(tmp_path, **classes, ignore=(255,))
        assert {name: int(mask.sum()) for name, mask in masks.items()} == {
            "door": int((places == 1).sum()),
            "wall": int((places == 2).sum()),
        }

    def test_numbers_are_not_for_colours(self, tmp_path, places):
        save(tmp_path, "a", places)
        (tmp_path / "table.txt").write_text("wall 1 1 1")
        with pytest.raises(ConfigError, match="`ignore` and `offset` are for label values"):
            self.found(tmp_path, classes=str(tmp_path / "table.txt"), ignore=(1,))

    def test_a_suffix_of_label_files_is_taken_off_and_other_files_are_passed_over(self, tmp_path, places):
        save(tmp_path, "site/a", places)
        labels = tmp_path / "labels" / "site"
        (labels / "a.png").rename(labels / "a_labels.png")
        Image.new("RGB", (12, 27)).save(labels / "a_colours.png")
        with pytest.raises(MissingFileError, match=r"has no image .*`label_suffix`"):
            self.found(tmp_path, classes="floor,door,wall")
        _, masks = self.found(tmp_path, classes="floor,door,wall", label_suffix="_labels")
        assert (masks["wall"] == (places == 2)).all() and len(masks) == 3
        with pytest.raises(MissingFileError, match=r"no file that ends in _mask\.png"):
            self.found(tmp_path, classes="floor,door,wall", label_suffix="_mask")
