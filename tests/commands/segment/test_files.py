"""opendas-segment: photos to named masks, and the files that others read."""

from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

import opendas_plugin as opendas
from opendas_plugin.commands import evaluate, prepare_data
from opendas_plugin.commands.segment import main
from opendas_plugin.data.colour_tables import read_colour_table
from opendas_plugin.data.domain import load_domain
from tests.commands.segmenting import MASKED, NAMES, PHOTOS, code, contents, flags, make_photos, write_masks


@pytest.fixture(scope="module")
def labeller():
    return opendas.Labeller("office-tiny", NAMES, device="cpu")


def test_names_and_scores_are_those_of_a_labeller_called_by_hand(by_file, photos, masks, labeller):
    for name, own in masks.items():
        labels = labeller(photos / name, own)
        found = np.load((by_file / "detections" / name).with_suffix(".npz"))
        assert [found["names"][place] for place in found["class_id"]] == list(labels.names)
        assert len({*labels.names}) > 1
        assert np.array_equal(found["confidence"], labels.probabilities.max(axis=1))
        assert np.array_equal(found["mask"], own)
        ends = [(np.argwhere(mask).min(axis=0), np.argwhere(mask).max(axis=0)) for mask in own]
        assert found["xyxy"].tolist() == [[x0, y0, x1 + 1, y1 + 1] for (y0, x0), (y1, x1) in ends]


def test_pycocotools_reads_the_instances(by_file, masks):
    coco = COCO(by_file / "instances.json")
    assert [(one["file_name"], one["height"], one["width"]) for one in coco.imgs.values()] == [
        (name, 64, 96) for name in PHOTOS
    ]
    for number, name in enumerate(PHOTOS, 1):
        annotations = coco.loadAnns(coco.getAnnIds(number))
        own = masks.get(name, [])
        assert [coco.annToMask(one).tolist() for one in annotations] == [mask.astype(int).tolist() for mask in own]
        assert [one["area"] for one in annotations] == [mask.sum() for mask in own]
        assert all(0 < one["score"] <= 1 and one["iscrowd"] == 0 for one in annotations)
    assert [one["name"] for one in coco.loadCats(coco.getCatIds())] == list(NAMES)


def test_supervision_reads_the_instances_and_takes_the_detections(by_file, photos, masks):
    supervision = pytest.importorskip("supervision")
    read = supervision.DetectionDataset.from_coco(str(photos), str(by_file / "instances.json"), force_masks=True)
    assert read.classes == list(NAMES)
    for path, _, found in read:
        stored = np.load((by_file / "detections" / path[len(str(photos)) + 1 :]).with_suffix(".npz"))
        ours = supervision.Detections(**{key: stored[key] for key in ("xyxy", "mask", "confidence", "class_id")})
        assert len(found) == len(ours)
        if len(ours):  # a photo without masks has none there
            assert np.array_equal(found.mask, ours.mask)
            assert found.class_id.tolist() == ours.class_id.tolist()


def test_prepare_coco_takes_the_instances_back(by_file, photos, masks, tmp_path):
    argv = ["coco", "--instances-json", by_file / "instances.json", "--images", photos, "--output", tmp_path / "domain"]
    assert prepare_data.main([*map(str, argv), "--val-fraction", "0.5", "--min-area", "1"]) == 0
    domain = load_domain(tmp_path / "domain")
    back = {}
    for one in [*domain.train, *domain.val]:
        back.setdefault(one.image.resolve().relative_to(photos.resolve()).as_posix(), []).append(one.mask())
    assert {name: np.array(own).tolist() for name, own in back.items()} == {
        name: np.array(own).tolist() for name, own in masks.items()
    }


