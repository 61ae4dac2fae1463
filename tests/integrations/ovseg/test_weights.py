"""Adapters of learnt weights in OVSeg's model, against opendas_plugin's CLIP and the merged model put in by hand."""

from __future__ import annotations

import copy
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from integrations.ovseg import OVSegError, patch
from integrations.ovseg.weights import tower_names
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.adapter import WEIGHTS_FILE
from opendas_plugin.model.config import WeightConfig
from tests.integrations.ovseg.conftest import NAMES, WEIGHTS, adapted, build, clip_state, make_inputs, save, segment
from tests.integrations.ovseg.test_patch import MASKS, REGIONS

PREFIX = "clip_adapter.clip_model."


@pytest.fixture(scope="module", params=WEIGHTS)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def folder(method, clip_file, tmp_path_factory):
    return save(tmp_path_factory.mktemp("weights") / method, clip_file, method)


def by_hand(model, weights):
    """A copy of an unpatched model whose CLIP holds these weights, and its own mask tokens."""
    merged = copy.deepcopy(model)
    state = merged.state_dict()
    missing = {PREFIX + name for name in weights} - state.keys()
    assert weights and not missing
    merged.clip_adapter.text_feature_buffer.clear()
    merged.load_state_dict({**state, **{PREFIX + name: value for name, value in weights.items()}})
    return merged


def test_the_order_of_stored_weights_is_that_of_open_clip(model, learnt):
    clip_model = model.clip_adapter.clip_model
    assert tower_names(clip_model, "visual") == list(learnt.towers.visual.weights())
    assert tower_names(clip_model, "text") == list(learnt.towers.text.weights())


