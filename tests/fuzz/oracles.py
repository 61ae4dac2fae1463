"""Figures by a second, plain reading of the inputs: numpy, Pillow, json and pycocotools, and ScanNet's own loops.

Each takes the folder around ``in`` and returns what :class:`~tests.fuzz.inputs.Target` compares; it raises where the
inputs cannot be read at all, so that a call that succeeds on them is looked at.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml
from PIL import Image
from pycocotools import mask as coco_mask

from tests.readers.test_voc import NAMES as VOC_NAMES

MIN_AREA = 10


class RefusedError(Exception):
    """The inputs, or a figure, are not what they may be."""


def refuse(reason: str) -> None:
    raise RefusedError(reason)


def decode(rle: dict[str, Any]) -> np.ndarray:
    return coco_mask.decode(rle).astype(bool)


def area(rle: dict[str, Any]) -> int:
    return int(decode(rle).sum())


def text_of(path: Path) -> str:
    """A text without byte-order marks, of which joined files have several."""
    return path.read_text(encoding="utf-8").replace("\ufeff", "")


def load(path: Path) -> Any:
    return json.loads(text_of(path))


def labels_of(path: Path) -> np.ndarray:
    picture = Image.open(path)
    if picture.mode not in ("L", "P", "1", "I", "I;16", "I;16B"):
        refuse(f"{path} has the mode {picture.mode}")
    return np.array(picture).astype(np.int64)


def size_of(path: Path) -> tuple[int, int]:
    picture = Image.open(path)
    picture.load()
    turned = picture.getexif().get(0x0112, 1) >= 5
    return picture.size if turned else picture.size[::-1]


def lines_of(path: Path) -> list[str]:
    return text_of(path).split()


def pooled(folder: Path) -> Any:
    """The segments of a prepared domain of both splits together, as the oracles give them."""
    found = []
    for split in ("train", "val"):
        for line in (folder / "out" / f"{split}.jsonl").read_text().splitlines():
            content = json.loads(line)
            found.append((Path(content["image"]).stem, content["label"], area(content["rle"])))
    return sorted(found)


def _of_map(path: Path, image: Path, names: list[str], found: list[Any], ignore: tuple[int, ...] = ()) -> None:
    labels = labels_of(path)
    if labels.shape != size_of(image):
        refuse(f"{path} is {labels.shape}, its image {size_of(image)}")
    for value in np.unique(labels).tolist():
        if value not in ignore and (labels == value).sum() >= MIN_AREA:
            found.append((path.stem, names[value], int((labels == value).sum())))


def folders(folder: Path) -> Any:
    """All segments less the novel names' in training, which are dropped: compared where none is."""
    root, found = folder / "in", []
    names = [line.strip() for line in text_of(root / "classes.txt").rstrip().splitlines()]
    for path in sorted((root / "labels").rglob("*.png")):
        if path.is_dir():
            continue
        image = next(other for other in (root / "images").iterdir() if other.stem == path.stem)
        _of_map(path, image, names, found)
    novel = {line.strip() for line in text_of(root / "novel.txt").splitlines()}
    return sorted(item for item in found if item[1] not in novel)


def coloured(folder: Path) -> Any:
    """Segments of label maps in colours, by CVAT's lines of a name and a colour."""
    root, found, names = folder / "in", [], {}
    for line in text_of(root / "labelmap.txt").split("\n"):
        if line.strip() and not line.strip().startswith("#"):
            name, colour = (part.strip() for part in line.split(":")[:2])
            names[tuple(int(value) for value in colour.split(","))] = name
    for path in sorted((root / "labels").rglob("*.png")):
        if path.is_dir():
            continue
        image = next(other for other in (root / "images").iterdir() if other.stem == path.stem)
        colours = np.array(Image.open(path).convert("RGB"))
        if colours.shape[:2] != size_of(image):
            refuse(f"{path} is {colours.shape}, its image {size_of(image)}")
        for colour in np.unique(colours.reshape(-1, 3), axis=0):
            pixels = int((colours == colour).all(axis=2).sum())
            if (name := names[tuple(colour.tolist())]) != "background" and pixels >= MIN_AREA:
                found.append((path.stem, name, pixels))
    return sorted(found)


