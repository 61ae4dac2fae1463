"""LERF's encoder and its pyramid of tiles, by its own classes: lerf_pyramid.py PICTURE OUTPUT."""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from lerf.data.utils.pyramid_embedding_dataloader import PyramidEmbeddingDataloader
from lerf.encoders.openclip_encoder import OpenCLIPNetworkConfig

picture, output = sys.argv[1:]
image = cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB)[::4, ::4].copy()
images = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
encoder = OpenCLIPNetworkConfig().setup()
encoder.set_positives(["a door", "a mug"])
shape = list(images.shape[2:4])
settings = {"tile_size_range": [0.3, 0.5], "tile_size_res": 2, "stride_scaler": 0.5, "image_shape": shape}
pyramid = PyramidEmbeddingDataloader(
    image_list=images,
    device=torch.device("cpu"),
    cfg={**settings, "model_name": encoder.name},
    cache_path=Path(f"outputs/kitchen/clip_{encoder.name}"),  # as LERF's data manager has it
    model=encoder,
)
levels = {f"level{level}": data.data.float().reshape(-1, 512).numpy() for level, data in pyramid.data_dict.items()}
np.savez(output, texts=encoder.pos_embeds.float(), **levels)
