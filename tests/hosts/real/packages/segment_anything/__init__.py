"""The names that hosts take from segment-anything; its masks are boxes and ellipses of the picture's size."""

import numpy as np
import torch


class SamPredictor:
    def __init__(self, model):
        self.model = model


class SamAutomaticMaskGenerator:
    def __init__(self, model, **settings):
        self.predictor = SamPredictor(model)

    def generate(self, image):
        return shapes(*image.shape[:2], count=5)


def shapes(height, width, count, first=0):
    """SAM's records of ``count`` masks, which overlap a little."""
    rows, columns = np.mgrid[:height, :width]
    found = []
    for number in range(first, first + count):  # the same picture, the same masks
        x, y = width * (number % 3) // 3, height * (number % 4) // 5
        w, h = width // 3 + 20, height // 4 + 10 * (number % 2)
        mask = (rows >= y) & (rows < y + h) & (columns >= x) & (columns < min(width, x + w))
        if number % 2:
            mask &= ((rows - y - h / 2) / h) ** 2 + ((columns - x - w / 2) / w) ** 2 < 0.25
        ys, xs = np.nonzero(mask)
        box = [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
        scores = {"predicted_iou": 0.95, "stability_score": 0.97}
        found.append({"segmentation": mask, "bbox": box, "area": int(mask.sum()), **scores})
    return found


def build(checkpoint=None):
    return torch.nn.Linear(1, 1)


sam_model_registry = dict.fromkeys(("vit_h", "vit_l", "vit_b"), build)