def ade20k(folder: Path) -> Any:
    from opendas_plugin.readers.ade20k import NAMES

    root, found = folder / "in", []
    for part in ("training", "validation"):
        for path in sorted((root / "annotations" / part).glob("*.png")):
            if path.is_dir():
                continue
            _of_map(path, root / "images" / part / f"{path.stem}.jpg", ["other", *NAMES], found, (0,))
    return sorted(found)


def voc(folder: Path) -> Any:
    root, found = folder / "in", []
    for name in ("train", "val"):
        for stem in lines_of(root / "ImageSets" / "Segmentation" / f"{name}.txt"):
            path = root / "SegmentationClass" / f"{stem}.png"
            _of_map(path, root / "JPEGImages" / f"{stem}.jpg", ["background", *VOC_NAMES], found, (0, 255))
    return sorted(found)


def _coco_names(content: dict[str, Any]) -> dict[int, str]:
    names = {category["id"]: category["name"].replace("-other-merged", "") for category in content["categories"]}
    if len(names) != len(content["categories"]):
        refuse("two categories have one id")
    return names


def coco(folder: Path) -> Any:
    content, found = load(folder / "in" / "instances.json"), []
    names, images = _coco_names(content), {image["id"]: image for image in content["images"]}
    if len(images) != len(content["images"]):
        refuse("two images have one id")
    for annotation in content["annotations"]:
        image, code = images[annotation["image_id"]], annotation["segmentation"]
        if annotation.get("iscrowd"):
            continue
        size = image["height"], image["width"]
        if size != size_of(folder / "in" / "images" / image["file_name"]):
            refuse("an image of another size")
        if isinstance(code, list):
            code = coco_mask.merge(coco_mask.frPyObjects([p for p in code if len(p) >= 6 and len(p) % 2 == 0], *size))
        elif isinstance(code["counts"], list):
            code = coco_mask.frPyObjects(code, *size)
        if area(code) >= MIN_AREA:
            found.append((Path(image["file_name"]).stem, names[annotation["category_id"]], area(code)))
    return sorted(found)


def panoptic(folder: Path) -> Any:
    content, found = load(folder / "in" / "panoptic.json"), []
    names, images = _coco_names(content), {image["id"]: image for image in content["images"]}
    for annotation in content["annotations"]:
        image = images[annotation["image_id"]]
        ids = np.array(Image.open(folder / "in" / "panoptic" / annotation["file_name"])).astype(int) @ [1, 256, 65536]
        if ids.shape != size_of(folder / "in" / "images" / image["file_name"]):
            refuse("an image of another size")
        for segment in annotation["segments_info"]:
            pixels = int((ids == segment["id"]).sum())
            if not segment.get("iscrowd") and pixels >= MIN_AREA:
                found.append((Path(image["file_name"]).stem, names[segment["category_id"]], pixels))
    return sorted(found)


def classification(folder: Path) -> Any:
    """The scores of the predictions that were written, against the labels that the manifest holds, by scikit-learn."""
    from sklearn.metrics import f1_score

    root = folder / "in"
    lines = [json.loads(line) for line in text_of(root / "val.jsonl").splitlines() if line.strip()]
    labels = [line["label"] for line in lines]
    written = [json.loads(line) for line in (folder / "out" / "predictions.jsonl").read_text().splitlines()]
    predicted = [line["prediction"] for line in written]
    if [line["label"] for line in written] != labels:
        refuse("predictions.jsonl has other labels than the manifest")
    names, novel = load(root / "vocabulary.json")["names"], set(load(root / "vocabulary.json").get("novel", []))
    if (root / "base.json").exists() and not (root / "adapter").exists():
        keys = {name.casefold() for name in load(root / "base.json")["names"]}
        keys -= {name.casefold() for name in load(root / "base.json").get("novel", [])}
        novel = {name for name in names if name.casefold() not in keys}

    def f1(chosen: list[str], average: str = "weighted") -> float | None:
        if not any(label in chosen for label in labels):
            return None
        return 100 * f1_score(labels, predicted, labels=chosen, average=average, zero_division=0)

    base = [name for name in names if name not in novel]
    accuracy = 100 * float(np.mean([one == two for one, two in zip(labels, predicted, strict=True)]))
    return [accuracy, f1(names), f1(base), f1(sorted(novel)) if novel else None, len(labels)]


