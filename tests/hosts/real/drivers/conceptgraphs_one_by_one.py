"""ConceptGraphs' other function, crop by crop: conceptgraphs_one_by_one.py PICTURE OUTPUT."""

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import open_clip
import torch
from conceptgraph.utils.model_utils import compute_clip_features
from segment_anything import shapes

picture, output = sys.argv[1:]
image = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB)
clip_model, _, clip_preprocess = open_clip.create_model_and_transforms("ViT-H-14", "laion2b_s32b_b79k")
clip_tokenizer = open_clip.get_tokenizer("ViT-H-14")
boxes = [[x, y, x + w, y + h] for x, y, w, h in (one["bbox"] for one in shapes(*image.shape[:2], count=3))]
detections = SimpleNamespace(xyxy=np.array(boxes, np.float32), class_id=np.arange(3))
with torch.no_grad():
    _, images, texts = compute_clip_features(
        image, detections, clip_model, clip_preprocess, clip_tokenizer, ["door", "sink", "mug"], "cuda"
    )
np.savez(output, images=images, texts=texts)
