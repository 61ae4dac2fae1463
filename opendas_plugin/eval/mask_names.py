"""Named instances from OpenMask3D's class-agnostic masks and their CLIP features, one scene at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval.instance3d import Instance
from opendas_plugin.eval.instance_files import Classes
from opendas_plugin.files import write_text
from opendas_plugin.scenes.feature_records import check_pair
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.mask_arrays import read_array, read_masks, sparse_masks
from opendas_plugin.wording import counted

MASKS, FEATURES = "{}_masks.pt", "{}_openmask3d_features.npy"
"""OpenMask3D's names for a scene's files."""

Classifier = Callable[[torch.Tensor], torch.Tensor]
"""Image features (B, D) -> cosines with the names (B, C)."""


@dataclass(frozen=True, eq=False)
class NamedMasks:
    """The masks of a scene and what their features say of the names.

    Attributes:
        masks: bool (N, M), which points belong to which mask.
        seen: (S,) the masks with a feature; the others were seen in no picture.
        cosines: (S, C) of their features with the names' texts.
    """

    masks: sparse.csc_matrix
    seen: NDArray[np.int64]
    cosines: NDArray[np.float32]

    def instances(self, class_ids: Sequence[int]) -> Iterator[Instance]:
        """Yields each seen mask with the class of the highest cosine and the score 1, as OpenMask3D's evaluation does.

        Args:
            class_ids: the id of each name.
        """
        for column, best in zip(self.seen.tolist(), self.cosines.argmax(axis=1).tolist(), strict=True):
            yield Instance(self.points(column), class_ids[best], 1.0)

    def points(self, column: int) -> NDArray[np.int64]:
        """The points of one mask, in order."""
        start, end = self.masks.indptr[column : column + 2]
        return np.sort(self.masks.indices[start:end]).astype(np.int64)

    def true_numbers(self, truth: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ground truth's number of each seen mask, (S,), which has to be exactly that instance.

        Raises:
            DataError: a mask is no instance of the ground truth.
        """
        numbers = []
        for column in self.seen.tolist():
            inside = self.points(column)
            covered = np.unique(truth[inside])
            if len(covered) != 1 or covered[0] == 0 or (truth == covered[0]).sum() != len(inside):
                raise DataError(f"mask {column} is not one instance of the ground truth; leave `oracle` out")
            numbers.append(int(covered[0]))
        return np.array(numbers, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class NamedScenes:
    """Reads scenes, compares their masks' features with the names, and remembers which name each mask got.

    Attributes:
        masks: folder of :data:`MASKS`.
        features: folder of :data:`FEATURES`.
        source: the CLIP of the texts, which has to be that of the features.
        classifier: its text side.
        classes: the ids and names.
        lines: what :meth:`write_predictions` writes.
    """

    masks: Path
    features: Path
    source: FeatureSource
    classifier: Classifier
    classes: Classes
    lines: list[str] = field(default_factory=list)

    def read(self, scene: str, points: int) -> NamedMasks:
        """Reads a scene of ``points`` points.

        Raises:
            MissingFileError: a file is missing.
            DataError: the files do not belong together, to the ground truth or to the CLIP.
        """
        masks_path, features_path = self.masks / MASKS.format(scene), self.features / FEATURES.format(scene)
        for path in (masks_path, features_path):
            if not path.is_file():
                raise MissingFileError(f"{path} does not exist; compute the masks and features of every scene first")
        masks, features = read_masks(masks_path), read_array(features_path, "compute it")
        if masks.shape[0] != points:
            raise DataError(
                f"{masks_path} has the shape {masks.shape}, but the ground truth has {counted(points, 'point')}"
            )
        if len(features) != masks.shape[1]:
            raise DataError(
                f"{features_path} has {counted(len(features), 'feature')} for the "
                f"{counted(masks.shape[1], 'mask')} of {scene}"
            )
        check_pair(features_path, features, self.source, sparse_masks(masks, points))
        named = name_masks(masks, features, self.classifier)
        for column, best in zip(named.seen.tolist(), named.cosines.argmax(axis=1).tolist(), strict=True):
            line = {"scene": scene, "mask": column, "prediction": self.classes.names[best]}
            self.lines.append(json.dumps(line, ensure_ascii=False))
        return named

    def write_predictions(self, output: Path) -> None:
        """Writes ``predictions.jsonl``: a line for each mask that was seen, of all scenes read so far."""
        write_text(output / "predictions.jsonl", "".join(f"{line}\n" for line in self.lines))


def name_masks(masks: sparse.spmatrix, features: NDArray, classifier: Classifier) -> NamedMasks:
    """Compares features (M, D) with the names; a row of zeros is a mask (N, M) that no picture shows.

    Raises:
        DataError: a feature is no number.
    """
    if not np.isfinite(features).all():
        raise DataError("expected features that are numbers, got infinite or missing ones; compute them again")
    seen = np.flatnonzero(features.any(axis=1))
    with torch.no_grad():
        cosines = classifier(torch.from_numpy(features[seen]).float())
    return NamedMasks(masks.tocsc(), seen, cosines.cpu().numpy())
