import numpy as np
from segment_anything import SamPredictor, sam_model_registry


def initialize_sam_model(device, sam_model_type, sam_checkpoint):
    sam = sam_model_registry[sam_model_type](checkpoint=sam_checkpoint)
    sam.to(device)
    return SamPredictor(sam)


def mask2box(mask):
    columns, rows = np.nonzero(mask.sum(axis=0))[0], np.nonzero(mask.sum(axis=1))[0]
    if len(columns) == 0:
        return None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def mask2box_multi_level(mask, level, expansion_ratio):
    x1, y1, x2, y2 = mask2box(mask)
    x, y = int(abs(x2 - x1) * expansion_ratio) * level, int(abs(y2 - y1) * expansion_ratio) * level
    return max(0, x1 - x), max(0, y1 - y), min(mask.shape[1], x2 + x), min(mask.shape[0], y2 + y)


def run_sam(image_size, num_random_rounds, num_selected_points, point_coords, predictor_sam):
    best_score, best_mask = 0, np.zeros_like(image_size, dtype=bool)
    points = point_coords[:, ::-1].copy()
    for _ in range(num_random_rounds):
        np.random.shuffle(points)
        masks, scores, _ = predictor_sam.predict(
            point_coords=points[:num_selected_points],
            point_labels=np.ones(points[:num_selected_points].shape[0]),
            multimask_output=False,
        )
        if scores[0] > best_score:
            best_score, best_mask = scores[0], masks[0]
    return best_mask
