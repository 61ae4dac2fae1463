"""Which of the common crops plain CLIP reads best, by its accuracy on labelled segments: a race of the policies.

All policies are compared on some segments, and those that are told to be worse leave; the others go on to the next
segments, so that time is spent on what is still open. Maron and Moore (Hoeffding Races, NIPS 1994) bound each accuracy
alone; here every policy answers the same segments, so differences are bounded, which tells them apart sooner (Moore and
Lee, Efficient Algorithms for Minimizing Cross Validation Error, ICML 1994).
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from opendas_plugin.wording import counted

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
"""Segments of a round."""
ROUNDS = 4
"""Rounds, at most."""
TELLING = 6
"""Answers that have to differ before two policies are told apart: five of five are chance in 6% (a sign test)."""


@dataclass(frozen=True)
class CropChoice:
    """Crop policies with plain CLIP's accuracy in percent on the same segments.

    Args:
        accuracies: each policy's, on the segments that it was compared on.
        segments: how many the chosen one was compared on.
        close: policies that may be as good as the chosen one: the 95% interval of the accuracies' difference on the
            same segments holds 0 (:func:`may_be_equal`).
        dropped: policies that were told to be worse on fewer segments -> how many.
    """

    accuracies: Mapping[CropPolicy, float]
    segments: int
    close: tuple[CropPolicy, ...] = ()
    dropped: Mapping[CropPolicy, int] = field(default_factory=dict)

    @property
    def chosen(self) -> CropPolicy:
        """The policy of the highest accuracy on all segments, the first of equal ones."""
        left = [policy for policy in self.accuracies if policy not in self.dropped]
        return max(left, key=lambda policy: self.accuracies[policy])

    @property
    def crops(self) -> int:
        """How many were looked at, of all policies."""
        return sum(self.seen(policy) for policy in self.accuracies)

    def seen(self, policy: CropPolicy) -> int:
        """How many segments a policy was compared on."""
        return self.dropped.get(policy, self.segments)

    def say(self) -> None:
        """Says in the log what was chosen, and of what."""
        others = "; ".join(
            f"{policy} {accuracy:.1f}" + (f" of {self.dropped[policy]}" if policy in self.dropped else "")
            for policy, accuracy in self.accuracies.items()
            if policy != self.chosen
        )
        logger.info(
            "crops chosen by plain CLIP's accuracy on %s: %s, %.1f%% (%s); %s may be as good",
            counted(self.segments, "training segment"), self.chosen, self.accuracies[self.chosen], others,
            counted(len(self.close), "other"),
        )  # fmt: skip

    def record(self) -> dict[str, Any]:
        """What :meth:`of` reads, as plain JSON."""
        rows = [
            {**policy.to_dict(), "accuracy": accuracy, "segments": self.seen(policy)}
            for policy, accuracy in self.accuracies.items()
        ]
        close = [policy.to_dict() for policy in self.close]
        return {"chosen": self.chosen.to_dict(), "segments": self.segments, "accuracies": rows, "close": close}

    @classmethod
    def of(cls, record: Any, source: Path) -> CropChoice:
        """The inverse of :meth:`record`, in the file ``source``.

        Raises:
            DataError: it is something else.
        """
        try:
            rows, segments = [dict(row) for row in record["accuracies"]], int(record["segments"])
            figures = [(float(row.pop("accuracy")), int(row.pop("segments", segments))) for row in rows]
            by_policy = dict(zip(map(CropPolicy.from_dict, rows), figures, strict=True))
            accuracies = {policy: accuracy for policy, (accuracy, _) in by_policy.items()}
            dropped = {policy: seen for policy, (_, seen) in by_policy.items() if seen != segments}
            close = tuple(map(CropPolicy.from_dict, record.get("close", ())))
            found = cls(accuracies, segments, close, dropped)
            if found.chosen.to_dict() != record["chosen"]:
                raise DataError("the chosen policy is not that of the highest accuracy")
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise DataError(f"{source} does not say which crops were chosen ({error}); remove it") from error
        return found

    @classmethod
    def read(cls, path: Path) -> CropChoice:
        """Reads a file of :meth:`record`; errors as in :meth:`of`."""
        return cls.of(read_json(path, "remove it"), path)


def choose_crops(
    clip: OpenDASCLIP,
    segments: Sequence[Segment],
    vocabulary: Vocabulary,
    *,
    workers: int = 2,
    sample: int = SAMPLE,
    rounds: int = ROUNDS,
) -> CropChoice:
    """Compares the common crop policies by plain CLIP's accuracy on training segments, in rounds (:func:`race`).

    The training names alone compete, so that nothing of the evaluation is looked at. The segments of the rounds depend
    on the number of segments alone.

    Args:
        clip: what was learnt of it is left out.
        segments: labelled with base names.
        vocabulary: its base names, and its template.
        workers: threads that decode and crop.
        sample: segments of a round.
        rounds: at most.
    """
    names = Vocabulary(vocabulary.base, (), vocabulary.template)
    labeller = Labeller(clip.plain(), names, template=names.template, workers=workers)

    def right(policy: CropPolicy, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = predict(labeller.with_crops(policy), [segments[place] for place in places], names)
        return np.asarray(found.labels == found.predictions)

    order = np.random.default_rng(0).permutation(len(segments))
    choice = race([one.at(labeller.clip.image_size) for one in COMMON], right, order, sample, rounds)
    choice.say()
    return choice


def race(
    policies: Sequence[CropPolicy],
    right: Callable[[CropPolicy, NDArray[np.int64]], NDArray[np.bool_]],
    order: NDArray[np.int64],
    sample: int = SAMPLE,
    rounds: int = ROUNDS,
) -> CropChoice:
    """Compares policies round by round; those that are told from the best in one do not start in the next.

    It ends where one policy is left, after the last round, or with the last segment.

    Args:
        policies: that start.
        right: whether a policy names each of the segments at these places right, (K,) -> (K,).
        order: the places of all segments, in the order in which they are looked at.
        sample: segments of a round.
        rounds: at most.

    Raises:
        DataError: there are no segments.
    """
    if not len(order):
        raise DataError("expected labelled segments to compare crops on, got none; check the training part")
    left, answers = [*policies], {policy: np.empty(0, dtype=np.bool_) for policy in policies}
    for start in range(0, min(len(order), sample * rounds), sample):
        places = np.sort(order[start : start + sample])
        for policy in left:
            answers[policy] = np.concatenate([answers[policy], right(policy, places)])
        best = answers[max(left, key=lambda policy: float(answers[policy].mean()))]
        left = [policy for policy in left if may_be_equal(best, answers[policy])]
        if len(left) == 1:
            break
    seen = {policy: len(found) for policy, found in answers.items()}
    segments = max(seen.values())
    choice = CropChoice(
        {policy: 100 * float(found.mean()) for policy, found in answers.items()},
        segments,
        dropped={policy: count for policy, count in seen.items() if count < segments},
    )
    return dataclasses.replace(choice, close=tuple(policy for policy in left if policy != choice.chosen))


def may_be_equal(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Whether the 95% interval of the difference of two shares, of right answers to the same questions, holds 0.

    The interval is a mean's, by the normal distribution, which a few answers do not have: where fewer than
    :data:`TELLING` differ, it holds 0.
    """
    difference = one.astype(np.float64) - other
    if np.count_nonzero(difference) < TELLING:
        return True
    return abs(float(difference.mean())) <= 1.96 * float(difference.std()) / math.sqrt(len(difference))
