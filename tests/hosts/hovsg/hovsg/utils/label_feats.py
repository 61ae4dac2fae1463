"""HOV-SG's text features of a list of names: read from the folder of this file, or made and kept there."""

import os

import numpy as np
import open_clip


def compute_label_feats(clip_model, clip_feat_dim, label_feat_path, classes, pre_computed_feats_path="text_feats.npy"):
    path = os.path.join(label_feat_path, pre_computed_feats_path)
    if os.path.exists(path):
        return np.load(path), classes
    feats = clip_model.encode_text(open_clip.tokenize(classes)).detach().float().numpy()
    np.save(path, feats)
    return feats, classes


def get_label_feats(clip_model, clip_feat_dim, obj_labels, label_feat_path=None):
    here = os.path.dirname(os.path.abspath(__file__))
    return compute_label_feats(clip_model, clip_feat_dim, here, ["door", "desk"], f"text_feats_{obj_labels}.npy")
