"""The files of named masks: those of each photo, and those that are made of all photos at the end."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opendas_plugin.crops import mask_box
from opendas_plugin.data.colour_tables import BACKGROUND, is_background
from opendas_plugin.data.segments import encode
from opendas_plugin.eval.named_overlay import draw_named
from opendas_plugin.eval.overlays import name_colours
from opendas_plugin.files import atomic_file, read_json, write_json, write_text
from opendas_plugin.label_values import NONE

INSTANCES, SUMMARY, COLOURS, PARTS = "instances.json", "summary.csv", "colours.txt", "parts"
_BAND = 1 << 26  # pixels of all masks that are fused at a time
_BYTE = 255  # names that an 8-bit map holds beside 0

Part = dict[str, Any]


@dataclass(frozen=True, eq=False)
class NamedPhoto:
    """A photo and the masks that got a name.

    Attributes:
        file_name: its path in the folder of all photos, with forward slashes.
        picture: (H, W, 3) uint8 RGB.
        masks: M masks (H, W).
        places: (M,) of their names.
        scores: (M,) the probability of that name.
        probabilities: (M, N) of all names.
        unnamed: how many further masks stayed without a name.
    """

    file_name: str
    picture: NDArray[np.uint8]
    masks: Sequence[NDArray[np.bool_]]
    places: NDArray[np.int64]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    unnamed: int

    def classes(self) -> NDArray[np.int64]:
        """The place of a name at each pixel, (H, W), by evaluation's rule for masks that overlap; ``NONE``: none."""
        from opendas_plugin.eval.masks import fuse

        height, width = self.picture.shape[:2]
        if not self.masks:
            return np.full((height, width), NONE)
        rows = max(1, _BAND // (width * len(self.masks)))
        bands = [slice(top, top + rows) for top in range(0, height, rows)]
        return np.concatenate([fuse([mask[band] for mask in self.masks], self.probabilities) for band in bands])


def write_photo(output: Path, stem: str, found: NamedPhoto, names: Sequence[str], inputs: Mapping[str, Any]) -> None:
    """Writes a photo's files; the one in ``parts/``, of which :func:`write_all` makes the others, is the last.

    Args:
        output: the folder.
        stem: the photo's path in its folder, without suffix.
        found: what is in it.
        names: N names.
        inputs: the record of what the photo's masks were made from.
    """
    colours, classes = list(name_colours(names).values()), found.classes()
    semantic, overlay_file, detections = photo_files(output, stem)
    with atomic_file(semantic) as temporary:
        _class_picture(classes, colours).save(temporary, "PNG")
    with atomic_file(overlay_file) as temporary:
        overlay = draw_named(found.picture, classes, names, colours)
        Image.fromarray(overlay).save(temporary, "JPEG", quality=90)
    boxes = np.array([mask_box(mask) for mask in found.masks], dtype=np.int64).reshape(-1, 4)
    with atomic_file(detections) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            xyxy=boxes.astype(np.float32),
            mask=np.array(found.masks, dtype=bool).reshape(-1, *classes.shape),
            confidence=found.scores,
            class_id=found.places,
            names=np.array(names),
        )
    masks = [
        {"place": place, "score": round(score, 6), "segmentation": encode(mask), "box": box, "area": int(mask.sum())}
        for place, score, mask, box in zip(
            found.places.tolist(), found.scores.tolist(), found.masks, boxes.tolist(), strict=True
        )
    ]
    values, counts = np.unique(classes, return_counts=True)
    part = {
        "file_name": found.file_name,
        "size": list(classes.shape),
        "masks": masks,
        "unnamed": found.unnamed,
        "pixels": {str(value): int(count) for value, count in zip(values, counts, strict=True)},
        "inputs": dict(inputs),
    }
    write_json(part_path(output, stem), part)


def photo_files(output: Path, stem: str) -> tuple[Path, Path, Path]:
    """The class map, the overlay and the detections of a photo."""
    kinds = (("semantic", "png"), ("overlays", "jpg"), ("detections", "npz"))
    semantic, overlay, detections = (output / folder / f"{stem}.{suffix}" for folder, suffix in kinds)
    return semantic, overlay, detections


def part_path(output: Path, stem: str) -> Path:
    """The file that says that a photo is done, and holds what was found."""
    return output / PARTS / f"{stem}.json"


def write_all(output: Path, stems: Sequence[str], names: Sequence[str]) -> tuple[list[list[int]], int]:
    """Writes ``instances.json``, ``colours.txt`` and ``summary.csv`` of all photos.

    Returns:
        For each of the N names, and last for no name: masks, pixels of the class maps, and photos; and how many photos
        have no mask at all.
    """
    images, annotations, bare = [], list[dict[str, Any]](), 0
    counts = np.zeros((len(names) + 1, 3), dtype=np.int64)
    for number, stem in enumerate(stems, 1):
        part: Part = read_json(part_path(output, stem))
        height, width = part["size"]
        images.append({"id": number, "file_name": part["file_name"], "height": height, "width": width})
        for mask in part["masks"]:
            annotations.append(_annotation(len(annotations) + 1, number, mask))
        _count(counts, part)
        bare += not part["masks"] and not part["unnamed"]
    categories = [{"id": place, "name": name} for place, name in enumerate(names, 1)]
    write_json(output / INSTANCES, {"images": images, "annotations": annotations, "categories": categories})
    _write_colours(output / COLOURS, names)
    with atomic_file(output / SUMMARY) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "masks", "pixels", "pictures"])
        writer.writerows([name, *row] for name, row in zip([*names, ""], counts.tolist(), strict=True))
    return counts.tolist(), bare


def _class_picture(classes: NDArray[np.int64], colours: Sequence[tuple[int, int, int]]) -> Image.Image:
    """Numbers from 1, 0 where there is no name: in colours where a byte holds them, else 16-bit grey."""
    numbers = classes - NONE  # NONE is -1
    if len(colours) > _BYTE:
        return Image.fromarray(numbers.astype(np.uint16))
    picture = Image.fromarray(numbers.astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, *(value for colour in colours for value in colour)])
    return picture


def _annotation(number: int, image: int, mask: Mapping[str, Any]) -> dict[str, Any]:
    x0, y0, x1, y1 = mask["box"]
    return {
        "id": number,
        "image_id": image,
        "category_id": mask["place"] + 1,
        "segmentation": mask["segmentation"],
        "area": mask["area"],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "iscrowd": 0,
        "score": mask["score"],
    }


def _count(counts: NDArray[np.int64], part: Part) -> None:
    """Adds a photo's masks, pixels and itself to the rows of the names; the last row, of no name, is at ``NONE``."""
    here = np.zeros(len(counts), dtype=bool)
    for mask in part["masks"]:
        counts[mask["place"], 0] += 1
        here[mask["place"]] = True
    for value, pixels in part["pixels"].items():
        counts[int(value), 1] += pixels
    counts[NONE, 0] += part["unnamed"]
    here[NONE] = part["unnamed"] > 0
    counts[:, 2] += here


def _write_colours(path: Path, names: Sequence[str]) -> None:
    """CVAT's ``labelmap.txt``: names in the order of their numbers in the class maps."""
    lines = ["# label:color_rgb:parts:actions"]
    lines += [] if any(map(is_background, names)) else [f"{BACKGROUND}:0,0,0::"]
    lines += [f"{name}:{','.join(map(str, colour))}::" for name, colour in name_colours(names).items()]
    write_text(path, "".join(f"{line}\n" for line in lines))
