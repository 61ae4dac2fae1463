"""Stands in for segment-anything; a checkpoint file with "empty" in it makes a SAM that finds nothing."""

from pathlib import Path

import numpy as np

from tests.integrations.openmask3d.scenes import ColourSAM


class Sam:
    def __init__(self, checkpoint):
        self.finds_nothing = "empty" in Path(checkpoint).read_text()

    def to(self, device):
        return self


class SamPredictor(ColourSAM):
    def __init__(self, model):
        super().__init__(moody=False)
        self.model = model

    def predict(self, **prompt):
        masks, scores, logits = super().predict(**prompt)
        return np.zeros_like(masks) if self.model.finds_nothing else masks, scores, logits


sam_model_registry = {"vit_h": Sam}
