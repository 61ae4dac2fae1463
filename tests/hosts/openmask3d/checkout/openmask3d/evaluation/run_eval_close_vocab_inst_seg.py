import argparse
import os

import clip
import numpy as np
import torch
from util import in_valid

LABELS = ["chair", "table", "door frame"]


class InstSegEvaluator:
    def __init__(self, dataset_type, clip_model_type, sentence_structure):
        self.clip_model, _ = clip.load(clip_model_type, "cpu")
        self.feature_size = self.get_feature_size(clip_model_type)
        self.text_query_embeddings = torch.zeros((len(LABELS), self.feature_size))
        for i, label in enumerate(LABELS):
            with torch.no_grad():
                embedding = self.clip_model.encode_text(clip.tokenize(sentence_structure.format(label)))
            self.text_query_embeddings[i, :] = (embedding / embedding.norm(dim=-1, keepdim=True)).float().cpu()

    def get_feature_size(self, clip_model_type):
        if clip_model_type == "ViT-L/14@336px":
            return 768
        raise NotImplementedError


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--mask_pred_dir")
    parser.add_argument("--mask_features_dir")
    parser.add_argument("--output")
    parser.add_argument("--sentence_structure", default="a {} in a scene")
    opt = parser.parse_args()
    evaluator = InstSegEvaluator("scannet200", "ViT-L/14@336px", opt.sentence_structure)
    masks = torch.load(os.path.join(opt.mask_pred_dir, "room_masks.pt"))
    features = np.load(os.path.join(opt.mask_features_dir, "room_openmask3d_features.npy"))
    assert in_valid([1, 2], [2]).tolist() == [False, True]
    assert len(features) == masks.shape[1]
    texts = evaluator.text_query_embeddings.numpy()
    np.savez(opt.output, texts=texts, scores=features @ texts.T, sentence=opt.sentence_structure)
