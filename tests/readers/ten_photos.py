"""Ten labelled photos, and writers of their own that leave them in every layout, as the tools' documentation has it.

A photo has a bus (an L), a car of two parts (boxes), and a person (slanted). No two objects share a pixel, so that
layouts of objects and of label maps hold the same. The truth of a polygon is pycocotools' own filling of it.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import yaml
from PIL import Image
from pycocotools import mask as coco_mask

HEIGHT, WIDTH, COUNT = 72, 96, 10
NAMES = ("bus", "car", "person")
COLOURS = {"background": (0, 0, 0), "bus": (0, 60, 100), "car": (0, 0, 142), "person": (220, 20, 60)}
VAL = (8, 9)
"""Photos of the validation part, where a layout has one."""


def objects(number: int) -> list[tuple[str, list[list[list[int]]]]]:
    """Name and polygons of each object of a photo."""
    n = number
    bus = [[4 + n, 6], [34 + n, 6], [34 + n, 16], [16 + n, 16], [16 + n, 40], [4 + n, 40]]
    car = [[[40, 50], [58, 50], [58, 66 - n], [40, 66 - n]], [[64, 52], [80 + n, 52], [80 + n, 64], [64, 64]]]
    person = [[60, 8 + n], [88, 14], [70 + n, 44]]
    return [("bus", [bus]), ("car", car), ("person", [person])]


def filled(polygons: list[list[list[int]]]) -> np.ndarray:
    """Bool (H, W), as pycocotools fills polygons."""
    flat = [[float(value) for point in polygon for value in point] for polygon in polygons]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flat, HEIGHT, WIDTH))).astype(bool)


def truth(number: int) -> np.ndarray:
    """The label map of a photo: 0 nothing, 1 bus, 2 car, 3 person."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for name, polygons in objects(number):
        mask = filled(polygons)
        assert not labels[mask].any(), "two objects share a pixel"
        labels[mask] = 1 + NAMES.index(name)
    return labels