def test_the_class_map_adds_up_what_the_masks_say_of_each_pixel(by_file, photos, masks, labeller):
    for name, own in masks.items():
        probabilities = labeller(photos / name, own).probabilities.astype(float)
        painted = np.zeros((64, 96), int)
        for y, x in np.ndindex(64, 96):
            over = [row for mask, row in zip(own, probabilities, strict=True) if mask[y, x]]
            painted[y, x] = 1 + np.argmax(np.sum(over, axis=0)) if over else 0
        picture = Image.open((by_file / "semantic" / name).with_suffix(".png"))
        assert np.array_equal(np.asarray(picture), painted)
        lines = [line for line in (by_file / "colours.txt").read_text().splitlines() if line.startswith("background")]
        table = dict(line.split(":")[:2] for line in (by_file / "colours.txt").read_text().splitlines()[1:])
        assert lines == ["background:0,0,0::"] and list(table)[1:] == list(NAMES)
        colours = np.array([[int(value) for value in colour.split(",")] for colour in table.values()])
        assert np.array_equal(np.asarray(picture.convert("RGB")), colours[painted])


def test_the_summary_counts_masks_pixels_and_pictures(by_file):
    rows = list(csv.DictReader((by_file / "summary.csv").open()))
    coco = json.loads((by_file / "instances.json").read_text())
    maps = [np.asarray(Image.open(path)) for path in (by_file / "semantic").rglob("*.png")]
    for number, row in enumerate(rows, 1):
        own = [one for one in coco["annotations"] if one["category_id"] == number]
        pixels = sum(int((one == number % 6).sum()) for one in maps)  # the last row is of no name, 0 in the maps
        counted = (len(own), pixels, len({one["image_id"] for one in own}))
        assert (int(row["masks"]), int(row["pixels"]), int(row["pictures"])) == counted
    assert [row["name"] for row in rows] == [*NAMES, ""]


def test_evaluation_scores_the_class_maps(by_file, tmp_path):
    argv = ["semantic", "--predictions", by_file / "semantic", "--ground-truth", by_file / "semantic", "--protocol",
            "detectron2", "--vocabulary", tmp_path / "v.json", "--offset", "1", "--ignore", "0",
            "--prediction-offset", "1", "--output", tmp_path / "out"]  # fmt: skip
    opendas.Vocabulary(NAMES).save(tmp_path / "v.json")
    assert evaluate.main(list(map(str, argv))) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["pacc"] == 100


def test_the_table_of_colours_gives_every_name_back(photos, tmp_path, capsys, caplog):
    names = ["door: left", "door", "exit 12", "1:2", "red 1,2,3", "blue; 4"]
    opendas.Vocabulary(names).save(tmp_path / "v.json")
    output = tmp_path / "out"
    assert main(flags(photos, output, "--superpixels", "12", "--names", tmp_path / "v.json")) == 0
    assert "2 names have a colon, 'door: left' first: opendas-prepare reads colours.txt, CVAT" in caplog.text
    assert read_colour_table(output / "colours.txt").names == ("background", *names)
    argv = ["folders", "--images", photos, "--labels", output / "semantic", "--classes", output / "colours.txt"]
    assert prepare_data.main([*map(str, argv), "--min-area", "1", "--output", str(tmp_path / "back")]) == 0
    domain, pixels = load_domain(tmp_path / "back"), Counter()
    for one in [*domain.train, *domain.val]:
        pixels[one.label] += int(one.mask().sum())
    counted = {row["name"]: int(row["pixels"]) for row in csv.DictReader((output / "summary.csv").open())}
    assert dict(pixels) == {name: count for name, count in counted.items() if count}


def test_the_crops_are_printed(photos, masks, tmp_path, capsys):
    path = write_masks(tmp_path / "masks.json", masks)
    more = ("--masks", path, "--background", "mean", "--expand", "0.3")
    assert main(flags(photos, tmp_path / "out", *more)) == 0
    assert capsys.readouterr().out.startswith("crops mean 0.3 squash\n")


def test_superpixels_need_nothing_but_photos_and_names(photos, tmp_path, capsys, caplog):
    assert main(flags(photos, tmp_path / "out", "--superpixels", "12")) == 0
    assert "know nothing of objects" in caplog.text and "photos: 3; see" in capsys.readouterr().out
    for name in PHOTOS:
        found = np.load((tmp_path / "out" / "detections" / name).with_suffix(".npz"))
        assert 1 < len(found["mask"]) < 30 and (found["mask"].sum(axis=0) == 1).all()
        assert Image.open((tmp_path / "out" / "overlays" / name).with_suffix(".jpg")).width == 640