def _scores(confusion: np.ndarray, protocol: str, images: int) -> Any:
    """mIoU, mAcc, fwIoU, pAcc from a confusion (N, N + 1); detectron2's SemSegEvaluator, and OVSeg's."""
    hits, true, given = confusion.diagonal(), confusion.sum(axis=1), confusion[:, :-1].sum(axis=0)
    union = true + given - hits
    there = true > 0
    iou = np.where(union > 0, hits / np.maximum(union, 1), 0)
    counted = there if protocol == "detectron2" else union > 0
    miou = 100 * iou[counted].mean() if counted.any() else 0.0
    accuracy = 100 * (hits[there] / true[there]).mean()
    weighted = 100 * (iou[there] * true[there]).sum() / true.sum()
    return [
        miou,
        accuracy,
        weighted,
        100 * hits.sum() / true.sum(),
        images,
        int(true.sum()),
        int(confusion[:, -1].sum()),
    ]


def _semantic(folder: Path, predicted: Callable[[str], np.ndarray], protocol: str, count: int = 3) -> Any:
    root, confusion = folder / "in" / "labels", np.zeros((count, count + 1))
    found = [Path(place) / name for place, _, names in os.walk(root, followlinks=True) for name in names]
    files = sorted(path for path in found if path.suffix == ".png")
    for path in files:
        labels = labels_of(path)
        guess = predicted(path.relative_to(root).with_suffix("").as_posix())
        if labels.shape != guess.shape:
            refuse("sizes differ")
        for true, given in zip(labels.ravel().tolist(), guess.ravel().tolist(), strict=True):
            if true != 255:
                confusion[range(count)[true], count if given == 255 else range(count)[given]] += 1
    return _scores(confusion, protocol, len(files))


def semantic_masks(folder: Path) -> Any:
    """The scores of the maps that were written: which names masks get is a matter of the CLIP."""
    return semantic_json(folder, "out/sem_seg_predictions.json")


def semantic_json(folder: Path, predictions: str = "in/sem_seg_predictions.json") -> Any:
    maps: dict[str, list[Any]] = defaultdict(list)
    for entry in load(folder / predictions):
        maps["/".join(PurePosixPath(entry["file_name"]).with_suffix("").parts[-2:])].append(entry)
    names = load(folder / "in" / "vocabulary.json")["names"]

    def predicted(stem: str) -> np.ndarray:
        painted = np.full(maps[stem][0]["segmentation"]["size"], 255)
        for entry in maps[stem]:
            mask = decode(entry["segmentation"])
            if mask.shape != painted.shape:
                refuse("masks of two sizes")
            painted[mask] = range(len(names))[entry["category_id"]]
        return painted

    return _semantic(folder, predicted, "detectron2", len(names))


def semantic_maps(folder: Path) -> Any:
    def predicted(stem: str) -> np.ndarray:
        return labels_of(folder / "in" / "predictions" / f"{stem}.png")

    return _semantic(folder, predicted, "ovseg")


def yolo(folder: Path) -> Any:
    """Segments of YOLO's polygons, filled by pycocotools; of the folders that the valid data.yaml names."""
    root, found = folder / "in", []
    names = yaml.safe_load(text_of(root / "data.yaml"))["names"]
    names = dict(enumerate(names)) if isinstance(names, list) else names
    for part in ("train", "val"):
        for path in sorted((root / "labels" / part).iterdir()):
            image = root / "images" / part / f"{path.stem}.jpg"
            height, width = size_of(image)
            for line in text_of(path).split("\n"):
                values = [float(word) for word in line.split()]
                if not values:
                    continue
                if len(values) < 7 or len(values) % 2 == 0:
                    refuse(f"{path}: {line}")
                points = [value * side for value, side in zip(values[1:], [width, height] * len(values), strict=False)]
                pixels = area(coco_mask.merge(coco_mask.frPyObjects([points], height, width)))
                if pixels >= MIN_AREA:
                    found.append((path.stem, str(names[int(values[0])]), pixels))
    return sorted(found)