def save_photo(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(60, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def save_map(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def png(mask: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, format="PNG")
    return stream.getvalue()


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of a mask; the last two are of its last pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def runs(values: np.ndarray) -> list[int]:
    """Run lengths of a flat mask, zeros first."""
    found, last, count = [], False, 0
    for value in values.tolist():
        if value != last:
            found.append(count)
            last, count = value, 0
        count += 1
    return [*found, count]


def in_colours(number: int) -> np.ndarray:
    return np.array(list(COLOURS.values()), np.uint8)[truth(number)]


def folders(root: Path) -> None:
    for n in range(COUNT):
        save_photo(root / "photos" / f"{n}.jpg", n)
        save_map(root / "masks" / f"{n}_mask.png", truth(n))
    write(root / "classes.txt", "background\nbus\ncar\nperson\n")


def folders_in_colours(root: Path) -> None:
    for n in range(COUNT):
        save_photo(root / "photos" / f"{n}.jpg", n)
        save_map(root / "masks" / f"{n}.png", in_colours(n))
    lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in COLOURS.items()]
    write(root / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n")


def cvat_masks(root: Path) -> None:
    """CVAT's "Segmentation mask 1.1", with the images."""
    for n in range(COUNT):
        save_photo(root / "JPEGImages" / f"{n}.png", n)
        save_map(root / "SegmentationClass" / f"{n}.png", in_colours(n))
        save_map(root / "SegmentationObject" / f"{n}.png", in_colours(n))
    write(root / "ImageSets" / "Segmentation" / "default.txt", "".join(f"{n}\n" for n in range(COUNT)))
    lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in COLOURS.items()]
    write(root / "labelmap.txt", "\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n")


def labelme2voc(root: Path) -> None:
    """What labelme's labelme2voc leaves: palette PNGs, and class_names.txt."""
    for n in range(COUNT):
        save_photo(root / "JPEGImages" / f"{n}.jpg", n)
        picture = Image.fromarray(truth(n))
        picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
        (root / "SegmentationClass").mkdir(exist_ok=True)
        picture.save(root / "SegmentationClass" / f"{n}.png")
    write(root / "class_names.txt", "_background_\nbus\ncar\nperson\n")


def voc(root: Path) -> None:
    """VOC2012 with VOC's own 20 names."""
    values = np.array([0, 6, 7, 15], np.uint8)
    year = root / "VOC2012"
    for n in range(COUNT):
        save_photo(year / "JPEGImages" / f"{n:06d}.jpg", n)
        save_map(year / "SegmentationClass" / f"{n:06d}.png", values[truth(n)])
    for part, numbers in (("train", [n for n in range(COUNT) if n not in VAL]), ("val", VAL)):
        write(year / "ImageSets" / "Segmentation" / f"{part}.txt", "".join(f"{n:06d}\n" for n in numbers))


def ade20k(root: Path) -> None:
    values = np.array([0, 81, 21, 13], np.uint8)
    for n in range(COUNT):
        part, short = ("validation", "val") if n in VAL else ("training", "train")
        save_photo(root / "images" / part / f"ADE_{short}_{n:08d}.jpg", n)
        save_map(root / "annotations" / part / f"ADE_{short}_{n:08d}.png", values[truth(n)])


def kitti360(root: Path) -> None:
    ids = np.array([0, 28, 26, 24], np.uint16)
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for n in range(COUNT):
        part, drive = ("val", "0002") if n in VAL else ("train", "0000")
        image = f"data_2d_raw/2013_05_28_drive_{drive}_sync/image_00/data_rect/{n:010d}.png"
        folder = f"data_2d_semantics/train/2013_05_28_drive_{drive}_sync/image_00"
        save_photo(root / image, n)
        save_map(root / folder / "semantic" / f"{n:010d}.png", ids[truth(n)].astype(np.uint8))
        save_map(root / folder / "instance" / f"{n:010d}.png", 1000 * ids[truth(n)] + 1)
        lists[part].append(f"{image} {folder}/semantic/{n:010d}.png\n")
    for part, lines in lists.items():
        write(root / "data_2d_semantics" / "train" / f"2013_05_28_drive_{part}_frames.txt", "".join(lines))


def cityscapes(kind: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        values = np.array([0, 28, 26, 24] if kind == "labelIds" else [255, 15, 13, 11], np.uint8)
        for n in range(COUNT):
            part, city = ("val", "ulm") if n in VAL else ("train", "aachen")
            frame = f"{city}_{n // 2:06d}_{n:06d}"
            save_photo(root / "leftImg8bit" / part / city / f"{frame}_leftImg8bit.png", n)
            pixels = in_colours(n) if kind == "color" else values[truth(n)]
            save_map(root / "gtFine" / part / city / f"{frame}_gtFine_{kind}.png", pixels)
        write(root / "gtFine" / "train" / "aachen" / "aachen_000000_000000_gtFine_polygons.json", "{}")

    return make


def coco_content(segmentation: Callable[[list], object], file_name: Callable[[int], str]) -> dict:
    content: dict = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": place, "name": name} for place, name in enumerate(NAMES, 1)]
    crowds = [{"iscrowd": 0}, {"iscrowd": False}, {"iscrowd": None}, {}]
    for n in range(COUNT):
        content["images"].append({"id": n, "file_name": file_name(n), "height": HEIGHT, "width": WIDTH})
        for name, polygons in objects(n):
            number = len(content["annotations"])
            content["annotations"].append(
                {"id": number, "image_id": n, "category_id": 1 + NAMES.index(name),
                 "segmentation": segmentation(polygons), **crowds[number % 4]}
            )  # fmt: skip
    return content


def flat(polygons: list) -> list[list[int]]:
    return [[value for point in polygon for value in point] for polygon in polygons]


def coco(root: Path) -> None:
    for n in range(COUNT):
        save_photo(root / "train2017" / f"{n:012d}.jpg", n)
    content = coco_content(flat, lambda n: f"{n:012d}.jpg")
    write(root / "annotations" / "instances_train2017.json", json.dumps(content))


def coco_runs(root: Path) -> None:
    """Uncompressed run lengths, column by column."""

    def uncompressed(polygons: list) -> dict:
        return {"size": [HEIGHT, WIDTH], "counts": runs(filled(polygons).T.ravel())}

    for n in range(COUNT):
        save_photo(root / "images" / f"{n}.jpg", n)
    write(root / "annotations.json", json.dumps(coco_content(uncompressed, lambda n: f"{n}.jpg")))


def panoptic(root: Path) -> None:
    content: dict = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 10 * place, "name": name} for place, name in enumerate(NAMES, 1)]
    for n in range(COUNT):
        save_photo(root / "images" / f"{n}.jpg", n)
        ids = 1000 * truth(n).astype(int)
        rgb = np.stack([ids % 256, ids // 256, 0 * ids], axis=-1).astype(np.uint8)
        save_map(root / "panoptic" / f"{n}.png", rgb)
        content["images"].append({"id": n, "file_name": f"{n}.jpg", "height": HEIGHT, "width": WIDTH})
        parts = [{"id": 1000 * place, "category_id": 10 * place} for place in (1, 2, 3)]
        content["annotations"].append({"image_id": n, "file_name": f"{n}.png", "segments_info": parts})
    write(root / "panoptic.json", json.dumps(content))


def label_studio(root: Path) -> None:
    """Label Studio's COCO export; its pictures' names have the upload's digits before them, and backslashes."""
    for n in range(COUNT):
        save_photo(root / "images" / f"{n:07x}a-photo {n}.jpg", n)
    content = coco_content(flat, lambda n: f"images\\3\\{n:07x}a-photo {n}.jpg")
    for category in content["categories"]:
        category["id"] -= 1
    for annotation in content["annotations"]:
        annotation["category_id"] -= 1
        annotation["ignore"] = 0
    write(root / "result.json", json.dumps(content, indent=2))


def roboflow(root: Path) -> None:
    """Roboflow's COCO export: a part a folder, and a first category that is none."""
    heading = {"id": 0, "name": "traffic", "supercategory": "none"}
    for part, short in (("train", "train"), ("valid", "val")):
        content = coco_content(flat, lambda n: f"{n}_jpg.rf.0f{n}.jpg")
        numbers = [n for n in range(COUNT) if (n in VAL) == (short == "val")]
        for n in numbers:
            save_photo(root / part / f"{n}_jpg.rf.0f{n}.jpg", n)
        for key, field in (("images", "id"), ("annotations", "image_id")):
            content[key] = [one for one in content[key] if one[field] in numbers]
        content["categories"] = [heading, *({**one, "supercategory": "traffic"} for one in content["categories"])]
        write(root / part / "_annotations.coco.json", json.dumps(content))


def labelme(root: Path) -> None:
    """labelme 5: polygons, a rectangle, group ids for the parts of one object."""
    for n in range(COUNT):
        save_photo(root / f"{n}.jpg", n)
        shapes = []
        for number, (name, polygons) in enumerate(objects(n)):
            for polygon in polygons:
                points, kind = (
                    ([polygon[0], polygon[2]], "rectangle") if name == "car" and n % 2 else (polygon, "polygon")
                )
                group = number if len(polygons) > 1 else None
                shapes.append({"label": name, "points": points, "group_id": group, "shape_type": kind, "flags": {}})
        shapes.append({"label": "car", "points": [[1, 1], [5, 5]], "group_id": None, "shape_type": "line"})
        content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{n}.jpg", "imageData": None}
        write(root / f"{n}.json", json.dumps({**content, "imageHeight": HEIGHT, "imageWidth": WIDTH}, indent=2))


def labelme_masks(root: Path) -> None:
    """labelme's masks, of its AI tools; the JSON files in a folder of their own, written on Windows."""
    for n in range(COUNT):
        save_photo(root / "photos" / f"{n}.jpg", n)
        shapes = []
        for name, polygons in objects(n):
            mask = filled(polygons)
            x0, y0, x1, y1 = box(mask)
            text = base64.b64encode(png(mask[y0 : y1 + 1, x0 : x1 + 1])).decode()
            points = [[float(x0), float(y0)], [float(x1), float(y1)]]
            shapes.append({"label": name, "points": points, "group_id": None, "shape_type": "mask", "mask": text})
        content = {"version": "5.8.0", "shapes": shapes, "imagePath": f"..\\photos\\{n}.jpg", "imageData": None}
        write(root / "labels" / f"{n}.json", json.dumps({**content, "imageHeight": HEIGHT, "imageWidth": WIDTH}))


def yolo_lines(number: int) -> str:
    lines = []
    for name, polygons in objects(number):
        for polygon in polygons:
            shares = [f"{x / WIDTH:.6f} {y / HEIGHT:.6f}" for x, y in polygon]
            lines.append(" ".join([str(NAMES.index(name)), *shares]))
    return "\n".join(lines) + "\n"


def yolo(root: Path) -> None:
    """Ultralytics' layout: images/train, labels/train, names by number."""
    for n in range(COUNT):
        part = "val" if n in VAL else "train"
        save_photo(root / "images" / part / f"{n}.jpg", n)
        write(root / "labels" / part / f"{n}.txt", yolo_lines(n))
    content = {"path": ".", "train": "images/train", "val": "images/val", "names": dict(enumerate(NAMES))}
    write(root / "data.yaml", yaml.safe_dump(content))


def yolo_roboflow(root: Path) -> None:
    """Roboflow's: train/images, a list of names, and paths that begin with ``../``."""
    for n in range(COUNT):
        part = "valid" if n in VAL else "train"
        save_photo(root / part / "images" / f"{n}.jpg", n)
        write(root / part / "labels" / f"{n}.txt", yolo_lines(n))
    content = {"train": "../train/images", "val": "../valid/images", "nc": 3, "names": list(NAMES)}
    write(root / "data.yaml", yaml.safe_dump(content))


def cvat_xml(shape: Callable[[str, list, int], str]) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "<version>1.1</version>"]
        labels = "".join(f"<label><name>{name}</name><type>any</type></label>" for name in NAMES)
        lines.append(f"<meta><task><labels>{labels}</labels></task></meta>")
        for n in range(COUNT):
            save_photo(root / "images" / f"{n}.jpg", n)
            lines.append(f'<image id="{n}" name="{n}.jpg" width="{WIDTH}" height="{HEIGHT}">')
            lines += [shape(name, polygons, place) for place, (name, polygons) in enumerate(objects(n), 1)]
            lines.append('<polyline label="bus" points="1,1;5,5" z_order="0"/></image>')
        write(root / "annotations.xml", "\n".join([*lines, "</annotations>"]))

    return make


def cvat_shape(kind: str, name: str, **attributes: object) -> str:
    words = [f"{key}={quoteattr(str(value))}" for key, value in attributes.items()]
    return f'<{kind} label="{name}" source="manual" occluded="0" {" ".join(words)}></{kind}>'


def cvat_polygons(name: str, polygons: list, number: int) -> str:
    """Polygons, and boxes for the car's parts; the parts are a group."""
    if name == "car":
        return "".join(
            cvat_shape(
                "box", name, xtl=one[0][0], ytl=one[0][1], xbr=one[2][0], ybr=one[2][1], z_order=0, group_id=number
            )
            for one in polygons
        )
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in polygons[0])
    return cvat_shape("polygon", name, points=points, z_order=0)


def cvat_runs(name: str, polygons: list, number: int) -> str:
    """Masks as run lengths, row by row over their boxes."""
    mask = filled(polygons)
    x0, y0, x1, y1 = box(mask)
    rle = ", ".join(map(str, runs(mask[y0 : y1 + 1, x0 : x1 + 1].ravel())))
    return cvat_shape("mask", name, rle=rle, left=x0, top=y0, width=x1 - x0 + 1, height=y1 - y0 + 1, z_order=0)


def supervisely(geometry: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        classes = [{"title": name, "shape": geometry, "color": "#123456"} for name in NAMES]
        write(root / "meta.json", json.dumps({"classes": classes, "tags": []}))
        for n in range(COUNT):
            dataset = "val" if n in VAL else "train"
            save_photo(root / dataset / "img" / f"{n}.jpg", n)
            found = []
            for name, polygons in objects(n):
                parts = polygons if geometry == "polygon" else [polygons]
                found += [supervisely_object(geometry, name, part) for part in parts]
            content = {"description": "", "tags": [], "size": {"height": HEIGHT, "width": WIDTH}, "objects": found}
            write(root / dataset / "ann" / f"{n}.jpg.json", json.dumps(content))

    return make


def supervisely_object(geometry: str, name: str, part: list) -> dict:
    if geometry == "polygon":
        return {"classTitle": name, "geometryType": "polygon", "points": {"exterior": part, "interior": []}}
    mask = filled(part)
    x0, y0, x1, y1 = box(mask)
    data = base64.b64encode(zlib.compress(png(mask[y0 : y1 + 1, x0 : x1 + 1]))).decode()
    return {"classTitle": name, "geometryType": "bitmap", "bitmap": {"data": data, "origin": [x0, y0]}}


@dataclass(frozen=True)
class Layout:
    """How a layout is written, the reader that reads it, and whether its names are those of the photos alone."""

    write: Callable[[Path], None]
    reader: str
    own_names: bool = False
    others: tuple[str, ...] = ()


LAYOUTS = {
    "folders": Layout(folders, "folders"),
    "folders in colours": Layout(folders_in_colours, "folders"),
    "voc": Layout(voc, "voc", own_names=True),
    "voc of CVAT": Layout(cvat_masks, "voc", others=("folders",)),
    "voc of labelme": Layout(labelme2voc, "voc", others=("folders",)),
    "ade20k": Layout(ade20k, "ade20k", own_names=True, others=("folders",)),
    "kitti360": Layout(kitti360, "kitti360", own_names=True),
    "cityscapes": Layout(cityscapes("labelIds"), "cityscapes", own_names=True),
    "cityscapes, training ids": Layout(cityscapes("labelTrainIds"), "cityscapes", own_names=True),
    "cityscapes in colours": Layout(cityscapes("color"), "cityscapes", own_names=True),
    "coco": Layout(coco, "coco"),
    "coco, uncompressed": Layout(coco_runs, "coco"),
    "coco panoptic": Layout(panoptic, "coco", others=("folders",)),
    "coco of Label Studio": Layout(label_studio, "coco"),
    "coco of Roboflow": Layout(roboflow, "coco"),
    "labelme": Layout(labelme, "labelme"),
    "labelme masks": Layout(labelme_masks, "labelme"),
    "yolo": Layout(yolo, "yolo"),
    "yolo of Roboflow": Layout(yolo_roboflow, "yolo"),
    "cvat": Layout(cvat_xml(cvat_polygons), "cvat"),
    "cvat masks": Layout(cvat_xml(cvat_runs), "cvat"),
    "supervisely": Layout(supervisely("polygon"), "supervisely"),
    "supervisely bitmaps": Layout(supervisely("bitmap"), "supervisely"),
}
