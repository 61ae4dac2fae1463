"""Learnt weights on a small model of every family, against open_clip's own forward."""

from __future__ import annotations

import re

import open_clip
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from opendas_plugin.errors import AdapterError, BackboneError, DataError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig, WeightConfig
from tests.model.families import FAMILIES, token_ids
from tests.model.models import close

WEIGHTS = {
    "opendas_plus": WeightConfig("norm_bias+low_rank_mlp_out", "norm", rank=1),
    "ln_bias": WeightConfig("norm_bias", "norm_bias"),
    "lora": WeightConfig("low_rank", "low_rank"),
    "wise_ft": WeightConfig("all", "all", mix=0.5),
    "low_rank_all": WeightConfig("low_rank_all", "low_rank_all"),
}


@pytest.fixture(scope="session", params=FAMILIES)
def family(request) -> str:
    if request.param == "roberta":
        pytest.importorskip("transformers")
    return request.param


def make(family: str, names: dict[str, str]) -> OpenDASCLIP:
    """A small model of the family with an adapter that is away from its start."""
    return moved(OpenDASCLIP.from_backbone(names[family], weights=WEIGHTS["opendas_plus"]))


def moved(clip: OpenDASCLIP) -> OpenDASCLIP:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in clip.prompt_parameters():
            tensor.add_(0.02 * torch.randn(tensor.shape, generator=generator))
    return clip


def inputs(clip: OpenDASCLIP, family: str) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 3, *clip.image_shape, generator=torch.Generator().manual_seed(2)), token_ids(family)


def features(model, images: torch.Tensor, ids: torch.Tensor) -> list[torch.Tensor]:
    """Unit features; those of random EVAs are so short that nothing else says anything."""
    found = model.encode_image(images, normalize=False), model.encode_text(ids, normalize=False)
    return [normalize(one, dim=-1) for one in found]


def test_without_an_adapter_or_with_an_identity_features_are_open_clips(family, family_names):
    clip = OpenDASCLIP.from_backbone(family_names[family])
    images, ids = inputs(clip, family)
    untouched, learnt = (OpenDASCLIP(clip.model, clip.backbone, weights=WEIGHTS["opendas_plus"]) for _ in range(2))
    moved(learnt)
    with torch.no_grad():
        expected = features(clip.model, images, ids)
        assert expected[0].shape[1] == clip.feature_width
        for one in (clip, untouched):
            assert all(map(close, features(one, images, ids), expected))
        assert not any(map(close, features(learnt, images, ids), expected))
        with learnt.prompts_disabled():
            assert all(map(close, features(learnt, images, ids), expected))


def test_a_model_that_is_read_from_a_file_has_nothing_of_the_memory_it_was_made_in(family, family_names, tmp_path):
    """Its tensors are not drawn at random first; here memory that nobody has written holds NaN."""
    wanted = OpenDASCLIP.from_backbone(family_names[family], seed=3).model
    torch.save(wanted.state_dict(), tmp_path / "weights.pt")
    torch.use_deterministic_algorithms(True)  # which fills what torch.empty gives
    try:
        found = OpenDASCLIP.from_backbone(family_names[family], tmp_path / "weights.pt").model
    finally:
        torch.use_deterministic_algorithms(False)
    for theirs, ours in ((wanted.state_dict(), found.state_dict()), (wanted.named_buffers(), found.named_buffers())):
        theirs, ours = dict(theirs), dict(ours)
        assert theirs.keys() == ours.keys()
        assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


def test_learnt_weights_are_those_of_open_clips_model_with_them_in_their_place(family, family_names):
    plain, other = (OpenDASCLIP.from_backbone(family_names[family]) for _ in range(2))
    images, ids = inputs(plain, family)
    frozen = plain.model.state_dict()
    for kind, weights in WEIGHTS.items():
        clip = moved(OpenDASCLIP(plain.model, plain.backbone, weights=weights))
        merged = clip.merged_weights()
        assert merged.keys() <= dict(other.model.named_parameters()).keys()
        other.model.load_state_dict({key: merged.get(key, value) for key, value in frozen.items()})
        with torch.no_grad():
            assert all(map(close, features(clip, images, ids), features(other.model, images, ids))), kind


def test_all_that_is_learnt_gets_a_gradient_and_the_frozen_model_stays(family, family_names):
    clip = make(family, family_names).train()
    frozen = {key: value.clone() for key, value in clip.model.state_dict().items()}
    images, ids = inputs(clip, family)
    generator = torch.Generator().manual_seed(4)
    found = features(clip, images, ids)
    sum((one * torch.randn(one.shape, generator=generator)).sum() for one in found).backward()
    without = [p for p in clip.prompt_parameters() if p.grad is None or not p.grad.any()]
    assert len(without) <= 2 * (family == "relpos")  # a constant that is added to all of a softmax changes nothing
    assert all(p.grad is None for p in clip.model.parameters())
    assert all(torch.equal(value, frozen[key]) for key, value in clip.model.state_dict().items())


def test_norms_are_layer_norms_and_batch_norms_where_there_is_none(family, family_names):
    clip = OpenDASCLIP.from_backbone(family_names[family], device="meta")
    kinds = nn.LayerNorm if family not in ("resnet", "mobileclip") else nn.modules.batchnorm._BatchNorm
    modules = [name for name, module in clip.model.visual.named_modules() if isinstance(module, kinds)]
    expected = [f"visual.{name}.{own}" for name in modules for own in ("weight", "bias")]
    assert sorted(clip.towers.visual.norm_names()) == sorted(expected) != []


