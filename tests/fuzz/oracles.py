"""Figures by a second, plain reading of the inputs: numpy, Pillow, json and pycocotools, and ScanNet's own loops.

Each takes the folder around ``in`` and returns what :class:`~tests.fuzz.inputs.Target` compares; it raises where the
inputs cannot be read at all, so that a call that succeeds on them is looked at.
"""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
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


def semantic_json(folder: Path) -> Any:
    maps: dict[str, list[Any]] = defaultdict(list)
    for entry in load(folder / "in" / "sem_seg_predictions.json"):
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


OVERLAPS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.25)


def instances(protocol: str) -> Callable[[Path], Any]:
    def expected(folder: Path) -> Any:
        root = folder / "in"
        names = [line.strip() for line in text_of(root / "classes.txt").splitlines() if line.strip()]
        pairs = [name.split(maxsplit=1) for name in names] if protocol == "scannet" else list(enumerate(names))
        wanted = [line.strip() for line in text_of(root / "scored.txt").splitlines() if line.strip()]
        if not set(wanted) <= {name for _, name in pairs}:
            refuse("a scored name that is no class")
        ids = [int(number) for number, name in pairs if name in wanted]
        scenes = [_scene(root, path, protocol) for path in sorted((root / "gt").glob("*.txt"))]
        table, recalls, found, counted = [], [], 0, 0
        for class_id in ids:
            rows = [_class_ap(scenes, class_id, overlap, ids, protocol) for overlap in OVERLAPS]
            table.append([row[0] for row in rows])
            recalls.append([row[1] for row in rows])
            found += rows[0][2]
        counted = sum(sum(int(mask.sum()) >= 100 for mask, *_ in predictions) for _, predictions in scenes)
        ap, recall = 100 * np.array(table), 100 * np.array(recalls)
        return [
            float(np.nanmean(ap[:, :9])), float(np.nanmean(ap[:, 0])), float(np.nanmean(ap[:, 9])),
            float(np.nanmean(recall[:, :9])), len(scenes), found, counted,
        ]  # fmt: skip

    return expected


def _scene(root: Path, path: Path, protocol: str) -> Any:
    truth = np.array([int(word) for word in lines_of(path)])
    kept = np.ones(len(truth), bool)
    if protocol == "scannetpp":
        kept[[int(word) for word in lines_of(root / "removed" / path.name)]] = False
    predictions = {}
    for line in text_of(root / "predictions" / path.name).splitlines():
        if not line.strip():
            continue
        file, class_id, score = line.split()
        if not math.isfinite(float(score)) or float(class_id) != int(float(class_id)):
            refuse("a score or a class that is no number")
        if protocol == "scannet":
            mask = np.array([int(word) for word in lines_of(root / "predictions" / file)]) != 0
        else:
            code = load(root / "predictions" / file)
            mask, runs = np.zeros(code["length"], bool), [int(word) for word in code["counts"].split()]
            for start, length in zip(runs[::2], runs[1::2], strict=True):
                mask[start - 1 : start - 1 + length] = True
        if mask.shape != truth.shape:
            refuse("a mask of another cloud")
        predictions[(root / "predictions" / file).resolve()] = (mask[kept], int(float(class_id)), float(score))
    return truth[kept], list(predictions.values())


def _class_ap(scenes: Any, class_id: int, overlap: float, scored: list[int], protocol: str) -> tuple[float, float, int]:
    """ScanNet's evaluate_semantic_instance.py for one class at one overlap: AP, recall, instances."""
    first = 1000 if protocol == "scannet" else 0  # ScanNet's numbers below are groups, ScanNet++'s class 0
    y_true, y_score, missed, there, count = [], [], 0, False, 0
    for truth, predictions in scenes:
        own = [(mask, score) for mask, number, score in predictions if number == class_id and mask.sum() >= 100]
        there |= bool(own)
        ids = [number for number in np.unique(truth) if number // 1000 == class_id and number != 0]
        void = ~np.isin(truth // 1000, scored)
        wanted = [truth == number for number in ids if (truth == number).sum() >= 100 and number >= first]
        count += len(wanted)
        visited = set()
        for instance in wanted:
            best = None
            for place, (mask, score) in enumerate(own):
                if place in visited:
                    continue
                common = (mask & instance).sum()
                if common and common / (mask.sum() + instance.sum() - common) > overlap:
                    if best is None:
                        best = score
                        visited.add(place)
                    else:
                        y_true.append(0)
                        y_score.append(min(best, score))
                        best = max(best, score)
            if best is None:
                missed += 1
            else:
                y_true.append(1)
                y_score.append(best)
        for mask, score in own:
            shares = [
                (mask & (truth == number)).sum()
                / (mask.sum() + (truth == number).sum() - (mask & (truth == number)).sum())
                for number in ids
            ]
            if not any(share > overlap for share in shares):
                small = sum((mask & (truth == n)).sum() for n in ids if n < first or (truth == n).sum() < 100)
                if ((mask & void).sum() + small) / mask.sum() <= overlap:
                    y_true.append(0)
                    y_score.append(score)
    if not count:
        return math.nan, math.nan, 0
    if not there:
        return 0.0, 0.0, count
    return (*_area(np.array(y_true), np.array(y_score), missed), count)


def _area(y_true: np.ndarray, y_score: np.ndarray, missed: int) -> tuple[float, float]:
    order = np.argsort(y_score)
    y_true, y_score = y_true[order], y_score[order]
    summed = np.append(np.cumsum(y_true), 0)
    _, starts = np.unique(y_score, return_index=True)
    examples, right = len(y_score), summed[-2] if len(y_true) else 0
    precision, recall = [], []
    for start in starts:
        before = summed[start - 1] if start else 0
        true, false = right - before, examples - start - (right - before)
        precision.append(true / (true + false))
        recall.append(true / (true + before + missed))
    precision.append(1.0)
    recall.append(0.0)
    steps = np.convolve(np.concatenate([recall[:1], recall, [0.0]]), [-0.5, 0, 0.5], "valid")
    return float(np.dot(precision, steps)), float(recall[0])