@torch.no_grad()
def test_towers_are_those_of_opendas_plugin(model, folder, host):
    clip = OpenDASCLIP.from_pretrained(folder)
    ids = host.clip.tokenize([f"a photo of a {name}." for name in NAMES] + ["There is a desk in the scene"])
    with patch(model, folder):
        ours = model.clip_adapter.clip_model
        torch.testing.assert_close(ours.visual(REGIONS, None), clip.encode_image(REGIONS), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.encode_text(ids), clip.encode_text(ids), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_result_is_that_of_the_merged_model_put_in_by_hand_with_the_hosts_mask_tokens(model, folder):
    inputs, before = make_inputs(), segment(model, make_inputs())
    merged = by_hand(model, OpenDASCLIP.from_pretrained(folder).merged_weights())
    with patch(model, folder) as handle:
        result = segment(model, inputs)
        masked = model.clip_adapter.clip_model.visual(REGIONS, MASKS)
        for name, tensor in merged.clip_adapter.clip_model.state_dict().items():
            assert torch.equal(handle.watched.adapted.state_dict()[name], tensor), name
    torch.testing.assert_close(result, segment(merged, inputs), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(masked, merged.clip_adapter.clip_model.visual(REGIONS, MASKS), atol=1e-5, rtol=1e-5)
    assert (result - before).abs().max() > 1e-3
    assert torch.equal(segment(model, inputs), before)


@pytest.fixture(scope="module")
def plus(clip_file, tmp_path_factory):
    return save(tmp_path_factory.mktemp("weights") / "plus", clip_file, "opendas_plus")


def test_what_is_loaded_later_is_merged_into_and_stays_what_it_is(host, model, plus, other_clip_file):
    folder, loaded = plus, build(host, other_clip_file)
    checkpoint = copy.deepcopy(loaded.state_dict())
    clip = OpenDASCLIP.from_backbone(str(other_clip_file), weights=WEIGHTS["opendas_plus"])
    clip.load_state_dict(load_file(folder / WEIGHTS_FILE), strict=False)
    expected = segment(by_hand(loaded, clip.merged_weights()), make_inputs())
    with patch(model, folder):
        stale = segment(model, make_inputs())
        result = model.load_state_dict(checkpoint, strict=True)
        assert not result.missing_keys and not result.unexpected_keys
        torch.testing.assert_close(segment(model, make_inputs()), expected, atol=1e-5, rtol=1e-4)
        state = model.state_dict()
        assert list(state) == list(checkpoint) and all(torch.equal(state[key], checkpoint[key]) for key in state)
    assert not torch.allclose(stale, expected, atol=1e-3)


def test_base_clip_merges_into_the_clip_that_was_there(host, model, plus, other_clip_file):
    with patch(model, plus):
        expected = segment(model, make_inputs())
    checkpoint = build(host, other_clip_file).state_dict()
    with patch(model, plus, base="clip"):
        model.load_state_dict(checkpoint)
        torch.testing.assert_close(segment(model, make_inputs()), expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_tokens_beside_weights_and_shares_of_both(model, clip_file, host, tmp_path):
    clip = adapted(clip_file, WeightConfig(visual="norm+low_rank_all", text="norm"), visual_tokens=3, text_tokens=2)
    clip.interpolate(visual=0.4, text=0.3)
    clip.save_pretrained(tmp_path / "adapter")
    ids = host.clip.tokenize(["a photo of a desk.", "desk", "a very long red sofa"])
    before, frozen = segment(model, make_inputs()), model.clip_adapter.clip_model.visual(REGIONS, MASKS)
    with patch(model, tmp_path / "adapter", chunk=2):
        ours = model.clip_adapter.clip_model
        torch.testing.assert_close(ours.visual(REGIONS, None), clip.encode_image(REGIONS), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.encode_text(ids), clip.encode_text(ids), atol=1e-5, rtol=1e-5)
        assert (ours.visual(REGIONS, MASKS) - frozen).abs().max() > 0.01
    assert torch.equal(segment(model, make_inputs()), before)


def test_weights_of_the_text_tower_can_spare_the_maskformer_branch(model, clip_file, tmp_path):
    save(tmp_path / "adapter", clip_file, "wise_ft_text")
    stock = model.clip_adapter.get_text_features(NAMES)
    with patch(model, tmp_path / "adapter"):
        assert (model.clip_adapter.get_text_features(NAMES) - stock).abs().max() > 0.01
    with patch(model, tmp_path / "adapter", text="clip"):
        torch.testing.assert_close(model.clip_adapter.get_text_features(NAMES), stock, atol=1e-5, rtol=1e-5)


def test_kept_text_features_are_of_the_same_weights(model, clip_file, tmp_path):
    features = []
    for share in (1.0, 0.5):
        clip = adapted(clip_file, WeightConfig(text="norm", mix=share))
        clip.save_pretrained(tmp_path / f"{share}")
        with patch(model, tmp_path / f"{share}", cache=tmp_path / "cache"):
            features.append(model.clip_adapter.get_text_features(NAMES))
    assert (features[0] - features[1]).abs().max() > 0.01


def test_a_copy_and_a_pickle_stand_on_their_own(model, plus):
    with patch(model, plus):
        expected = segment(model, make_inputs())
        twin, again = copy.deepcopy(model), pickle.loads(pickle.dumps(model))  # noqa: S301  (our own)
    for other in (twin, again):
        torch.testing.assert_close(segment(other, make_inputs()), expected, atol=1e-6, rtol=1e-6)
        with torch.no_grad():
            other.clip_adapter.clip_model.visual.proj.zero_()
        assert not torch.allclose(segment(other, make_inputs()), expected, atol=1e-3)


def test_casting_the_model_casts_what_was_learnt(model, plus):
    with patch(model, plus), torch.no_grad():
        expected = model.clip_adapter.clip_model.visual(REGIONS, MASKS)
        model.double()
        assert model.clip_adapter.clip_model.visual(REGIONS.double(), MASKS.double()).dtype == torch.float64
        model.float()
        torch.testing.assert_close(model.clip_adapter.clip_model.visual(REGIONS, MASKS), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("difference", "message"),
    [({"embed_dim": 32}, r"visual.proj have shape \(64, 48\), where OVSeg's CLIP has \(64, 32\)"),
     ({"layers": 2}, "weights of the visual tower are not those")],
)  # fmt: skip
def test_weights_of_another_architecture_are_refused(host, clip_file, tmp_path, difference, message):
    save(tmp_path / "adapter", clip_file, "wise_ft_image")
    torch.save(clip_state(**difference), tmp_path / "clip.pt")
    with pytest.raises(OVSegError, match=message):
        patch(build(host, tmp_path / "clip.pt"), tmp_path / "adapter")


def test_weights_that_are_missing_or_strange_are_refused(model, clip_file, tmp_path):
    save(tmp_path / "whole", clip_file, "lora")
    for change in (lambda t: t.pop("text_weights.up.1"), lambda t: t.update({"text_weights.up.9": torch.zeros(1)})):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / "adapter", dirs_exist_ok=True)
        tensors = load_file(folder / WEIGHTS_FILE)
        change(tensors)
        save_file(tensors, folder / WEIGHTS_FILE)
        with pytest.raises(OVSegError, match=r"text_weights\.up"):
            patch(model, folder)
