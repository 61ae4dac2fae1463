import json

import numpy as np
import pytest

from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.model.loading import load
from opendas_plugin.scenes.feature_records import check_pair, describe
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.mask_arrays import sparse_masks
from opendas_plugin.scenes.mask_features import finished_features, read_features, save_features
from opendas_plugin.stamps import Inputs

MASKS = np.array([[1, 0], [1, 1], [0, 0]], dtype=np.float16)


@pytest.fixture
def clips(tiny_backbone, tmp_path):
    """Plain CLIP, an adapter of 0 tokens, and one that learnt, as sources of features."""
    for name, tokens in (("identity", 0), ("learnt", 2)):
        prompts = PromptConfig(visual_tokens=tokens, text_tokens=tokens)
        OpenDASCLIP.from_backbone(tiny_backbone, prompts=prompts).save_pretrained(tmp_path / name)
    sources = {name: f"opendas:{tmp_path / name}" for name in ("identity", "learnt")}
    plain = FeatureSource(tiny_backbone, OpenDASCLIP.from_backbone(tiny_backbone))
    return {"plain": plain} | {name: FeatureSource(source, load(source)[0]) for name, source in sources.items()}


def test_features_are_whole_and_known_by_what_computed_them(tmp_path, clips):
    path, features = tmp_path / "room.npy", np.random.default_rng(0).random((2, clips["learnt"].width))
    described = describe(clips["learnt"], sparse_masks(MASKS, 3), {"top_k": 5})
    save_features(path, features, described)
    np.testing.assert_array_equal(np.load(path), features)
    np.testing.assert_array_equal(finished_features(path, described), features)
    assert finished_features(path, describe(clips["plain"], sparse_masks(MASKS, 3), {"top_k": 5})) is None
    assert finished_features(path, describe(clips["learnt"], sparse_masks(MASKS, 3), {"top_k": 4})) is None
    assert finished_features(path, describe(clips["learnt"], sparse_masks(MASKS[:, ::-1], 3), {"top_k": 5})) is None
    path.write_bytes(path.read_bytes()[:-8])
    assert finished_features(path, described) is None
    assert json.loads(path.with_suffix(".json").read_text())["versions"]["numpy"] == np.__version__


def test_an_adapter_that_learnt_nothing_is_its_backbone(clips):
    assert clips["identity"].sha256 == clips["plain"].sha256 != clips["learnt"].sha256


@pytest.mark.parametrize(
    ("images", "texts", "fits"),
    [
        ("plain", "plain", True),
        ("plain", "identity", True),
        ("learnt", "learnt", True),
        ("learnt", "plain", False),
        ("plain", "learnt", False),
        ("learnt", "identity", False),
    ],
)
def test_images_and_texts_must_be_of_one_clip(tmp_path, clips, images, texts, fits):
    path, features = tmp_path / "room.npy", np.ones((2, clips["plain"].width))
    save_features(path, features, describe(clips[images], sparse_masks(MASKS, 3), {}))
    if fits:
        check_pair(path, features, clips[texts])
    else:
        with pytest.raises(DataError, match="must come from the same CLIP"):
            check_pair(path, features, clips[texts])


def test_plain_clips_of_one_shape_are_told_apart_by_their_weights(tmp_path):
    ours, theirs = (
        FeatureSource("ViT-S-32-alt", OpenDASCLIP.from_backbone("ViT-S-32-alt", seed=seed)) for seed in (0, 1)
    )
    path, features = tmp_path / "room.npy", np.ones((2, ours.width))
    save_features(path, features, describe(ours, sparse_masks(MASKS, 3), {}))
    check_pair(path, features, ours)
    with pytest.raises(DataError, match=f"{ours.sha256[:12]}.*{theirs.sha256[:12]}.*the same CLIP"):
        check_pair(path, features, theirs)


