from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

import opendas_plugin
from opendas_plugin.errors import DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from tests.model.models import TEXTS, build_tiny, close, pixels, wrap


@pytest.mark.parametrize(
    ("name", "prompts", "count"),
    [
        ("ViT-L-14", PromptConfig(), 233_472),
        ("ViT-B-16", PromptConfig(), 12 * 8 * 768 + 12 * 4 * 512),
        ("ViT-B-16", PromptConfig(visual_depth=3, text_depth=1), 3 * 8 * 768 + 4 * 512),
        ("ViT-B-16", PromptConfig(visual_tokens=0, text_tokens=0), 0),
        ("ViT-B-16", None, 0),
    ],
)
def test_the_number_of_learnt_values(name, prompts, count):
    clip = OpenDASCLIP.from_backbone(name, prompts=prompts, device="meta")
    assert sum(tensor.numel() for tensor in clip.prompt_parameters()) == count
    assert sum(p.numel() for p in clip.parameters() if p.requires_grad) == count


@pytest.mark.parametrize("changes", [{}, {"init_logit_bias": -10.0}, {"output_dict": True}], ids=str)
def test_forward_returns_what_open_clips_does(changes):
    model = build_tiny(**changes)
    clip, images = wrap(model), pixels(model)
    tokens = clip.tokenize(TEXTS)
    with torch.no_grad():
        for arguments in ((images, tokens), (images, None), (None, tokens)):
            expected, outputs = model(*arguments), clip(*arguments)
            if isinstance(expected, dict):
                assert list(outputs) == list(expected)
                expected, outputs = tuple(expected.values()), tuple(outputs.values())
            assert len(outputs) == len(expected)
            for output, value in zip(outputs, expected, strict=True):
                assert output is value is None or close(output, value)


def test_it_has_what_hosts_read_from_an_open_clip_model():
    model = build_tiny()
    clip = wrap(model, PromptConfig())
    assert clip.dtype == torch.float32
    assert clip.context_length == 77
    assert clip.transformer.width == 64
    assert clip.text_projection.shape == (64, 32)
    assert clip.text_projection.data.device.type == "cpu"
    assert clip.token_embedding is model.token_embedding
    assert clip.logit_scale is model.logit_scale
    assert clip.image_size == clip.visual.input_resolution == 32
    assert clip.visual.patch_size == (16, 16)
    images = pixels(model)
    assert close(clip.visual(images), clip.encode_image(images))
    linear = wrap(build_tiny(text_cfg={"proj_bias": True}, custom_text=True))
    assert linear.text_projection.shape == (64, 32)


def test_its_state_holds_every_tensor_once_and_the_learnt_ones_apart():
    clip = wrap(build_tiny(), PromptConfig())
    storages = [tensor.data_ptr() for tensor in clip.state_dict().values()]
    assert len(storages) == len(set(storages))
    assert list(clip.learnt_state()) == ["visual_prompts.tokens", "text_prompts.tokens"]


def test_preprocess_and_tokenizer_are_open_clips():
    _, _, reference = open_clip.create_model_and_transforms("ViT-B-32", load_weights=False)
    clip = OpenDASCLIP.from_backbone("ViT-B-32")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8))
    assert torch.equal(clip.preprocess(image), reference(image))
    assert torch.equal(clip.tokenizer(TEXTS), open_clip.tokenize(TEXTS))
    assert torch.equal(clip.tokenize(TEXTS), open_clip.tokenize(TEXTS))
    assert torch.equal(clip.tokenize(TEXTS[0]), open_clip.tokenize(TEXTS[0]))


def test_tokens_are_switched_off_tower_by_tower_and_come_back_after_an_error():
    clip = wrap(build_tiny(), PromptConfig())
    images, tokens = pixels(clip.model), clip.tokenize(TEXTS)

    def active() -> tuple[bool, bool]:
        with torch.no_grad():
            return (
                not close(clip.encode_image(images), clip.model.encode_image(images)),
                not close(clip.encode_text(tokens), clip.model.encode_text(tokens)),
            )

    assert active() == (True, True)
    with clip.prompts_disabled(text=False):
        assert active() == (False, True)
        with clip.prompts_disabled(visual=False):
            assert active() == (False, False)
        assert active() == (False, True)
    with pytest.raises(KeyError), clip.prompts_disabled():
        assert active() == (False, False)
        raise KeyError
    assert active() == (True, True)


def test_a_text_longer_than_the_context_is_named():
    clip = wrap(build_tiny())
    longest = "red " * 74 + "door"
    assert torch.equal(clip.tokenize(longest), open_clip.tokenize(longest))
    with pytest.raises(DataError, match=r"'red red .*\.\.\.' does not fit the context of 77 tokens"):
        clip.tokenize(["door", longest + "s and walls"])


@pytest.mark.parametrize("shape", [(2, 3, 48, 48), (3, 32, 32), (2, 1, 32, 32)])
def test_pixels_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match=r"expected pixels of shape \(B, 3, 32, 32\)"):
        wrap(build_tiny()).encode_image(torch.zeros(shape))


@pytest.mark.parametrize("tokens", [torch.zeros(77).long(), torch.zeros(1, 78).long(), torch.zeros(1, 77)])
def test_token_ids_of_another_shape_are_refused(tokens):
    with pytest.raises(DataError, match="expected token ids"):
        wrap(build_tiny()).encode_text(tokens)


def test_the_package_offers_about_ten_names_and_all_of_them_resolve():
    names = [name for name in opendas_plugin.__all__ if not name.startswith("__")]
    assert len(names) <= 12
    assert all(getattr(opendas_plugin, name) is not None for name in names)
