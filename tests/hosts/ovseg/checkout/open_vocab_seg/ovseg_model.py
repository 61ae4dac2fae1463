"""Stands in for OVSeg's models: proposals come with the input, both branches classify them."""

import torch
from torch import nn
from torch.nn import functional as F

from .modeling.clip_adapter import MaskFormerClipAdapter


class OVSeg(nn.Module):
    def __init__(self, *, clip_adapter, clip_ensemble=True, clip_ensemble_weight=0.7):
        super().__init__()
        self.clip_adapter: MaskFormerClipAdapter = clip_adapter
        self.clip_ensemble, self.clip_ensemble_weight = clip_ensemble, clip_ensemble_weight
        self.sem_seg_head = nn.Linear(2, 2)  # upstream's makes the proposals

    def forward(self, batched_inputs):
        results = []
        for x in batched_inputs:
            self._add_others(x["class_names"])
            text_features = self.clip_adapter.get_text_features(x["class_names"])
            embedded = self.clip_adapter.normalize_feature(x["pred_logits"])
            mask_cls = self.clip_adapter.get_sim_logits(text_features, embedded)
            r, regions = self.infer(mask_cls, x["pred_masks"], x["image"], x["class_names"])
            results.append({"sem_seg": r})
        return results

    def _add_others(self, class_names):
        pass

    def infer(self, *args):
        return self.semantic_inference(*args)

    def semantic_inference(self, mask_cls, mask_pred, image, class_names):
        mask_cls, mask_pred, _, regions = self._ensemble(mask_cls, mask_pred, image, class_names)
        return torch.einsum("qc,qhw->chw", mask_cls, mask_pred), regions

    def _ensemble(self, mask_cls, mask_pred, image, class_names):
        mask_cls, mask_pred = F.softmax(mask_cls, dim=-1)[..., :-1], mask_pred.sigmoid()
        if not self.clip_ensemble:
            return mask_cls, mask_pred, None, None
        clip_cls, regions, valid_flag = self.clip_adapter(image, class_names, mask_pred, normalize=True)
        if clip_cls is None:
            clip_cls = torch.empty(0, mask_cls.shape[-1] + 1)
        clip_cls = F.softmax(clip_cls[:, :-1], dim=-1)
        if self.clip_ensemble_weight == 0:
            return clip_cls, mask_pred[valid_flag], valid_flag, regions
        mapped = mask_cls.new_ones(mask_cls.shape)
        mapped[valid_flag] = clip_cls
        weight = self.clip_ensemble_weight
        return torch.pow(mask_cls, 1 - weight) * torch.pow(mapped, weight), mask_pred, valid_flag, regions


class OVSegDEMO(OVSeg):
    def _add_others(self, class_names):
        if len(class_names) == 1:
            class_names.append("others")  # in the caller's list, as upstream

    def infer(self, *args):
        return self.demo_inference(*args)

    def demo_inference(self, mask_cls, mask_pred, image, class_names):
        mask_cls, mask_pred, valid_flag, regions = self._ensemble(mask_cls, mask_pred, image, class_names)
        bin_mask = mask_pred > self.clip_adapter.mask_thr
        if not self.clip_ensemble:
            raise UnboundLocalError("valid_flag")  # as upstream
        select_cls = mask_cls.new_zeros(sum(valid_flag), mask_cls.shape[-1])  # too small if one is invalid, as upstream
        select_mask = torch.argmax(mask_cls, dim=0)
        if len(class_names) == 2 and class_names[-1] == "others":
            select_mask = select_mask[:-1]
        for idx in select_mask:
            select_cls[idx] = mask_cls[idx]
        return torch.einsum("qc,qhw->chw", select_cls, bin_mask.float()), regions
