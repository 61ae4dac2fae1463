"""The tower protocol: a tower of another make carries every form of adapter; what a tower cannot have is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.config import PromptConfig, WeightConfig
from opendas_plugin.model.passes import through_layers
from opendas_plugin.model.prompt_starts import new_text_prompts
from opendas_plugin.model.towers.plain_text import PlainText
from tests.model.models import TEXTS, build_tiny, close, pixels, wrap


class SlowVisual:
    """A visual tower with torch's attention over whole sequences, the learnt tokens in them."""

    depth, width, feature_width, no_tokens, no_readers = 3, 64, 32, None, None
    image_shape, dtype, device = (32, 32), torch.float32, torch.device("cpu")

    def __init__(self, model):
        self.module, self.n = model, 0

    def over(self, module):
        return SlowVisual(module)

    def encode(self, inputs):
        return through_layers(self, inputs)

    def embed(self, inputs):
        visual, self.n = self.module.visual, 0
        x = visual.conv1(inputs).flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1) + visual.positional_embedding
        return visual.ln_pre(x)

    def run(self, layer, x, inputs, tokens=None, stays=False):
        block = self.module.visual.transformer.resblocks[layer]
        if tokens is not None:
            tokens = self.module.visual.ln_pre(tokens) if layer == 0 else tokens
            x = torch.cat([x[:, : x.shape[1] - self.n], tokens.expand(len(x), -1, -1)], dim=1)
            self.n = len(tokens)
        x = block(x)
        return x[:, 0] if layer == self.depth - 1 else x

    def run_readable(self, layer, x, inputs):
        return self.run(layer, x, inputs) if layer < self.depth - 1 else x, (x, x)  # no keys: the state itself

    def read_out(self, layer, tokens, readable, inputs):
        block, h = self.module.visual.transformer.resblocks[layer], readable[0]
        h = block.ln_1(h)
        tokens = tokens + block.attn(block.ln_1(tokens), h, h, need_weights=False)[0]
        return tokens + block.mlp(block.ln_2(tokens))

    def embed_read_only(self, tokens):
        return self.module.visual.ln_pre(tokens)

    def feature(self, x):
        return self.module.visual.ln_post(x) @ self.module.visual.proj


@pytest.mark.parametrize(
    ("prompts", "weights"),
    [
        (None, None),
        (PromptConfig(), None),
        (PromptConfig(visual_depth=2), WeightConfig(visual="norm_bias+low_rank_mlp_out")),
        (PromptConfig(visual_tokens=2, text_tokens=2, form="coupled"), None),
        (PromptConfig(visual_tokens=3, text_tokens=3, form="read_only"), None),
        (PromptConfig(0, 0), WeightConfig(visual="all", mix=0.5)),
    ],
    ids=str,
)
def test_a_tower_of_another_make_carries_every_form_of_adapter(prompts, weights):
    model = build_tiny()
    clip = wrap(model, prompts, weights=weights)
    images = pixels(model)
    expected = clip.encode_image(images)
    clip.towers = replace(clip.towers, visual=SlowVisual(model))
    found = clip.encode_image(images)
    assert close(found, expected)
    learnt = [tensor for tensor in clip.prompt_parameters() if tensor.requires_grad]
    if learnt:
        pairs = (torch.autograd.grad(f.square().sum(), learnt, allow_unused=True) for f in (expected, found))
        for a, b in zip(*pairs, strict=True):
            assert (a is None and b is None) or close(a, b, 1e-4)


def test_a_start_at_zero_shot_is_refused_where_a_word_reads_later_ones():
    class BothWays(PlainText):
        is_causal = False

    model = build_tiny()
    clip, tower = wrap(model), BothWays(model)
    arguments = (clip.tokenize, torch.Generator())
    with pytest.raises(ConfigError, match="'zero_shot' needs a causal text tower"):
        new_text_prompts(tower, PromptConfig(deep_text_init="zero_shot"), *arguments)
    assert new_text_prompts(tower, PromptConfig(), *arguments).tokens.shape == (3, 4, 64)


def test_towers_say_what_open_clips_model_has():
    model = build_tiny()
    clip = wrap(model)
    visual, text = clip.towers.visual, clip.towers.text
    assert (visual.depth, visual.width, visual.feature_width) == (3, 64, 32)
    assert (text.depth, text.width, text.feature_width, text.room, text.vocabulary_size) == (3, 64, 32, 77, 49408)
    assert text.is_causal
    both = visual.weights() | text.weights()
    assert set(both) == {name for name, _ in model.named_parameters()} - {"logit_scale"}
    assert not set(visual.weights()) & set(text.weights())
    assert torch.equal(text.ends(clip.tokenize(TEXTS)), clip.tokenize(TEXTS).argmax(dim=-1))
