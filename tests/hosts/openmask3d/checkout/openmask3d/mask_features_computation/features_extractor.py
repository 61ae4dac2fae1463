import os
from types import SimpleNamespace

import clip
import numpy as np
import torch
from openmask3d.mask_features_computation.utils import initialize_sam_model, mask2box_multi_level, run_sam

from tests.integrations.openmask3d.upstream import visible_pixels


class FeaturesExtractor:
    def __init__(
        self, camera, clip_model, images, masks, pointcloud, sam_model_type, sam_checkpoint, vis_threshold, device
    ):
        self.images, self.masks, self.device = images, masks, device
        views = SimpleNamespace(
            poses=[np.loadtxt(os.path.join(camera.poses_path, f"{i}.txt")) for i in images.indices],
            depth=[os.path.join(camera.depths_path, f"{i}.png") for i in images.indices],
            depth_scale=camera.depth_scale,
            intrinsic=camera.intrinsic,
            intrinsic_size=tuple(camera.intrinsic_original_resolution),
            size=images.images[0].size[::-1],
        )
        self.visible = visible_pixels(views, pointcloud.points, masks.masks, vis_threshold)
        self.predictor_sam = initialize_sam_model(device, sam_model_type, sam_checkpoint)
        self.clip_model, self.clip_preprocess = clip.load(clip_model, device)

    def extract_features(
        self,
        topk,
        multi_level_expansion_ratio,
        num_levels,
        num_random_rounds,
        num_selected_points,
        save_crops,
        out_folder,
        optimize_gpu_usage=False,
    ):
        best = np.argsort(-self.visible.sum(axis=2).sum(axis=2), axis=0)[:topk, :].T
        mask_clip = np.zeros((self.masks.num_masks, 48))  # the width is written in here
        for mask in range(self.masks.num_masks):
            crops = []
            for view in best[mask]:
                point_coords = np.transpose(np.where(self.visible[view][mask]))
                if not len(point_coords):
                    continue
                image = np.asarray(self.images.images[view])
                self.predictor_sam.set_image(image)
                best_mask = run_sam(
                    image_size=image,
                    num_random_rounds=num_random_rounds,
                    num_selected_points=num_selected_points,
                    point_coords=point_coords,
                    predictor_sam=self.predictor_sam,
                )
                for level in range(num_levels):
                    box = mask2box_multi_level(best_mask, level, multi_level_expansion_ratio)
                    crops.append(self.clip_preprocess(self.images.images[view].crop(box)))
            if crops:
                with torch.no_grad():
                    unit = self.clip_model.encode_image(torch.tensor(np.stack(crops)).to(self.device)).float()
                    unit /= unit.norm(dim=-1, keepdim=True)
                mask_clip[mask] = unit.mean(axis=0).cpu().numpy()
        return mask_clip