def test_a_mask_below_the_threshold_stays_without_a_name(by_file, photos, masks, tmp_path):
    scores = sorted(one["score"] for one in json.loads((by_file / "instances.json").read_text())["annotations"])
    between = (scores[4] + scores[5]) / 2
    path = write_masks(tmp_path / "masks.json", masks)
    assert main(flags(photos, tmp_path / "out", "--masks", path, "--unknown", between)) == 0
    left = json.loads((tmp_path / "out" / "instances.json").read_text())["annotations"]
    assert sorted(one["score"] for one in left) == scores[5:]
    last = list(csv.DictReader((tmp_path / "out" / "summary.csv").open()))[-1]
    assert (last["name"], last["masks"]) == ("", "5")


def test_a_folder_of_instance_maps_and_sams_lists_are_the_same_masks(photos, masks, by_file, tmp_path):
    apart = {name: [own[0], own[1] & ~own[0]] for name, own in masks.items()}  # a map holds no overlaps
    for name, (first, second) in apart.items():
        for kind in ("maps", "lists"):
            (tmp_path / kind / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((first + 7 * second).astype(np.uint8)).save(tmp_path / "maps" / name)
        found = [
            {"segmentation": code(mask), "predicted_iou": 0.9, "area": int(mask.sum())} for mask in (first, second)
        ]
        (tmp_path / "lists" / name).with_suffix(".json").write_text(json.dumps(found))
    for kind in ("maps", "lists"):
        assert main(flags(photos, tmp_path / f"{kind} out", "--masks", tmp_path / kind)) == 0
    wholes = [json.loads((tmp_path / f"{kind} out" / "instances.json").read_text()) for kind in ("maps", "lists")]
    assert wholes[0] == wholes[1]
    assert [one["area"] for one in wholes[0]["annotations"]] == [m.sum() for own in apart.values() for m in own]


def test_masks_find_their_photo_however_its_path_is_written(photos, masks, by_file, tmp_path):
    spelt = [f"hall/../{MASKED[0]}", str((photos / MASKED[1]).resolve())]
    path = write_masks(tmp_path / "masks.json", dict(zip(spelt, masks.values(), strict=True)))
    assert main(flags(photos, tmp_path / "out", "--masks", path)) == 0
    found, expected = (json.loads((out / "instances.json").read_text()) for out in (tmp_path / "out", by_file))
    assert found["annotations"] == expected["annotations"] and found["annotations"]


def test_masks_of_other_photos_alone_are_refused(photos, masks, tmp_path, capsys):
    other = make_photos(tmp_path / "others", ["x.png"]) / "x.png"
    path = write_masks(tmp_path / "masks.json", {str(other): masks[MASKED[0]]})
    assert main(flags(photos, tmp_path / "out", "--masks", path)) == 1
    assert "give masks of these photos" in capsys.readouterr().err


def test_coco_instances_are_masks_too(by_file, photos, tmp_path):
    assert main(flags(photos, tmp_path / "out", "--masks", by_file / "instances.json")) == 0
    again = contents(tmp_path / "out")
    once = contents(by_file)
    for name in ("instances.json", "summary.csv", "semantic/hall/2.png", "overlays/hall/2.jpg"):
        assert again[name] == once[name]


def test_more_names_than_a_byte_holds_make_16_bit_maps(photos, tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(f"thing {chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(300)))
    argv = flags(photos, tmp_path / "out", "--names", tmp_path / "names.txt", "--superpixels", "12")
    assert main([*argv, "--limit", "1"]) == 0
    found = np.load(tmp_path / "out" / "detections" / "1.npz")
    labels = np.asarray(Image.open(tmp_path / "out" / "semantic" / "1.png")).astype(int)
    assert np.array_equal(labels, (found["mask"] * (found["class_id"] + 1)[:, None, None]).sum(axis=0))


def test_photos_without_masks_are_counted(photos, masks, tmp_path, capsys, caplog):
    path = write_masks(tmp_path / "masks.json", masks)
    assert main(flags(photos, tmp_path / "out", "--masks", path)) == 0
    assert "1 of 3 photos has no mask" in caplog.text
    assert "photos: 3, 1 of them without a mask" in capsys.readouterr().out
    assert not np.asarray(Image.open(tmp_path / "out" / "semantic" / "hall" / "1.png")).any()
