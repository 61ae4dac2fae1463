"""What LangSplat's preprocess.py asks of its CLIP: half precision, texts at once, batches of black-padded tiles."""

import sys
from dataclasses import dataclass

import numpy as np
import open_clip
import torch
import torchvision


@dataclass
class OpenCLIPNetworkConfig:
    clip_model_type: str = "ViT-B-16"
    clip_model_pretrained: str = "laion2b_s34b_b88k"
    negatives: tuple = ("object", "things", "stuff", "texture")
    positives: tuple = ("",)


class OpenCLIPNetwork(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
        resize = torchvision.transforms.Resize((32, 32))
        self.process = torchvision.transforms.Compose([resize, torchvision.transforms.Normalize(mean=mean, std=std)])
        model, _, _ = open_clip.create_model_and_transforms(
            config.clip_model_type, pretrained=config.clip_model_pretrained, precision="fp16"
        )
        model.eval()
        self.tokenizer = open_clip.get_tokenizer(config.clip_model_type)
        self.model = model.to("cpu")
        with torch.no_grad():
            self.pos_embeds = model.encode_text(torch.cat([self.tokenizer(phrase) for phrase in config.positives]))
            self.neg_embeds = model.encode_text(torch.cat([self.tokenizer(phrase) for phrase in config.negatives]))

    def encode_image(self, tiles):
        return self.model.encode_image(self.process(tiles).half())


if __name__ == "__main__":
    model = OpenCLIPNetwork(OpenCLIPNetworkConfig)
    tiles = torch.rand(4, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = model.encode_image(tiles)
    np.savez(sys.argv[1], images=features.float(), texts=model.neg_embeds.float())
