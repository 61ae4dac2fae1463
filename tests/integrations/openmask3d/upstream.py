"""OpenMask3D's rule for mask features, written plainly: dense arrays, mask by mask, numpy's global generator.

From openmask3d/mask_features_computation at 3bc3fc5. The one addition: an empty SAM mask, on which upstream breaks off,
becomes the box of the visible points.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image


def scaled_intrinsic(intrinsic, old, new):
    if old == new:
        return intrinsic
    resize_width = int(np.floor(new[1] * float(old[0]) / float(old[1])))
    scaled = intrinsic.copy()
    scaled[0, 0] *= float(resize_width) / float(old[0])
    scaled[1, 1] *= float(new[1]) / float(old[1])
    scaled[0, 2] *= float(new[0] - 1) / float(old[0] - 1)
    scaled[1, 2] *= float(new[1] - 1) / float(old[1] - 1)
    return scaled


def visible_pixels(views, points, masks, threshold):
    """(views, masks, H, W) bool."""
    height, width = views.size
    x = np.append(points, np.ones((len(points), 1)), axis=-1)
    intrinsic = scaled_intrinsic(views.intrinsic, views.intrinsic_size, views.size)
    result = np.zeros((len(views.poses), masks.shape[1], height, width), dtype=bool)
    for i in range(len(views.poses)):
        pose = np.linalg.inv(views.poses[i])[:3, :]
        raw = (intrinsic @ pose @ x.T).T
        pixel = np.zeros((len(points), 2), dtype=int)
        some = raw[:, 2] != 0
        pixel[some] = np.column_stack([raw[:, 0][some] / raw[:, 2][some], raw[:, 1][some] / raw[:, 2][some]])
        inside = (pixel[:, 0] >= 0) * (pixel[:, 1] >= 0) * (pixel[:, 0] < width) * (pixel[:, 1] < height)
        sensor = np.asarray(Image.open(views.depth[i])) / views.depth_scale
        near = np.abs(sensor[pixel[inside, 1], pixel[inside, 0]] - raw[inside, 2]) <= threshold
        inside[inside] = near
        for j in range(masks.shape[1]):
            own = pixel[(masks[:, j] * inside) > 0]
            result[i, j, own[:, 1], own[:, 0]] = True
    return result


def run_sam(image, rounds, selected, coordinates, predictor):
    best_score, best = 0, np.zeros(image.shape[:2], dtype=bool)
    points = coordinates[:, ::-1].copy()
    for _ in range(rounds):
        np.random.shuffle(points)  # noqa: NPY002
        masks, scores, _ = predictor.predict(
            point_coords=points[:selected], point_labels=np.ones(len(points[:selected])), multimask_output=False
        )
        if scores[0] > best_score:
            best_score, best = scores[0], masks[0]
    return best


def level_box(mask, level, ratio):
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    x1, y1, x2, y2 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    x, y = int(abs(x2 - x1) * ratio) * level, int(abs(y2 - y1) * ratio) * level
    return max(0, x1 - x), max(0, y1 - y), min(mask.shape[1], x2 + x), min(mask.shape[0], y2 + y)


def features(views, points, masks, predictor, preprocess, encode, settings):
    """(masks, width) float64."""
    images = [Image.open(path).convert("RGB") for path in views.colour]
    seen = visible_pixels(views, points, masks, settings.threshold)
    best = np.argsort(-seen.sum(axis=2).sum(axis=2), axis=0)[: settings.top_k, :].T
    rows = []
    for mask in range(masks.shape[1]):
        crops = []
        for view in best[mask]:
            coordinates = np.transpose(np.where(seen[view][mask]))
            if not len(coordinates):
                continue
            predictor.set_image(np.asarray(images[view]))
            found = run_sam(np.asarray(images[view]), settings.rounds, settings.points, coordinates, predictor)
            if not found.any():
                found[coordinates[:, 0].min() : coordinates[:, 0].max() + 1, :] = True
                found[:, : coordinates[:, 1].min()] = found[:, coordinates[:, 1].max() + 1 :] = False
            for level in range(settings.levels):
                crops.append(preprocess(images[view].crop(level_box(found, level, settings.expansion))))
        if crops:
            unit = encode(torch.tensor(np.stack(crops))).float()
            unit /= unit.norm(dim=-1, keepdim=True)
            rows.append(unit.mean(axis=0).numpy())
        else:
            rows.append(None)
    width = next(len(row) for row in rows if row is not None)
    return np.array([np.zeros(width) if row is None else row for row in rows], dtype=np.float64)
