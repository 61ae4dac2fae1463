"""Adapters of every method in OpenMask3D's scripts: features and texts are those of the adapted CLIP, made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tests.integrations.openmask3d.conftest import (
    EVALUATION,
    FEATURES,
    METHODS,
    WEIGHTS,
    adapter_of,
    launch,
    read,
    scene_arguments,
)
from tests.integrations.ovseg.conftest import clip_state

TEXTS = [f"a photo of a {name}." for name in ("chair", "table", "door frame")]


def by_hand(clip, folder):
    """The mean of the unit features of a run's crops, ``crop<mask>_<view>_<level>.png``, for each of four masks."""
    means = []
    for mask in range(4):
        crops = [Image.open(path).convert("RGB") for path in sorted(folder.glob(f"crop{mask}_*.png"))]
        with torch.no_grad():
            means.append(clip.encode_image(torch.stack([clip.preprocess(c) for c in crops]), normalize=True).mean(0))
    return torch.stack(means).numpy()


QUICK = ("opendas_plus", "vpt", "maple")


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in METHODS]
)
def test_features_and_texts_are_the_adapted_clips(room, tmp_path, method):
    clip = adapter_of(method, room / "clip.pt", tmp_path / "adapter").eval()
    name = f"opendas:{tmp_path / 'adapter'}"
    launch(FEATURES, *scene_arguments(room, tmp_path, name, "+opendas.seed=0", "output.save_crops=true"))
    np.testing.assert_allclose(read(tmp_path)[:4], by_hand(clip, tmp_path / "crops"), atol=1e-5, rtol=0)
    flags = ["--mask_pred_dir", room, "--mask_features_dir", tmp_path, "--output", tmp_path / "out.npz"]
    launch(EVALUATION, *flags, "--clip-model", name)
    with torch.no_grad():
        expected = clip.encode_text(clip.tokenize(TEXTS), normalize=True).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["texts"], expected, atol=1e-5, rtol=0)
    launch(EVALUATION, *flags, "--clip-model", room / "clip.pt", expect=1)


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in WEIGHTS]
)
def test_weights_are_those_of_the_merged_clip(room, tmp_path, method):
    """Features of the host's own extractor, with the merged weights as a plain CLIP."""
    clip = adapter_of(method, room / "clip.pt", tmp_path / "adapter")
    torch.save({**clip_state(), **clip.merged_weights()}, tmp_path / "merged.pt")
    clips = {"merged": tmp_path / "merged.pt", "plain": room / "clip.pt", "adapter": tmp_path / "adapter"}
    for name, file in clips.items():
        launch(FEATURES, *scene_arguments(room, tmp_path / name, file, "+opendas.seed=0"))
    found, merged, plain = (read(tmp_path / run) for run in ("adapter", "merged", "plain"))
    np.testing.assert_allclose(found, merged, atol=2e-4, rtol=0)  # OpenAI's code rounds weights to half precision
    assert (np.abs(merged - plain).max() < 1e-2) == (method == "wise_ft_text")
