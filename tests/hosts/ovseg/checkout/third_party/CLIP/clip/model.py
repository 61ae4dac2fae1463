"""Stands in for OVSeg's CLIP model: OpenAI's architecture and key names, and mask prompts in the visual tower."""

import math
from collections import OrderedDict

import torch
from torch import nn


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class ResidualAttentionBlock(nn.Module):
    def __init__(self, width, heads, attn_mask=None):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        layers = [("c_fc", nn.Linear(width, 4 * width)), ("gelu", QuickGELU()), ("c_proj", nn.Linear(4 * width, width))]
        self.mlp = nn.Sequential(OrderedDict(layers))
        self.attn_mask = attn_mask

    def forward(self, x):
        h = self.ln_1(x)
        if self.attn_mask is not None:
            self.attn_mask = self.attn_mask.to(dtype=x.dtype, device=x.device)
        x = x + self.attn(h, h, h, need_weights=False, attn_mask=self.attn_mask)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width, layers, heads, attn_mask=None):
        super().__init__()
        self.width = width
        self.resblocks = nn.Sequential(*[ResidualAttentionBlock(width, heads, attn_mask) for _ in range(layers)])

    def forward(self, x):
        return self.resblocks(x)


class VisionTransformer(nn.Module):
    def __init__(self, input_resolution, patch_size, mask_prompt_depth, width, layers, heads, output_dim):
        super().__init__()
        self.input_resolution, self.mask_prompt_depth = input_resolution, mask_prompt_depth
        self.grid_size = input_resolution // patch_size
        self.conv1 = nn.Conv2d(3, width, patch_size, patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(self.grid_size**2 + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, layers, heads)
        self.proj = nn.Parameter(torch.zeros(width, output_dim))
        self.mask_pool = nn.AvgPool2d(patch_size, stride=patch_size)
        self.mask_embedding = nn.Parameter(torch.zeros(mask_prompt_depth, self.grid_size**2, width))

    def forward(self, x, m=None):
        x = self.conv1(x).flatten(2).permute(0, 2, 1)
        if m is not None:
            # one mask: two dimensions, which the pooling refuses, as upstream
            m = torch.ceil(self.mask_pool(m.float().squeeze()).reshape(m.shape[0], -1, 1))
            x = x * m + self.mask_embedding[0][None] * (1 - m)
        x = torch.cat([self.class_embedding + x.new_zeros(len(x), 1, x.shape[-1]), x], dim=1)
        x = self.ln_pre(x + self.positional_embedding).permute(1, 0, 2)
        for i, block in enumerate(self.transformer.resblocks):
            x = block(x)
            if m is not None and i + 1 < self.mask_prompt_depth:
                keep = m.permute(1, 0, 2)
                x = torch.cat([x[:1], x[1:] * keep + self.mask_embedding[i + 1][:, None] * (1 - keep)])
        return self.ln_post(x.permute(1, 0, 2)[:, 0]) @ self.proj


class CLIP(nn.Module):
    def __init__(self, visual, embed_dim, context_length, vocab_size, width, layers):
        super().__init__()
        self.context_length = context_length
        self.visual = visual
        mask = torch.full((context_length, context_length), -math.inf).triu(1)
        self.transformer = Transformer(width, layers, width // 64, mask)
        self.token_embedding = nn.Embedding(vocab_size, width)
        self.positional_embedding = nn.Parameter(torch.zeros(context_length, width))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(width, embed_dim))
        self.logit_scale = nn.Parameter(torch.zeros([]))

    @property
    def dtype(self):
        return self.visual.conv1.weight.dtype

    def encode_text(self, text):
        x = (self.token_embedding(text) + self.positional_embedding).permute(1, 0, 2)
        x = self.ln_final(self.transformer(x).permute(1, 0, 2))
        return x[torch.arange(len(x)), text.argmax(dim=-1)] @ self.text_projection


def build_model(state, mask_prompt_depth=0):
    """Sizes from the tensors; matrices rounded through half precision, as upstream."""
    width, _, patch, _ = state["visual.conv1.weight"].shape
    grid = round((len(state["visual.positional_embedding"]) - 1) ** 0.5)
    text_width, embed_dim = state["text_projection"].shape
    depth = [len({key.split(".")[at] for key in state if key.startswith(start)})
             for start, at in (("visual.transformer.resblocks.", 3), ("transformer.resblocks.", 2))]  # fmt: skip
    visual = VisionTransformer(grid * patch, patch, mask_prompt_depth, width, depth[0], width // 64, embed_dim)
    length, vocabulary = len(state["positional_embedding"]), len(state["token_embedding.weight"])
    model = CLIP(visual, embed_dim, length, vocabulary, text_width, depth[1])
    rounded = ("conv1.weight", ".attn.", ".mlp.", "visual.proj", "text_projection")
    model.load_state_dict({k: v.half().float() if any(part in k for part in rounded) else v for k, v in state.items()},
                          strict=False)  # fmt: skip
    return model.eval()
