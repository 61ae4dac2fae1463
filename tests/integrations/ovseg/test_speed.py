"""What is done faster than in OVSeg gives what OVSeg gives."""

from __future__ import annotations

import pytest
import torch

from integrations.ovseg import patch
from integrations.ovseg.cache import TextCache
from tests.integrations.ovseg.conftest import NAMES, build, make_inputs


@pytest.mark.parametrize("settings", [{}, {"mask_fill": "zero"}, {"mask_matting": True}, {"mask_thr": 0.8}])
def test_regions_are_the_hosts_bit_for_bit(host, clip_file, identity, settings):
    clip_adapter = build(host, clip_file, **settings).clip_adapter
    inputs = make_inputs(queries=9, empty=(0, 5))
    mask = inputs["pred_masks"].sigmoid()
    mask[7] = 0.0
    mask[7, 11, 13] = 0.9  # one pixel
    expected, expected_masks, expected_valid = clip_adapter._preprocess_image(inputs["image"], mask)
    with patch(clip_adapter, identity):
        regions, masks, valid = clip_adapter._preprocess_image(inputs["image"], mask)
    assert torch.equal(regions[0], expected[0])
    assert torch.equal(regions[1], expected[1])
    assert torch.equal(masks, expected_masks)
    assert torch.equal(valid, expected_valid) and not valid[0]


@torch.no_grad()
@pytest.mark.parametrize("chunk", [0, 2, 3, 100])
def test_chunks_do_not_change_the_features(model, adapter, chunk):
    regions = torch.randn(7, 3, 224, 224)
    masks = torch.ones(7, 1, 224, 224)
    visual = model.clip_adapter.clip_model.visual
    with patch(model, adapter, chunk=0):
        expected = visual(regions, masks)
    with patch(model, adapter, chunk=chunk):
        torch.testing.assert_close(visual(regions, masks), expected, atol=1e-5, rtol=1e-5)


def test_text_features_are_read_back_bit_for_bit(host, clip_file, adapter, tmp_path):
    model = build(host, clip_file)
    with patch(model, adapter, cache=tmp_path / "cache"):
        written = model.clip_adapter.get_text_features(NAMES)
    with patch(model, adapter, cache=tmp_path / "cache") as handle:
        handle.encoder = None  # nothing is left that could encode
        assert torch.equal(model.clip_adapter.get_text_features(NAMES), written)


def test_text_features_of_other_weights_names_or_adapters_are_not_read(
    host, clip_file, other_clip_file, adapter, tmp_path
):
    with patch(build(host, clip_file), adapter, cache=tmp_path) as handle:
        first = handle.clip_adapter.get_text_features(NAMES)
        assert len(list(tmp_path.iterdir())) == 1
        handle.clip_adapter.get_text_features(["lamp"])
    with patch(build(host, other_clip_file), adapter, cache=tmp_path) as handle:
        assert not torch.equal(handle.clip_adapter.get_text_features(NAMES), first)
    with patch(build(host, clip_file), adapter, cache=tmp_path, text="clip") as handle:
        assert not torch.equal(handle.clip_adapter.get_text_features(NAMES), first)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_file_of_the_cache_is_computed_again(host, clip_file, adapter, tmp_path):
    results = []
    for _ in range(2):
        with patch(build(host, clip_file), adapter, cache=tmp_path) as handle:
            results.append(handle.clip_adapter.get_text_features(NAMES))
        next(tmp_path.iterdir()).write_bytes(b"half a file")
    assert torch.equal(*results)


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "file").touch()
    cache = TextCache(tmp_path / "file")
    cache.save(torch.zeros(1), "facts")
    assert "not kept" in caplog.text and cache.load("facts") is None
