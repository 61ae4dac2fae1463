"""The curve of labelled segments that opendas-probe draws."""

from __future__ import annotations

import numpy as np
import torch

from opendas_plugin.classifier import TextClassifier
from opendas_plugin.eval.probing import enough, label_curve
from opendas_plugin.model.adapted_clip import OpenDASCLIP

NAMES = [f"name {number}" for number in range(40)]


def segments(each: int) -> tuple[torch.Tensor, list[str], list[str]]:
    """Noisy features about a centre of each name, in ten rooms."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(NAMES), 128))
    labels = np.tile(np.arange(len(NAMES)), each)
    features = torch.tensor(centres[labels] + 3 * rng.normal(size=(len(labels), 128)), dtype=torch.float32)
    rooms = [f"room {number}" for number in rng.integers(10, size=len(labels))]
    return torch.nn.functional.normalize(features, dim=1), [NAMES[label] for label in labels], rooms


def test_a_curve_ends_where_there_are_no_more_segments_to_give() -> None:
    """It would go on flat for want of segments, and say that more of them bring nothing."""
    text = TextClassifier(OpenDASCLIP.from_backbone("office-tiny"), NAMES)
    many = label_curve(text, *segments(60))
    assert list(many) == [0, 1, 2, 4, 8, 16] and enough(many) is None and many[16] > many[8] + 1
    assert list(label_curve(text, *segments(5))) == [0, 1, 2]
