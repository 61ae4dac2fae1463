"""SAM's masks through transformers, with tiny models of random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from opendas_plugin.commands.segment import main
from tests.commands.segmenting import flags, make_photos

transformers = pytest.importorskip("transformers")
EVERY = ("--sam.pred-iou-thresh", "-10", "--sam.stability-score-thresh", "0", "--sam.points-per-side", "4")
"""Random weights pass no threshold."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A SAM of 64 pixels, as transformers saves it."""
    folder = tmp_path_factory.mktemp("sam")
    torch.manual_seed(0)
    vision = {
        "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64,
        "patch_size": 8, "window_size": 4, "global_attn_indexes": [0], "mlp_dim": 32, "num_pos_feats": 8,
    }  # fmt: skip
    prompts = {"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4}
    decoder = {
        "hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 16
    }  # fmt: skip
    config = transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    transformers.SamModel(config).save_pretrained(folder)
    small, square = {"longest_edge": 16}, {"height": 64, "width": 64}
    processor = transformers.SamImageProcessor(
        size={"longest_edge": 64}, pad_size=square, mask_size=small, mask_pad_size={"height": 16, "width": 16}
    )
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """A SAM 2 of 64 pixels; none of its blocks attends to all of a picture, which its pooling blocks could not."""
    folder = tmp_path_factory.mktemp("sam2")
    torch.manual_seed(0)
    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 1, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 4, 8], "window_size_per_stage": [4, 4, 4, 4],
        "global_attention_blocks": [], "window_positional_embedding_background_size": [4, 4], "mlp_ratio": 2.0,
    }  # fmt: skip
    vision = {
        "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 16,
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "num_feature_levels": 3,
    }  # fmt: skip
    prompts = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {
        "hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 16
    }  # fmt: skip
    config = transformers.Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    transformers.Sam2Model(config).save_pretrained(folder)
    sizes = {"size": {"height": 64, "width": 64}, "mask_size": {"height": 16, "width": 16}}
    transformers.Sam2ImageProcessor(**sizes).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("version", ["checkpoint", "second"])
def test_masks_are_those_of_the_pipeline_without_the_empty_ones(version, request, tmp_path):
    checkpoint = request.getfixturevalue(version)
    photos = make_photos(tmp_path / "photos", ["a.png", "b.png"])
    assert main(flags(photos, tmp_path / "out", "--masks", f"sam:{checkpoint}", *EVERY)) == 0
    sam = transformers.pipeline("mask-generation", model=str(checkpoint), device="cpu")
    for name in ("a", "b"):
        found = sam(str(photos / f"{name}.png"), pred_iou_thresh=-10, stability_score_thresh=0, points_per_crop=4)
        theirs = [np.asarray(mask) for mask in found["masks"]]
        ours = np.load(tmp_path / "out" / "detections" / f"{name}.npz")["mask"]
        assert len(ours) and np.array_equal(ours, [mask for mask in theirs if mask.any()])


def test_where_no_mask_passes_the_thresholds_the_photo_is_counted(checkpoint, tmp_path, caplog):
    photos = make_photos(tmp_path / "photos", ["a.png"])
    given = ("--masks", f"sam:{checkpoint}", "--sam.points-per-side", "2")
    assert main(flags(photos, tmp_path / "out", *given)) == 0
    assert "1 of 1 photos have no mask" in caplog.text
    assert json.loads((tmp_path / "out" / "instances.json").read_text())["annotations"] == []


def test_other_thresholds_and_weights_are_refused(checkpoint, tmp_path, capsys):
    photos = make_photos(tmp_path / "photos", ["a.png"])
    argv = flags(photos, tmp_path / "out", "--masks", f"sam:{checkpoint}")
    assert main([*argv, "--sam.points-per-side", "2"]) == 0
    assert main([*argv, "--sam.points-per-side", "3"]) == 1
    assert "--sam.points-per-side was 2, now 3" in capsys.readouterr().err


def test_a_folder_of_another_model_is_one_sentence(tmp_path, capsys):
    photos = make_photos(tmp_path / "photos", ["a.png"])
    transformers.BertConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1).save_pretrained(
        tmp_path / "bert"
    )
    assert main(flags(photos, tmp_path / "out", "--masks", f"sam:{tmp_path / 'bert'}")) == 1
    assert "cannot be loaded as SAM or SAM 2" in capsys.readouterr().err.splitlines()[-1]
