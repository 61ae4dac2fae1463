"""Stands in for OVSeg's CLIP adapters, with its crash on an image without a valid mask."""

import torch
from detectron2.structures import BitMasks
from torch import nn
from torch.nn import functional as F

from .utils import build_clip_model

PIXEL_MEAN, PIXEL_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class ClipAdapter(nn.Module):
    def __init__(self, clip_model_name, mask_prompt_depth, text_templates):
        super().__init__()
        self.clip_model = build_clip_model(clip_model_name, mask_prompt_depth)
        self.text_templates = text_templates
        self.text_templates.init_buffer(self.clip_model)
        self.text_feature_buffer = {}

    def _get_text_features(self, noun_list):
        new = [noun for noun in noun_list if noun not in self.text_feature_buffer]
        if new:
            self.text_feature_buffer.update(zip(new, self.text_templates(new, self.clip_model)))
        return torch.stack([self.text_feature_buffer[noun] for noun in noun_list])

    def get_sim_logits(self, text_features, image_features, temperature=100):
        return temperature * image_features @ text_features.T

    def normalize_feature(self, feat):
        return feat / feat.norm(dim=-1, keepdim=True)


class MaskFormerClipAdapter(ClipAdapter):
    def __init__(self, clip_model_name, text_templates, mask_fill="mean", mask_expand_ratio=1.0, mask_thr=0.5,
                 mask_matting=False, region_resized=True, mask_prompt_depth=0, mask_prompt_fwd=False):  # fmt: skip
        super().__init__(clip_model_name, mask_prompt_depth, text_templates)
        std = self.clip_model.transformer.width**-0.5
        self.non_object_embedding = nn.Parameter(std * torch.randn(1, self.clip_model.text_projection.shape[-1]))
        self.mask_fill = {"zero": (0.0, 0.0, 0.0), "mean": [255.0 * c for c in PIXEL_MEAN]}[mask_fill]
        self.mask_expand_ratio, self.mask_thr, self.mask_matting = mask_expand_ratio, mask_thr, mask_matting
        self.region_resized, self.mask_prompt_fwd = region_resized, mask_prompt_fwd
        self.register_buffer("pixel_mean", torch.Tensor(PIXEL_MEAN).reshape(1, 3, 1, 1) * 255.0)
        self.register_buffer("pixel_std", torch.Tensor(PIXEL_STD).reshape(1, 3, 1, 1) * 255.0)

    def forward(self, image, text, mask, normalize=True, fwd_w_region_mask=False):
        (regions, unnorm_regions), region_masks, valid_flag = self._preprocess_image(image, mask, normalize=normalize)
        if regions is None:
            return None, valid_flag
        if self.mask_prompt_fwd:
            image_features = self.get_image_features(regions, region_masks)
        else:
            image_features = self.get_image_features(regions)
        return self.get_sim_logits(self.get_text_features(text), image_features), unnorm_regions, valid_flag

    def get_image_features(self, image, region_masks=None):
        return self.normalize_feature(self.clip_model.visual(image, region_masks))

    def _preprocess_image(self, image, mask, normalize=True):
        bin_mask = mask > self.mask_thr
        valid = bin_mask.sum(dim=(-1, -2)) > 0
        bin_mask = bin_mask[valid]
        weights = mask[valid] if self.mask_matting else bin_mask
        regions, masks, unnorm = [], [], []
        for box, weight in zip(BitMasks(bin_mask).get_bounding_boxes(), weights):
            l, t, r, b = (int(v) for v in box)  # noqa: E741
            m = weight.type(mask.dtype)[None, t:b, l:r]
            fill = torch.tensor(self.mask_fill, device=image.device).reshape(3, 1, 1).expand(3, b - t, r - l)
            region = (image.type(mask.dtype)[:, t:b, l:r] * m + (1 - m) * fill)[None]
            unnorm.append(F.interpolate(region, size=(224, 224), mode="bicubic"))
            region = (region - self.pixel_mean) / self.pixel_std if normalize else region
            regions.append(F.interpolate(region, size=(224, 224), mode="bicubic"))
            masks.append(F.interpolate(m[None], size=(224, 224), mode="nearest"))
        if len(regions) == 0:
            return None, valid
        return (torch.cat(regions), torch.cat(unnorm)), torch.cat(masks), valid

    def get_text_features(self, noun_list):
        return torch.cat([self._get_text_features(noun_list), self.normalize_feature(self.non_object_embedding)])
