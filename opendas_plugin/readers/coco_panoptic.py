"""COCO's panoptic format: a JSON and a folder of PNGs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import Exif, read_ids
from opendas_plugin.data.picture_finding import Pictures
from opendas_plugin.data.reading import ImageReading, too_small
from opendas_plugin.data.segments import Segment, encode
from opendas_plugin.errors import DataError
from opendas_plugin.files import require_unique
from opendas_plugin.readers.coco_common import CROWD, Categories, LabelledImage, find_image, format_errors, is_crowd
from opendas_plugin.readers.reader import Split


class Panoptic:
    """A panoptic JSON and its folder of PNGs, whose pixels hold the segment id as R + 256 G + 65536 B.

    Crowd regions are dropped. For arguments, attributes and errors see :class:`~.coco_instances.Instances`.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self._categories = Categories(path)
        self.names, self.raw_names = self._categories.names, self._categories.raw_names
        self.values = self._categories.values
        with format_errors(path):
            self._annotations: list[dict[str, Any]] = self._categories.content["annotations"]
            annotated = [annotation["image_id"] for annotation in self._annotations]
            require_unique(annotated, f"{path}: the annotation of the image id")
            self._records = self._categories.records(annotated)

    def split(self, images: Path, min_area: int, exif: Exif | None = None) -> Split[dict[str, Any]]:
        """As :meth:`Instances.split`; also a PNG that disagrees with the JSON is a DataError."""
        pictures = Pictures(images)

        def read_one(annotation: dict[str, Any]) -> ImageReading:
            with format_errors(self._path):
                image = find_image(self._records[annotation["image_id"]], pictures, self._path, exif)
                ids, areas = self._ids(annotation, image)
                found = ImageReading(image.path.stem)
                require_unique(
                    (segment["id"] for segment in annotation["segments_info"]),
                    f"{self._path}, {image.path}: the segment id",
                )
                for segment in annotation["segments_info"]:
                    area = areas[segment["id"]]
                    if is_crowd(segment, self._path):
                        found.dropped[CROWD] += 1
                    elif area < min_area:
                        found.dropped[too_small(min_area)] += 1
                    else:
                        label = self._categories.name(segment["category_id"])
                        found.segments.append(Segment(image.path, encode(ids == segment["id"]), label, found.group))
                return found

        return Split(self._annotations, read_one, len(self._records) - len(self._annotations))

    def _ids(self, annotation: dict[str, Any], image: LabelledImage) -> tuple[NDArray[np.int64], dict[int, int]]:
        """The ids of an image's pixels (H, W), and the number of pixels of each."""
        png = self._folder / annotation["file_name"]
        ids, (height, width) = read_ids(png), image.size
        if ids.shape != image.size:
            raise DataError(f"{png} is {ids.shape[1]}x{ids.shape[0]}, but its image {image.path} is {width}x{height}")
        ids = ids if image.upright is None else image.upright(ids)
        areas = dict(zip(*(values.tolist() for values in np.unique(ids, return_counts=True)), strict=True))
        listed = {segment["id"] for segment in annotation["segments_info"]}
        stray = sorted(set(areas) - listed - {0})
        if stray:
            raise DataError(
                f"{png}: the segment id {stray[0]} is in the PNG and not in {self._path}; use a pair of one release"
            )
        empty = [segment["id"] for segment in annotation["segments_info"] if segment["id"] not in areas]
        if empty:
            raise DataError(f"{png}: no pixel has the segment id {empty[0]} of {self._path}; remove the empty segment")
        return ids, areas
