"""The features are upstream's for the same seed, with SAM's encoder run once a picture; bad scenes are one sentence."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from integrations.openmask3d import sharing
from integrations.openmask3d.features import Extraction, LevelCrops, PolicyCrops
from integrations.openmask3d.settings import FeatureSettings
from opendas_plugin.crops import CropPolicy, crop, mask_box
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.runs.parts import Parts
from opendas_plugin.scenes.views import correct_intrinsic
from opendas_plugin.stamps import Inputs
from opendas_plugin.train.distributed import World
from tests.integrations.openmask3d import upstream
from tests.integrations.openmask3d.scenes import INTRINSIC, ColourSAM, make_scene, small_clip


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return make_scene(tmp_path_factory.mktemp("scene"))


def ours(scene, settings, predictor, seed=3, crop_as=None):
    preprocess, encode = small_clip()
    extraction = Extraction(scene.views, scene.points, scene.masks, settings)
    regions = extraction.regions(predictor, np.random.RandomState(seed))
    return extraction.features(regions, crop_as or LevelCrops(preprocess, settings), encode)


def theirs(scene, settings, predictor, seed=3):
    preprocess, encode = small_clip()
    np.random.seed(seed)  # noqa: NPY002
    return upstream.features(scene.views, scene.points, scene.masks, predictor, preprocess, encode, settings)


@pytest.mark.parametrize("top_k", [1, 3, 9])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_features_are_upstreams_for_the_same_seed(scene, top_k, batch_size):
    settings = FeatureSettings(top_k=top_k, batch_size=batch_size)
    np.testing.assert_allclose(
        ours(scene, settings, ColourSAM()), theirs(scene, settings, ColourSAM()), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("top_k", [1, 9])
def test_features_that_are_made_by_parts_are_the_same_to_the_bit_and_go_on(scene, tmp_path, monkeypatch, top_k):
    monkeypatch.setattr(sharing, "BATCHES", 2)
    settings, (preprocess, encode) = FeatureSettings(top_k=top_k, batch_size=4), small_clip()
    whole, encoded = ours(scene, settings, ColourSAM()), []

    def by_parts(sam):
        extraction = Extraction(scene.views, scene.points, scene.masks, settings)
        shared = sharing.Sharing(World(), Parts(tmp_path / "parts", Inputs(values={"of": top_k}), "computation"))
        crop, rng = LevelCrops(preprocess, settings), np.random.RandomState(3)
        return shared.features(extraction, sam, rng, crop, lambda pixels: encoded.append(len(pixels)) or encode(pixels))

    assert np.array_equal(by_parts(ColourSAM()), whole)
    last = sorted((tmp_path / "parts").glob("features*"))[-1]
    last.unlink()
    next((tmp_path / "parts").glob("regions*")).unlink()
    sam, _ = ColourSAM(), encoded.clear()
    assert np.array_equal(by_parts(sam), whole)
    assert sam.images == 1 and len(encoded) <= 2


def test_another_seed_gives_other_features(scene):
    first, second = (ours(scene, FeatureSettings(rounds=1), ColourSAM(), seed=seed) for seed in (3, 4))
    assert np.abs(first - second).max() > 1e-4


def test_sam_encodes_each_picture_once(scene):
    settings, sam, upstreams = FeatureSettings(top_k=4), ColourSAM(), ColourSAM()
    ours(scene, settings, sam)
    theirs(scene, settings, upstreams)
    assert sam.images == len(scene.views)
    assert upstreams.images == 4 * 4  # four pictures of each mask that is seen


def test_a_mask_that_no_picture_shows_keeps_a_zero_feature(scene):
    features = ours(scene, FeatureSettings(), ColourSAM())
    assert not features[4].any()
    assert np.isfinite(features).all()
    assert (np.linalg.norm(features[:4], axis=1) > 0.5).all()


class EmptySAM(ColourSAM):
    def predict(self, **prompt):
        masks, _, logits = super().predict(**prompt)
        return np.zeros_like(masks), np.array([1.0]), logits


def test_where_sam_finds_nothing_the_box_of_the_points_stands_in(scene):
    np.testing.assert_array_equal(ours(scene, FeatureSettings(), EmptySAM()), ours(scene, FeatureSettings(), None))


def test_masks_as_floats_or_logits_of_sam_2_are_taken(scene):
    class FloatSAM(ColourSAM):
        def predict(self, **prompt):
            masks, *rest = super().predict(**prompt)
            return masks.astype(np.float32), *rest

    np.testing.assert_array_equal(
        ours(scene, FeatureSettings(), FloatSAM()), ours(scene, FeatureSettings(), ColourSAM())
    )


def test_intrinsics_are_scaled_as_upstream_does_or_correctly(scene):
    double = INTRINSIC * [[2], [2], [1]]
    views = dataclasses.replace(scene.views, intrinsic=double, intrinsic_size=(120, 160))
    np.testing.assert_array_equal(
        views.scaled_intrinsic, upstream.scaled_intrinsic(double, (120, 160), scene.views.size)
    )
    np.testing.assert_allclose(dataclasses.replace(views, scaling="correct").scaled_intrinsic, INTRINSIC)


def test_correct_scaling_is_that_of_a_cropless_resize():
    """A pixel at 3/8 of the width and 1/4 of the height stays there, whatever the shape."""
    ray = np.linalg.inv(INTRINSIC) @ [30, 15, 1]
    x, y, z = correct_intrinsic(INTRINSIC, (60, 80), (90, 64)) @ ray
    np.testing.assert_allclose((x / z, y / z), (64 * 3 / 8, 90 / 4))


def test_colour_and_depth_may_differ_in_size(scene, tmp_path):
    large = make_scene(tmp_path / "large", colour_scale=3)
    settings = FeatureSettings()
    small_boxes, large_boxes = (
        Extraction(s.views, s.points, s.masks, settings).regions(None, np.random.RandomState(0)) for s in (scene, large)
    )
    assert [r.box for r in large_boxes] == [tuple(3 * side for side in r.box) for r in small_boxes]
    features, small = (ours(s, settings, ColourSAM(moody=False))[:4] for s in (large, scene))
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(small, axis=1)
    assert ((features * small).sum(axis=1) > 0.95 * lengths).all()


def test_crops_as_the_adapter_saw_them(scene):
    policy = CropPolicy(background="mean", expand=0.2, size=16)
    extraction = Extraction(scene.views, scene.points, scene.masks, FeatureSettings())
    region = extraction.regions(ColourSAM(moody=False), np.random.RandomState(0))[0]
    image = scene.views.read_colour(region.view)
    assert mask_box(region.whole_mask()) == region.box
    (pixels,) = PolicyCrops(policy)(image, region)
    expected = torch.from_numpy(crop(image, region.whole_mask(), policy)).permute(2, 0, 1) / 255
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    torch.testing.assert_close(pixels, (expected - mean[:, None, None]) / std[:, None, None])


def test_crops_can_be_kept(scene, tmp_path):
    preprocess, _ = small_clip()
    settings = FeatureSettings(top_k=1)
    ours(scene, settings, ColourSAM(), crop_as=LevelCrops(preprocess, settings, tmp_path))
    assert len(list(tmp_path.glob("crop*_*_*.png"))) == 4 * 3


@pytest.mark.filterwarnings("error")
def test_a_picture_of_a_lost_camera_shows_nothing(scene):
    poses = scene.views.poses.copy()
    poses[0] = -np.inf  # as ScanNet writes it
    views = dataclasses.replace(scene.views, poses=poses)
    counts = Extraction(views, scene.points, scene.masks, FeatureSettings()).projector.counts(range(len(views)))
    assert not counts[0].any()
    assert counts[1:, :4].any(axis=1).all()


def bad(scene, match, masks=None, **views):
    changed = dataclasses.replace(scene.views, **views)
    with pytest.raises(DataError, match=match) as error:
        extraction = Extraction(changed, scene.points, scene.masks if masks is None else masks, FeatureSettings())
        extraction.regions(None, np.random.RandomState(0))
    assert "\n" not in str(error.value)


def test_bad_scenes_are_one_sentence(scene, tmp_path):
    far = scene.views.poses.copy()
    far[:, :3, 3] += 500
    bad(scene, r"a surface, which here is 0\.19\d times .* check depth_scale \(5000 a metre\)", depth_scale=5000.0)
    bad(scene, "check the poses", poses=far)
    bad(scene, "no pictures with poses", poses=scene.views.poses[:0])
    bad(scene, "holds no masks", masks=scene.masks[:, :0])
    bad(scene, "all 5 masks are empty", masks=np.zeros_like(scene.masks))
    bad(scene, "about 3,019 points, but the cloud has 3,020", masks=scene.masks[1:])
    bad(scene, "no mask is seen in any picture", masks=scene.masks[:, 4:])
    with pytest.raises(ConfigError, match="top_k must be 1 or more, got 0"):
        FeatureSettings(top_k=0)
