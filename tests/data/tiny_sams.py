"""SAM and SAM 2 of 64 pixels with random weights, as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch

EVERY = ("--sam.pred-iou-thresh", "-10", "--sam.stability-score-thresh", "0", "--sam.points-per-side", "4")
"""Random weights pass no threshold."""
DECODER = {
    "hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 16
}  # fmt: skip


def make_sam(folder: Path) -> Path:
    """Saves a SAM; returns the folder."""
    import transformers

    torch.manual_seed(0)
    vision = {
        "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64,
        "patch_size": 8, "window_size": 4, "global_attn_indexes": [0], "mlp_dim": 32, "num_pos_feats": 8,
    }  # fmt: skip
    prompts = {"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4}
    config = transformers.SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)
    transformers.SamModel(config).save_pretrained(folder)
    small, square = {"longest_edge": 16}, {"height": 64, "width": 64}
    processor = transformers.SamImageProcessor(
        size={"longest_edge": 64}, pad_size=square, mask_size=small, mask_pad_size={"height": 16, "width": 16}
    )
    processor.save_pretrained(folder)
    return folder


def make_sam2(folder: Path) -> Path:
    """Saves a SAM 2, none of whose blocks attends to all of a picture, which its pooling blocks could not."""
    import transformers

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
    config = transformers.Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)
    transformers.Sam2Model(config).save_pretrained(folder)
    sizes = {"size": {"height": 64, "width": 64}, "mask_size": {"height": 16, "width": 16}}
    transformers.Sam2ImageProcessor(**sizes).save_pretrained(folder)
    return folder
