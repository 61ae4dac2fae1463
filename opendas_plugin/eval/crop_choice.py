"""Which of the common crops plain CLIP reads best, by its accuracy on a sample of labelled segments."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.eval.predict import predict
from opendas_plugin.files import read_json
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

COMMON = (
    CropPolicy("keep", 0.1, "squash"),  # the default
    CropPolicy("keep", 0.1, "center"),  # OpenMask3D's
    CropPolicy("keep", 0.5, "squash"),
    CropPolicy("keep", 0.5, "center"),
    CropPolicy("mean", 0.0, "squash"),  # OVSeg's
    CropPolicy("mean", 0.0, "center"),
    CropPolicy("mean", 0.3, "squash"),
    CropPolicy("mean", 0.3, "center"),  # the recipe office's
)
SAMPLE = 500
"""Segments that are looked at."""


@dataclass(frozen=True)
class CropChoice:
    """Crop policies with plain CLIP's accuracy in percent on the same segments.

    Args:
        accuracies: each policy's.
        segments: how many were looked at.
        close: policies that may be as good as the chosen one: the 95% interval of the accuracies' difference on the
            same segments (of a mean, by the normal distribution) holds 0.
    """

    accuracies: Mapping[CropPolicy, float]
    segments: int
    close: tuple[CropPolicy, ...] = ()

    @property
    def chosen(self) -> CropPolicy:
        """The policy of the highest accuracy, the first of equal ones."""
        return max(self.accuracies, key=lambda policy: self.accuracies[policy])

    def say(self) -> None:
        """Says in the log what was chosen, and of what."""
        others = "; ".join(f"{policy} {acc:.1f}" for policy, acc in self.accuracies.items() if policy != self.chosen)
        logger.info(
            "crops chosen by plain CLIP's accuracy on %d training segments: %s, %.1f%% (%s); %d others may be as good",
            self.segments, self.chosen, self.accuracies[self.chosen], others, len(self.close),
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        """What :meth:`of` reads, as plain JSON."""
        rows = [{**policy.to_dict(), "accuracy": accuracy} for policy, accuracy in self.accuracies.items()]
        close = [policy.to_dict() for policy in self.close]
        return {"chosen": self.chosen.to_dict(), "segments": self.segments, "accuracies": rows, "close": close}

    @classmethod
    def of(cls, record: Any, source: Path) -> CropChoice:
        """The inverse of :meth:`record`, in the file ``source``.

        Raises:
            DataError: it is something else.
        """
        try:
            rows = [dict(row) for row in record["accuracies"]]
            figures = [float(row.pop("accuracy")) for row in rows]
            accuracies = dict(zip(map(CropPolicy.from_dict, rows), figures, strict=True))
            close = tuple(map(CropPolicy.from_dict, record.get("close", ())))
            found = cls(accuracies, int(record["segments"]), close)
            if found.chosen.to_dict() != record["chosen"]:
                raise DataError("the chosen policy is not that of the highest accuracy")
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise DataError(f"{source} does not say which crops were chosen ({error}); remove it") from error
        return found

    @classmethod
    def read(cls, path: Path) -> CropChoice:
        """Reads a file of :meth:`record`; errors as in :meth:`of`."""
        return cls.of(read_json(path), path)


def choose_crops(
    clip: OpenDASCLIP, segments: Sequence[Segment], vocabulary: Vocabulary, *, workers: int = 2, sample: int = SAMPLE
) -> CropChoice:
    """Compares the common crop policies by plain CLIP's accuracy on a sample of training segments.

    The training names alone compete, so that nothing of the evaluation is looked at. The sample depends on the number
    of segments alone.

    Args:
        clip: what was learnt of it is left out.
        segments: labelled with base names.
        vocabulary: its base names, and its template.
        workers: threads that decode and crop.
        sample: segments that are looked at, at most.
    """
    places = np.sort(np.random.default_rng(0).permutation(len(segments))[:sample])
    chosen = [segments[place] for place in places]
    names = Vocabulary(vocabulary.base, (), vocabulary.template)
    labeller = Labeller(clip.plain(), names, template=names.template, workers=workers)

    def right(policy: CropPolicy) -> NDArray[np.bool_]:
        found = predict(labeller.with_crops(policy), chosen, names)
        return np.asarray(found.labels == found.predictions)

    by_policy = {policy: right(policy) for policy in (one.at(labeller.clip.image_size) for one in COMMON)}
    choice = CropChoice({policy: 100 * float(found.mean()) for policy, found in by_policy.items()}, len(chosen))
    best = by_policy[choice.chosen]
    close = [policy for policy, found in by_policy.items() if policy != choice.chosen and may_be_equal(best, found)]
    choice = dataclasses.replace(choice, close=tuple(close))
    choice.say()
    return choice


def may_be_equal(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Whether the 95% interval of the difference of two shares, of right answers to the same questions, holds 0."""
    difference = one.astype(np.float64) - other
    return abs(float(difference.mean())) <= 1.96 * float(difference.std()) / math.sqrt(len(difference))
