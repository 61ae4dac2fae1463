"""The names of 3D masks that are the ground truth's own: the classification behind an instance evaluation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.eval.classification import confusion_matrix, summarise
from opendas_plugin.eval.instance_files import Classes
from opendas_plugin.eval.mask_names import NamedMasks
from opendas_plugin.eval.report import format_table, write_confusion
from opendas_plugin.vocabulary import Vocabulary

CONFUSION = "oracle_confusion.csv"


class OracleScores:
    """Collects the true and the given names of oracle masks, scene by scene.

    The names of all classes compete, those that the instance evaluation does not score, such as walls, too.
    """

    def __init__(self, classes: Classes, novel: Collection[str]) -> None:
        """Prepares.

        Args:
            classes: all names compete.
            novel: those of the names that were not seen in training.
        """
        self.classes = classes
        self.vocabulary = Vocabulary(classes.names, tuple(name for name in classes.names if name in novel))
        self.unseen = 0
        self._labels: list[NDArray[np.int64]] = []
        self._cosines: list[NDArray[np.float32]] = []

    def add(self, masks: NamedMasks, truth: NDArray[np.int64]) -> None:
        """Adds a scene; masks that no picture shows have no name and are only counted.

        Raises:
            DataError: a mask is no instance of the ground truth.
        """
        place = {number: row for row, number in enumerate(self.classes.ids)}
        true = masks.true_numbers(truth) // 1000
        known = np.isin(true, self.classes.ids)
        self._labels.append(np.array([place[number] for number in true[known].tolist()], dtype=np.int64))
        self._cosines.append(masks.cosines[known])
        self.unseen += masks.masks.shape[1] - len(masks.seen)

    def write(self, output: Path) -> dict[str, Any]:
        """Writes the confusion matrix; returns the scores of a classification, and ``n_unseen``."""
        labels, cosines = np.concatenate(self._labels), np.concatenate(self._cosines)
        novel = [self.vocabulary.index[name] for name in self.vocabulary.novel]
        joint = confusion_matrix(labels, cosines.argmax(axis=1), len(self.vocabulary.names))
        own = np.isin(labels, novel)
        alone = confusion_matrix(
            np.searchsorted(novel, labels[own]), cosines[own][:, novel].argmax(axis=1) if novel else [], len(novel)
        )
        write_confusion(output / CONFUSION, joint, self.vocabulary.names)
        return {**summarise(joint, alone, self.vocabulary), "n_unseen": self.unseen, "confusion_matrix": CONFUSION}


def format_oracle(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """Lays the oracle scores of summaries out as a text table."""
    return format_table({name: summary["oracle"] for name, summary in summaries.items()})
