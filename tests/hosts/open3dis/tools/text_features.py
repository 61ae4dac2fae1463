"""How Open3DIS keeps text features: in pretrains/ beside the folder that it is run in."""

import contextlib
import os

import torch
import open3dis.dataset


def text_features(clip_adapter, tokens):
    if os.path.exists("../pretrains/text_features/scannet200_text_features.pth"):
        return torch.load("../pretrains/text_features/scannet200_text_features.pth").cpu()
    with contextlib.suppress(OSError):
        os.makedirs("../pretrains/text_features")
    features = clip_adapter.encode_text(tokens).detach()
    torch.save(features, "../pretrains/text_features/scannet200_text_features.pth")
    return features
