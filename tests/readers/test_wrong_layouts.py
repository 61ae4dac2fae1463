"""What is refused of the tools' layouts: each in one sentence, with exit 1 or 2."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.readers.registry import get
from tests.readers.test_layouts import LAYOUTS


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def smaller(path: Path) -> None:
    pixels = np.asarray(Image.open(path))
    Image.fromarray(pixels[:-1]).save(path)


def first_map(root: Path) -> Path:
    return min((root / "gtFine/train").rglob("*_labelIds.png"))


def write_over(root: Path, value: int) -> None:
    pixels = np.array(Image.open(first_map(root)))
    pixels[:5, :5] = value
    Image.fromarray(pixels).save(first_map(root))


WRONG = {
    "labelme, another size": (
        "labelme", lambda root: replace_text(root / "0.json", '"imageHeight": 72', '"imageHeight": 70'), [], 1,
        r"the size in .*0\.json is 96x70, but its image .*0\.jpg is 96x72",
    ),
    "labelme, a shape of a newer version": (
        "labelme", lambda root: replace_text(root / "0.json", '"polygon"', '"spline"'), [], 1,
        r"0\.json: shape 1 \('bus'\): the shape type 'spline' is none of versions 3 to 5 of labelme",
    ),
    "labelme, a newer version": (
        "labelme", lambda root: (root / "0.json").write_text('{"version": "9.0", "layers": []}'), [], 1,
        r"0\.json: expected labelme's JSON of version 3 to 5, got version 9\.0, where 'shapes' is missing",
    ),
    "labelme, no photo": (
        "labelme", lambda root: (root / "0.jpg").unlink(), [], 1, r"0\.jpg does not exist, and no picture below",
    ),
    "labelme, two files of one photo": (
        "labelme", lambda root: (root / "0 (copy).json").write_text((root / "0.json").read_text()), [], 1,
        r"0.*\.json and .*0.*\.json are of one photo, .*0\.jpg; keep one of them",
    ),
    "yolo, boxes": (
        "yolo", lambda root: (root / "labels/train/0.txt").write_text("0 0.5 0.5 0.2 0.2\n"), [], 1,
        r"0\.txt, line 1: this is a box, of a detection dataset, .*export the labels for segmentation",
    ),
    "yolo, a class without a name": (
        "yolo", lambda root: replace_text(root / "labels/train/0.txt", "\n2 ", "\n3 "), [], 1,
        r"line 4: the class 3 is none of the 3 names, 0 to 2",
    ),
    "yolo, other names": (
        "yolo of Roboflow", lambda root: replace_text(root / "data.yaml", "nc: 3", "nc: 4"), [], 1,
        r"data\.yaml: expected 4 names, as nc says, got 3",
    ),
    "yolo, a name that YAML reads as true": (
        "yolo of Roboflow",
        lambda root: (root / "data.yaml").write_text("train: ../train/images\nnames: [yes, no]\n"), [], 1,
        r"data\.yaml: YAML takes a name such as yes, no, on or off for true or false; put it in quotes",
    ),
    "yolo, a fraction beside its own part": (
        "yolo", lambda root: None, ["--val-fraction", "0.5"], 2,
        "--val-fraction has no effect beside validation data of its own",
    ),
    "cvat, a newer version": (
        "cvat", lambda root: replace_text(root / "annotations.xml", "<version>1.1", "<version>2.0"), [], 1,
        r"expected CVAT for images 1\.1, got version '2\.0'; export the task in that format",
    ),
    "cvat, a video": (
        "cvat", lambda root: replace_text(root / "annotations.xml", "</annotations>", "<track/></annotations>"), [], 1,
        r"holds tracks, as CVAT for video does; export the task as CVAT for images 1\.1",
    ),
    "cvat, runs that do not add up": (
        "cvat masks", lambda root: replace_text(root / "annotations.xml", 'rle="0, ', 'rle="1, '), [], 1,
        r"image 0\.jpg: shape 1 \('bus'\): expected run lengths, .*add up to 30x34 pixels",
    ),
    "cvat, another size": (
        "cvat", lambda root: replace_text(root / "annotations.xml", 'height="72"', 'height="71"'), [], 1,
        r"its size in .*annotations\.xml is 96x71, but its image .*0\.jpg is 96x72",
    ),
    "supervisely, a class that meta.json lacks": (
        "supervisely", lambda root: replace_text(root / "meta.json", '"bus"', '"tram"'), [], 1,
        r"object 1: the class 'bus' is not in meta\.json",
    ),
    "supervisely, a mask that is none": (
        "supervisely bitmaps",
        lambda root: replace_text(root / "train/ann/0.jpg.json", '"data": "', '"data": "x'), [], 1,
        r"0\.jpg\.json: object 1 \('bus'\): expected a mask as a PNG that is packed by zlib, in base64",
    ),
    "supervisely, a dataset that is not there": (
        "supervisely", lambda root: None, ["--val", "test"], 1, r"has no dataset 'test'; it has train, val",
    ),
    "supervisely, another size": (
        "supervisely", lambda root: replace_text(root / "train/ann/0.jpg.json", '"height": 72', '"height": 70'), [], 1,
        r"the size in .*0\.jpg\.json is 96x70, but its image .*0\.jpg is 96x72",
    ),
    "supervisely, a newer version": (
        "supervisely", lambda root: replace_text(root / "train/ann/0.jpg.json", '"objects"', '"figures"'), [], 1,
        r"0\.jpg\.json: expected Supervisely's JSON of images, but 'objects' is missing; export the project in",
    ),
    "supervisely, a geometry of a newer version": (
        "supervisely", lambda root: replace_text(root / "train/ann/0.jpg.json", '"polygon"', '"alpha_mask"'), [], 1,
        r"object 1 \('bus'\): the geometry 'alpha_mask' is none that can be read",
    ),
    "supervisely, no photo": (
        "supervisely", lambda root: (root / "train/img/0.jpg").unlink(), [], 1,
        r"train/img/0\.jpg does not exist, the image of .*0\.jpg\.json",
    ),
    "supervisely, groups beside a dataset to validate on": (
        "supervisely", lambda root: None, ["--group-by", "video"], 2, r"--group-by has no effect beside --val",
    ),
    "cityscapes, a value of another table": (
        "cityscapes", lambda root: write_over(root, 77), [], 1,
        r"_gtFine_labelIds\.png: the label value 77 is none of Cityscapes'; see --labels",
    ),
    "cityscapes, another size": (
        "cityscapes", lambda root: smaller(first_map(root)), [], 1,
        r"_gtFine_labelIds\.png is 96x71, but its image .*_leftImg8bit\.\w+ is 96x72",
    ),
    "cityscapes, no image": (
        "cityscapes", lambda root: next(iter(sorted((root / "leftImg8bit/train").rglob("*.*")))).unlink(), [], 1,
        r"_gtFine_labelIds\.png has no image .*_leftImg8bit\.\*; add it",
    ),
    "cityscapes, objects without their file": (
        "cityscapes", lambda root: None, ["--segments", "object"], 1, r"_gtFine_instanceIds\.png",
    ),
    "cityscapes, training ids of all classes": (
        "cityscapes", lambda root: None, ["--labels", "labelTrainIds", "--classes", "27"], 2,
        r"--labels labelTrainIds have 19 classes; leave --classes 27 out",
    ),
    "cityscapes, the coarse annotations": (
        "cityscapes", lambda root: None, ["--annotations", "gtCoarse"], 1, r"gtCoarse/train",
    ),
    "cityscapes, objects of colours": (
        "cityscapes in colours", lambda root: None, ["--segments", "object"], 2,
        r"--segments object is read of ids; leave --labels out",
    ),
    "cityscapes, another kind": (
        "cityscapes", lambda root: None, ["--labels", "labelTrainIds"], 1,
        r"holds no file that ends in _gtFine_labelTrainIds\.png; check --root, --labels and --annotations",
    ),
    "voc, a colour without a name": (
        "voc of CVAT", lambda root: replace_text(root / "labelmap.txt", "car:0,0,142::\n", ""), [], 1,
        r"0\.png: the colour 0,0,142 is not in .*labelmap\.txt; add its name there",
    ),
    "voc, objects of another size": (
        "voc of CVAT", lambda root: smaller(root / "SegmentationObject/0.png"), ["--segments", "object"], 1,
        r"SegmentationClass/0\.png is 96x72, but .*SegmentationObject/0\.png is 96x71; unpack them again",
    ),
    "coco, boxes": (
        "coco", lambda root: replace_text(
            root / "annotations/instances_train2017.json",
            '"segmentation": [[4, 6, 34, 6, 34, 16, 16, 16, 16, 40, 4, 40]]',
            '"bbox": [1, 2, 3, 4], "segmentation": []'), [], 1,
        r"annotation 0: it is a box without a mask",
    ),
    "label maps of another size": (
        "folders", lambda root: smaller(root / "masks/0_mask.png"), [], 1,
        r"0_mask\.png is 96x71, but its image .*0\.jpg is 96x72",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_ways_are_one_sentence(case, tmp_path, capsys):
    layout, spoil, flags, code, said = WRONG[case]
    root = tmp_path / "in"
    LAYOUTS[layout].write(root)
    sighting = get(LAYOUTS[layout].reader).look(root)
    spoil(root)
    words = [LAYOUTS[layout].reader, "--output", str(tmp_path / "out")]
    for name, value in sighting.options.items():
        flag = "--" + name.replace("_", "-")
        if value and flag not in flags:
            words += [flag, *map(str, value if isinstance(value, tuple) else (value,))]
    assert main([*words, *flags]) == code
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("error: ")]
    assert re.search(said, line), line
    assert "unexpected" not in line and not (tmp_path / "out").exists()