@pytest.mark.parametrize(("family", "visual", "text"), [
    ("openai", ["attn.in_proj_weight"], ["attn.in_proj_weight"]),
    ("siglip", ["attn.qkv.weight", "attn_pool.kv.weight", "attn_pool.q.weight"], ["attn.in_proj_weight"]),
    ("eva02", ["attn.k_proj.weight", "attn.q_proj.weight", "attn.v_proj.weight"], ["attn.in_proj_weight"]),
    ("convnext", [], ["attn.in_proj_weight"]),
    ("mobileclip", ["token_mixer.qkv.weight"], ["attn.in_proj_weight"]),
    ("resnet", ["attnpool.k_proj.weight", "attnpool.q_proj.weight", "attnpool.v_proj.weight"], ["attn.in_proj_weight"]),
])  # fmt: skip
def test_low_rank_updates_are_of_query_key_and_value_wherever_they_are(family_names, family, visual, text):
    clip = OpenDASCLIP.from_backbone(family_names[family], device="meta")
    for tower, expected in ((clip.towers.visual, visual), (clip.towers.text, text)):
        ends = {re.sub(r".*\d+\.|visual\.|trunk\.", "", name) for name in tower.matrices("query_key_value")}
        assert sorted(ends) == expected


def test_convolutions_of_one_pixel_have_low_rank_updates(family_names):
    clip = make("mobileclip", family_names)
    found = clip.towers.visual.matrices("mlp_out")
    assert {clip.model.get_parameter(name).ndim for name in found} == {4}
    frozen = dict(clip.model.named_parameters())
    merged = clip.merged_weights()
    ranks = {torch.linalg.matrix_rank((merged[name] - frozen[name]).flatten(1), rtol=1e-3).item() for name in found}
    assert ranks == {1}


def test_adapters_are_saved_and_loaded_strictly(family, family_names, tmp_path):
    clip = make(family, family_names)
    images, ids = inputs(clip, family)
    clip.save_pretrained(tmp_path / "adapter", method="opendas_plus")
    loaded = OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        assert all(map(torch.equal, features(loaded, images, ids), features(clip, images, ids)))
    assert loaded.config.backbone_facts == clip.config.backbone_facts
    other = OpenDASCLIP.from_backbone(family_names[family], seed=1)
    with pytest.raises(AdapterError, match=r"was learnt on .* with weights"):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter", backbone=other)


def test_weights_in_a_file_are_those_of_the_model(family, family_names, tmp_path):
    model = OpenDASCLIP.from_backbone(family_names[family], seed=5).model
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    read = OpenDASCLIP.from_backbone(family_names[family], tmp_path / "weights.pt").model
    assert all(torch.equal(value, read.state_dict()[key]) for key, value in model.state_dict().items())


def test_weights_without_a_logit_bias_have_none(family_names, tmp_path):
    """As open_clip itself loads weights that were not trained with a sigmoid."""
    state = OpenDASCLIP.from_backbone(family_names["siglip"]).model.state_dict()
    del state["logit_bias"]
    torch.save(state, tmp_path / "weights.pt")
    clip = OpenDASCLIP.from_backbone(family_names["siglip"], tmp_path / "weights.pt")
    assert clip.model.logit_bias.item() == 0


@pytest.mark.parametrize("family", ["siglip", "clipa"])
def test_texts_that_are_not_padded_are_refused_or_read_as_open_clip_does(family_names, family):
    clip = OpenDASCLIP.from_backbone(family_names[family])
    ids = token_ids(family)[:, :10]
    if family == "clipa":
        with pytest.raises(DataError, match=r"of the whole context, \(N, 32\), got \(3, 10\)"):
            clip.encode_text(ids)
    else:
        assert close(clip.encode_text(ids), clip.model.encode_text(ids))


@pytest.mark.parametrize("family", ["convnext", "resnet", "swin", "mobileclip", "relpos", "coca"])
def test_tokens_are_refused_with_the_reason_where_they_have_no_reading(family_names, family):
    with pytest.raises(BackboneError, match=r"cannot carry learnt tokens: it lacks .*; choose a method"):
        OpenDASCLIP.from_backbone(family_names[family], prompts=PromptConfig())


def test_a_text_tower_of_the_hub_that_is_not_here_is_named():
    with pytest.raises(BackboneError, match="roberta-ViT-B-32 cannot be built: its text tower is roberta-base of the"):
        OpenDASCLIP.from_backbone("roberta-ViT-B-32")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_keeps_what_is_learnt_in_float32(family, family_names, dtype):
    clip = make(family, family_names)
    images, ids = inputs(clip, family)
    with torch.no_grad():
        expected = features(clip, images, ids)
        with torch.autocast("cpu", dtype=dtype):
            mixed = features(clip, images, ids)
        clip.to(dtype)
        found = features(clip, images, ids)
    assert all(p.dtype == torch.float32 for p in clip.prompt_parameters())
    assert clip.dtype == dtype
    tolerance = 0.1 if dtype == torch.bfloat16 else 0.02
    for one in (found, mixed):
        assert all(close(a.float(), b, tolerance) for a, b in zip(one, expected, strict=True))


def test_the_models_of_open_clip_are_made_as_open_clip_makes_them(family, family_names):
    ours = OpenDASCLIP.from_backbone(family_names[family], device="meta").model
    theirs = open_clip.create_model(family_names[family], device="meta", pretrained_hf=False)
    assert type(ours) is type(theirs)
    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == shapes
