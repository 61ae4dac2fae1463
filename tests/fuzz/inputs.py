"""Small valid inputs of every reader and every evaluation command, the call that reads them, and its figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.commands.class_maps import LABELS, PREDICTED, save_json, save_maps
from tests.commands.instances import NAMES as CLASSES_3D
from tests.commands.instances import TRUTH, Files
from tests.conftest import RANDOM, make_domain
from tests.fuzz import oracles
from tests.readers.test_coco import ANNOTATIONS, BLOB, HEIGHT, WIDTH
from tests.readers.test_voc import LISTS, save
from tests.train.conftest import RELATED

MODEL = ["--backbone", "test-tiny", *RANDOM, "--device", "cpu", "--workers", "0"]
Figures = Callable[[Path], Any]


@dataclass(frozen=True)
class Target:
    """A call on inputs that lie in the folder ``in``, from the folder around it.

    Attributes:
        make: writes the inputs into a folder.
        command, argv: the call; it writes ``output``.
        figures: what of the output must be right, from the folder around.
        expected: the same by an independent reading of the inputs; None where that cannot tell.
        share: of the inputs tried, beside other targets.
        output: a folder or a file.
        whole: what of it must be as it was after a failure, where not all of it: a run that can go on keeps the rest.
        keeps: files that a call may leave beside the output.
    """

    make: Callable[[Path], Any]
    command: str
    argv: tuple[str, ...]
    figures: Figures
    expected: Figures | None = None
    share: float = 1.0
    output: str = "out"
    whole: str = ""
    keeps: tuple[str, ...] = ()


def segments_of(folder: Path) -> Any:
    """What a prepared domain holds: its names, and each split's segments by picture, label and pixels."""
    out = folder / "out"
    vocabulary = json.loads((out / "vocabulary.json").read_text())
    found = [vocabulary["names"], vocabulary["novel"]]
    for split in ("train", "val"):
        lines = [json.loads(line) for line in (out / f"{split}.jsonl").read_text().splitlines()]
        found.append(sorted((Path(line["image"]).name, line["label"], oracles.area(line["rle"])) for line in lines))
    return found


def summary_of(*keys: str) -> Figures:
    def figures(folder: Path) -> Any:
        text = (folder / "out" / "summary.json").read_text()
        summary = json.loads(text, parse_constant=lambda name: oracles.refuse(f"{name} in summary.json"))
        found = [summary[key] for key in keys]
        for key, value in summary.items():
            if isinstance(value, float) and not -1e-9 <= value <= 100 + 1e-9 and "n_" not in key:
                oracles.refuse(f"{key} = {value}")
        return [round(value, 6) if isinstance(value, float) else value for value in found]

    return figures


def make_folders(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(5):
        labels = np.zeros((24, 40), np.uint8)
        labels[12:] = 1
        labels[14:20, 5 * number : 5 * number + 14] = 2
        for kind, pixels in (("labels", labels), ("images", rng.integers(0, 256, (24, 40, 3), dtype=np.uint8))):
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"{number:03d}.png")
    (folder / "classes.txt").write_text("sky\nroad\ncar\n")
    (folder / "novel.txt").write_text("car\n")


COLOURS = {"sky": (70, 130, 180), "road": (128, 64, 128), "car": (0, 0, 142)}


def make_coloured(folder: Path) -> None:
    """The same pictures, their label maps in the colours of CVAT's ``labelmap.txt``."""
    make_folders(folder)
    for path in (folder / "labels").iterdir():
        colours = np.array(list(COLOURS.values()), dtype=np.uint8)[np.array(Image.open(path))]
        Image.fromarray(colours).save(path)
    lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in COLOURS.items()]
    (folder / "labelmap.txt").write_text("\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n")


def make_instances(folder: Path) -> None:
    (folder / "images").mkdir()
    content: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": HEIGHT, "width": WIDTH} for n in (7, 8, 9, 10)],
        "annotations": [],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "wall-other-merged"}, {"id": 4, "name": "dog"}],
    }
    for number in (7, 8, 9):
        for annotation in ANNOTATIONS:
            own = {"id": annotation["id"] + 100 * number, "image_id": number}
            content["annotations"].append({**json.loads(json.dumps(annotation)), **own})
    for record in content["images"]:
        Image.new("RGB", (WIDTH, HEIGHT), (record["id"], 90, 90)).save(folder / "images" / record["file_name"])
    (folder / "instances.json").write_text(json.dumps(content))


