"""What ConceptGraphs' streamlined_detections.py asks of its CLIP: its transform of PIL crops, texts of names."""

import sys

import numpy as np
import open_clip
import torch
from PIL import Image

clip_model, _, clip_preprocess = open_clip.create_model_and_transforms("ViT-H-14", "laion2b_s32b_b79k")
clip_model = clip_model.to("cpu")
clip_tokenizer = open_clip.get_tokenizer("ViT-H-14")
picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
crops = [picture.crop((x, 10, x + 30, 50)) for x in (0, 20, 40)]
with torch.no_grad():
    images = clip_model.encode_image(torch.cat([clip_preprocess(crop).unsqueeze(0) for crop in crops]))
    images /= images.norm(dim=-1, keepdim=True)
    texts = clip_model.encode_text(clip_tokenizer(["door", "mug", "sink"]))
    texts /= texts.norm(dim=-1, keepdim=True)
np.savez(sys.argv[1], images=images.numpy(), texts=texts.numpy())