def test_weights_in_half_precision_are_the_same_weights(tmp_path, tiny_backbone):
    ours = FeatureSource(tiny_backbone, OpenDASCLIP.from_backbone(tiny_backbone))
    half = FeatureSource(tiny_backbone, OpenDASCLIP.from_backbone(tiny_backbone).half())
    path, features = tmp_path / "room.npy", np.ones((2, ours.width))
    for one, other in ((ours, half), (half, ours)):
        save_features(path, features, describe(one, sparse_masks(MASKS, 3), {}))
        check_pair(path, features, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"facts": {"activation": ["GELU", "QuickGELU"], "of later versions": 1}}, "activation was"),
        ({"facts": {"pixel mean": [0.5, 0.5, 0.5]}}, r"pixel mean was \[0.5, 0.5, 0.5\]"),
        ({"facts": {"image_size": 336}}, "image_size was 336, now"),
        ({"template": "a {}."}, 'template was "a {}.", now "a photo of a {}."'),
        ({"crop_policy": {"background": "mean"}}, "crop policy has changed|crop policy was"),
    ],
)
def test_all_that_a_record_says_of_its_clip_is_compared(tmp_path, tiny_backbone, change, message):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(visual_tokens=2, text_tokens=2))
    clip.save_pretrained(tmp_path / "adapter", crop_policy=CropPolicy())
    source = FeatureSource(f"opendas:{tmp_path / 'adapter'}", load(f"opendas:{tmp_path / 'adapter'}")[0])
    path, features = tmp_path / "room.npy", np.ones((2, source.width))
    described = describe(source, sparse_masks(MASKS, 3), {})
    save_features(path, features, {**described, "clip": {**described["clip"], **change}})
    with pytest.raises(DataError, match=message):
        check_pair(path, features, source)


def test_features_and_masks_must_belong_together(tmp_path, clips):
    path, features = tmp_path / "room.npy", np.ones((2, clips["plain"].width))
    described = describe(clips["plain"], sparse_masks(MASKS, 3), {})
    save_features(path, features, described)
    check_pair(path, features, clips["plain"], sparse_masks(MASKS, 3))
    with pytest.raises(DataError, match="features of other masks"):
        check_pair(path, features, clips["plain"], sparse_masks(MASKS[:, ::-1], 3))


def test_a_record_of_an_earlier_version_is_taken_and_what_it_lacks_is_said(tmp_path, clips, caplog):
    path, features = tmp_path / "room.npy", np.ones((2, clips["plain"].width))
    described = describe(clips["plain"], sparse_masks(MASKS, 3), {})
    old = {name: value for name, value in described["clip"].items() if name not in ("half_sha256", "facts")}
    save_features(path, features, {**described, "format": 1, "clip": old})
    check_pair(path, features, clips["plain"], sparse_masks(MASKS, 3), Inputs())
    assert "does not say which pictures, poses and cloud" in caplog.text
    assert finished_features(path, described, Inputs()) is None


def test_a_record_that_is_none_is_one_sentence(tmp_path, clips):
    path, features = tmp_path / "room.npy", np.ones((2, clips["plain"].width))
    save_features(path, features, describe(clips["plain"], sparse_masks(MASKS, 3), {}))
    for content in ("[]", "{}", '{"clip": 1, "masks": {}, "settings": {}}'):
        path.with_suffix(".json").write_text(content)
        with pytest.raises(DataError, match="is no record of features"):
            check_pair(path, features, clips["plain"])


def test_features_without_a_record_are_plain_clips(tmp_path, clips, caplog):
    features = np.ones((2, clips["plain"].width))
    check_pair(tmp_path / "room.npy", features, clips["plain"])
    assert "nothing says which CLIP, masks and pictures it is of" in caplog.text
    with pytest.raises(DataError, match="has no record beside it"):
        check_pair(tmp_path / "room.npy", features, clips["learnt"])
    with pytest.raises(DataError, match=r"gives \d+ values a text"):
        check_pair(tmp_path / "room.npy", features[:, 1:], clips["plain"])


def test_features_that_were_written_over_are_refused(tmp_path, clips):
    path, features = tmp_path / "room.npy", np.ones((2, clips["learnt"].width))
    save_features(path, features, describe(clips["learnt"], sparse_masks(MASKS, 3), {}))
    np.save(path, 2 * features)
    with pytest.raises(DataError, match=r"has changed since room\.json"):
        check_pair(path, 2 * features, clips["learnt"])


def test_bad_feature_files_are_one_sentence(tmp_path):
    with pytest.raises(MissingFileError, match="compute the features first"):
        read_features(tmp_path / "room.npy", 2)
    np.save(tmp_path / "room.npy", np.ones((3, 4)))
    with pytest.raises(DataError, match="for 2 masks"):
        read_features(tmp_path / "room.npy", 2)
    np.save(tmp_path / "room.npy", np.full((2, 4), np.nan))
    with pytest.raises(DataError, match="not numbers"):
        read_features(tmp_path / "room.npy", 2)