def make_panoptic(folder: Path) -> None:
    for name in ("images", "panoptic"):
        (folder / name).mkdir()
    content: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": HEIGHT, "width": WIDTH} for n in (7, 8, 9)],
        "annotations": [],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "wall-other-merged"}, {"id": 4, "name": "dog"}],
    }
    for record in content["images"]:
        ids = np.zeros((HEIGHT, WIDTH), int)
        ids[:, 60:], ids[BLOB] = 70000, 300 + record["id"]
        rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
        Image.fromarray(rgb).save(folder / "panoptic" / f"{record['id']}.png")
        Image.new("RGB", (WIDTH, HEIGHT), (record["id"], 90, 90)).save(folder / "images" / record["file_name"])
        parts = [{"id": 70000, "category_id": 3, "iscrowd": 0}, {"id": 300 + record["id"], "category_id": 1}]
        content["annotations"].append(
            {"image_id": record["id"], "file_name": f"{record['id']}.png", "segments_info": parts}
        )
    (folder / "panoptic.json").write_text(json.dumps(content))


def make_voc(folder: Path) -> None:
    for name in ("JPEGImages", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    for name, stems in LISTS.items():
        (folder / "ImageSets" / "Segmentation" / f"{name}.txt").write_text("".join(f"{stem}\n" for stem in stems))
        for place, stem in enumerate(stems):
            classes, objects = np.zeros((2, 40, 60), int)
            for number, (value, left) in enumerate(((9, 2), (15, 20), (9, 40)), 1):
                classes[8 : 30 + place, left : left + 16] = objects[8 : 30 + place, left : left + 16] = 255
                classes[9 : 29 + place, left + 1 : left + 15] = value
                objects[9 : 29 + place, left + 1 : left + 15] = number
            save(folder / "SegmentationClass" / f"{stem}.png", classes)
            save(folder / "SegmentationObject" / f"{stem}.png", objects)
            Image.new("RGB", (60, 40), (20 * place, 90, 90)).save(folder / "JPEGImages" / f"{stem}.jpg")


def make_scannetpp(folder: Path) -> None:
    from tests.scenes.scannetpp_rooms import boxes_room

    places = [(-1, -1, 0.4), (1, -1, 0.4)]
    for name, labels in {"a0": ["office chair", "office desk"], "b0": ["office chair", "monitor"]}.items():
        boxes_room(folder, name, dict(zip(labels, places, strict=True)), pictures=2)
    for name, scene in (("train", "a0"), ("val", "b0")):
        (folder / f"{name}.txt").write_text(f"{scene}\n")


def make_adapter(folder: Path) -> None:
    from opendas_plugin.crops import CropPolicy
    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.model.config import PromptConfig

    clip = OpenDASCLIP.from_backbone("test-tiny", prompts=PromptConfig())
    clip.save_pretrained(folder / "adapter", crop_policy=CropPolicy("mean", 0.4, "center", 32))


def make_adapted(folder: Path) -> None:
    make_domain(folder)
    make_adapter(folder)


def make_classification(folder: Path) -> None:
    make_domain(folder)
    (folder / "base.json").write_text(json.dumps({"names": ["red block", "green block"]}))


def make_semantic_json(folder: Path) -> None:
    save_maps(folder / "labels", LABELS)
    save_json(folder / "sem_seg_predictions.json", PREDICTED)
    (folder / "vocabulary.json").write_text(json.dumps({"names": ["sky", "road", "car"], "novel": ["car"]}))


def make_semantic_maps(folder: Path) -> None:
    save_maps(folder / "labels", LABELS)
    save_maps(folder / "predictions", PREDICTED)


def make_masks(folder: Path) -> None:
    make_domain(folder)
    lines = [json.loads(line) for line in (folder / "val.jsonl").read_text().splitlines()]
    names = json.loads((folder / "vocabulary.json").read_text())["names"]
    entries = [{"file_name": Path(line["image"]).name, "segmentation": line["rle"]} for line in lines]
    (folder / "proposals.json").write_text(json.dumps(entries))
    (folder / "labels").mkdir()
    for image in sorted({line["image"] for line in lines}):
        labels = np.full((64, 96), 255, np.uint8)
        for line in lines:
            if line["image"] == image:
                labels[oracles.decode(line["rle"])] = names.index(line["label"])
        Image.fromarray(labels).save(folder / "labels" / f"{Path(image).stem}.png")


def instances_of(folder: Path) -> Any:
    """What opendas-segment found: the sizes of the photos, and the masks by photo and pixels."""
    found = json.loads((folder / "out" / "instances.json").read_text())
    names = {image["id"]: image["file_name"] for image in found["images"]}
    masks = [(names[one["image_id"]], oracles.area(one["segmentation"]), one["area"]) for one in found["annotations"]]
    return [[(one["height"], one["width"]) for one in found["images"]], sorted(masks)]


def make_instance3d(protocol: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        files = Files(folder, protocol)
        files.write("gt/hall.txt", "\n".join(map(str, np.roll(TRUTH, 40))) + "\n")
        files.mask("part", np.arange(600) < 170)
        files.write("predictions/hall.txt", f"masks/part{files.suffix} 1 0.5\nmasks/desk{files.suffix} 2 0.8\n")
        files.write("removed/hall.txt", "3\n4\n")
        if protocol == "scannetpp":
            files.write("scored.txt", "desk\noffice chair\nfloor\n")  # whose class id is 0
        files.write("vocabulary.json", json.dumps({"names": ["floor", "office chair", "desk"], "novel": ["desk"]}))

    return make


def make_features(folder: Path) -> None:
    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.scenes.feature_records import describe
    from opendas_plugin.scenes.feature_source import FeatureSource
    from opendas_plugin.scenes.mask_arrays import save_masks, sparse_masks
    from opendas_plugin.scenes.mask_features import save_features

    files = Files(folder, "scannet")
    shutil.rmtree(folder / "removed")
    masks = np.stack([np.arange(600) < 300, (np.arange(600) >= 300) & (np.arange(600) < 500)], axis=1)
    save_masks(folder / "predictions" / "room_masks.pt", masks)
    clip = OpenDASCLIP.from_backbone("test-tiny")
    features = np.random.default_rng(0).normal(size=(2, 32))
    described = describe(FeatureSource("test-tiny", clip), sparse_masks(masks, 600), {"views": 5})
    (folder / "features").mkdir()
    save_features(folder / "features" / "room_openmask3d_features.npy", features, described)
    files.write("vocabulary.json", json.dumps({"names": list(CLASSES_3D), "novel": ["desk"]}))


def make_training(folder: Path) -> None:
    make_domain(folder)
    recipe = "backbone: test-tiny\npretrained: random\nworkers: 0\nbatch_size: 4\n"
    recipe += "prompts:\n  visual_tokens: 2\n  text_tokens: 2\n"
    recipe += (
        "visual:\n  epochs: 1\n  lr_scale: 2.0\ntext:\n  epochs: 1\ntriplet:\n  enabled: true\n  mining: hardest\n"
    )
    (folder / "recipe.yaml").write_text(recipe)
    related = {c: [{"name": name, "source": "hand"} for name in names] for c, names in RELATED.items()}
    (folder / "negatives.json").write_text(json.dumps(related))


def make_answers(folder: Path) -> None:
    (folder / "vocabulary.json").write_text(
        json.dumps({"names": [*RELATED, "violet block"], "novel": ["violet block"]})
    )
    settings = {"model": "gpt-4o", "temperature": 0.0, "seed": 0, "domain": "everyday scenes"}
    lines = [{"settings": {**settings, "base_url": "http://127.0.0.1:9/v1"}}]
    lines += [{"class": c, "related": [{"name": n, "source": "gpt"} for n in names]} for c, names in RELATED.items()]
    (folder / "n.answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def negatives_of(folder: Path) -> Any:
    content = json.loads((folder / "in" / "n.json").read_text())
    for name, items in content.items():
        if len({item["name"].casefold() for item in items}) != 5:
            oracles.refuse(f"{name} has the names {items}")
    return content
