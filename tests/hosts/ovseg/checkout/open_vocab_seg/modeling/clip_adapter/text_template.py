import clip
import torch
from torch import nn


class PromptExtractor(nn.Module):
    def init_buffer(self, clip_model):
        pass


class PredefinedPromptExtractor(PromptExtractor):
    def __init__(self, templates):
        super().__init__()
        self.templates = templates

    def forward(self, noun_list, clip_model):
        bucket = []
        for template in self.templates:
            tokens = torch.cat([clip.tokenize(template.format(noun)) for noun in noun_list])
            features = clip_model.encode_text(tokens.to(clip_model.text_projection.data.device))
            features /= features.norm(dim=-1, keepdim=True)  # in place, as upstream
            bucket.append(features)
        mean = torch.stack(bucket).mean(dim=0)
        return mean / mean.norm(dim=-1, keepdim=True)
