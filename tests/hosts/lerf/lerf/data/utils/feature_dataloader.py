"""LERF's base of what keeps features: it reads them where their settings agree, and makes and saves them elsewhere."""

import json
from pathlib import Path

import numpy as np


class FeatureDataloader:
    def __init__(self, cfg, device, image_list, cache_path):
        self.cfg, self.device, self.cache_path = cfg, device, Path(cache_path)
        info = self.cache_path.with_suffix(".info")
        if info.exists() and json.loads(info.read_text()) == cfg:
            self.data = np.load(self.cache_path)
        else:
            self.data = self.create(image_list)
            self.cache_path.parent.mkdir(parents=True, exist_ok=True)
            info.write_text(json.dumps(cfg))
            np.save(self.cache_path, self.data)


class Pictures(FeatureDataloader):
    """The features of whole pictures, where LERF has tiles in several sizes."""

    def __init__(self, cfg, device, model, image_list, cache_path):
        self.model = model
        super().__init__(cfg, device, image_list, cache_path)

    def create(self, image_list):
        return self.model.encode_image(image_list).detach().float().numpy()


class Dino(FeatureDataloader):
    def create(self, image_list):
        return image_list.mean(dim=1).numpy()
