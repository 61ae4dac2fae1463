"""What `integrations/ovseg` relies on, read off a checkout: ``python facts.py CLIP_FILE OUT`` with it on the path.

Run on OVSeg and on the stand-in, it writes the same facts.json and arrays.npz, or one of them has drifted.
"""

import inspect
import json
import sys
from pathlib import Path

import clip
import clip.model
import numpy as np
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import default_setup, launch
from detectron2.utils import comm

from open_vocab_seg import OVSeg, OVSegDEMO, config
from open_vocab_seg.modeling.clip_adapter import ClipAdapter, MaskFormerClipAdapter, PredefinedPromptExtractor

CALLED = {
    "clip.load": clip.load,
    "clip.tokenize": clip.tokenize,
    "VisionTransformer.forward": clip.model.VisionTransformer.forward,
    "CLIP.encode_text": clip.model.CLIP.encode_text,
    "ClipAdapter.__init__": ClipAdapter.__init__,
    "ClipAdapter._get_text_features": ClipAdapter._get_text_features,
    "MaskFormerClipAdapter.__init__": MaskFormerClipAdapter.__init__,
    "MaskFormerClipAdapter.forward": MaskFormerClipAdapter.forward,
    "MaskFormerClipAdapter._preprocess_image": MaskFormerClipAdapter._preprocess_image,
    "MaskFormerClipAdapter.get_image_features": MaskFormerClipAdapter.get_image_features,
    "MaskFormerClipAdapter.get_text_features": MaskFormerClipAdapter.get_text_features,
    "MaskFormerClipAdapter.get_sim_logits": MaskFormerClipAdapter.get_sim_logits,
    "MaskFormerClipAdapter.normalize_feature": MaskFormerClipAdapter.normalize_feature,
    "PredefinedPromptExtractor.forward": PredefinedPromptExtractor.forward,
    "OVSeg.semantic_inference": OVSeg.semantic_inference,
    "OVSegDEMO.demo_inference": OVSegDEMO.demo_inference,
    "config.add_our_config": config.add_our_config,
    "config.add_ovseg_config": config.add_ovseg_config,
    "DatasetCatalog.register": DatasetCatalog.register,
    "DatasetCatalog.get": DatasetCatalog.get,
    "DatasetCatalog.list": DatasetCatalog.list,
    "MetadataCatalog.get": MetadataCatalog.get,
    "Metadata.set": MetadataCatalog.get("ade20k_sem_seg_val").set,
    "detectron2.engine.launch": launch,
    "detectron2.engine.default_setup": default_setup,
    "detectron2.utils.comm.is_main_process": comm.is_main_process,
}
READ = (
    "mask_thr", "mask_fill", "mask_matting", "mask_expand_ratio", "region_resized", "mask_prompt_fwd", "pixel_mean",
    "pixel_std", "text_feature_buffer", "text_templates.templates", "non_object_embedding", "clip_model.dtype",
    "clip_model.context_length", "clip_model.text_projection", "clip_model.positional_embedding",
    "clip_model.token_embedding", "clip_model.ln_final", "clip_model.transformer.width",
    "clip_model.transformer.resblocks", "clip_model.transformer.resblocks.0.attn",
    "clip_model.transformer.resblocks.0.attn.in_proj_weight", "clip_model.transformer.resblocks.0.attn.in_proj_bias",
    "clip_model.transformer.resblocks.0.attn.out_proj", "clip_model.transformer.resblocks.0.attn.num_heads",
    "clip_model.transformer.resblocks.0.ln_1", "clip_model.transformer.resblocks.0.ln_2",
    "clip_model.transformer.resblocks.0.mlp", "clip_model.visual.input_resolution", "clip_model.visual.conv1",
    "clip_model.visual.class_embedding", "clip_model.visual.ln_pre", "clip_model.visual.transformer.resblocks",
    "clip_model.visual.mask_pool", "clip_model.visual.mask_embedding",
)  # fmt: skip
TEMPLATES = ["a photo of a {}.", "There is a {} in the scene"]
NAMES = ["desk", "office chair", "wall"]


def build(clip_file):
    torch.manual_seed(0)
    templates = PredefinedPromptExtractor(TEMPLATES)
    built = MaskFormerClipAdapter(clip_file, templates, mask_prompt_depth=2, mask_prompt_fwd=True).eval()
    generator = torch.Generator().manual_seed(1)
    built.clip_model.visual.mask_embedding.normal_(generator=generator)
    built.non_object_embedding.normal_(generator=generator)
    return built


def type_of(root, path):
    for name in path.split("."):
        root = root[int(name)] if name.isdigit() else getattr(root, name)
    return next(k.__module__ + "." + k.__name__ for k in type(root).__mro__ if k.__module__.split(".")[0] != "clip")


def crash(built, image, mask):
    try:
        built(image, NAMES, mask, normalize=True)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return None


@torch.no_grad()
def main(clip_file, out):
    torch.set_num_threads(1)
    built = build(clip_file)
    generator = torch.Generator().manual_seed(2)
    image = torch.randint(0, 256, (3, 60, 80), generator=generator)
    mask = torch.rand(4, 60, 80, generator=generator)
    mask[1, 20:] = 0.0
    mask[2] = 0.0
    ade20k = vars(MetadataCatalog.get("ade20k_sem_seg_val"))
    facts = {
        "parameters": {name: list(inspect.signature(called).parameters) for name, called in CALLED.items()},
        "types": {path: type_of(built, path) for path in READ},
        "state": {key: list(value.shape) for key, value in built.state_dict().items()},
        "module of the tokenizer": sys.modules[PredefinedPromptExtractor.__module__].clip.__name__,
        "metadata": {name: type(value).__name__ for name, value in ade20k.items()},
        "no valid mask": crash(built, image, 0 * mask),
        "one valid mask": crash(built, image, mask[:1]),
        "result of _preprocess_image without a valid mask": len(built._preprocess_image(image, 0 * mask)),
    }
    (regions, unnormalised), region_masks, valid = built._preprocess_image(image, mask, normalize=True)
    logits, _, valid_flag = built(image, NAMES, mask, normalize=True)
    arrays = {
        "ids": clip.tokenize([template.format(name) for template in TEMPLATES for name in NAMES]),
        "regions": regions,
        "unnormalised": unnormalised,
        "region_masks": region_masks,
        "valid": valid,
        "valid_flag": valid_flag,
        "logits": logits,
        "text": built.get_text_features(NAMES),
        "visual": built.clip_model.visual(regions, None),
        "masked": built.clip_model.visual(regions, region_masks),
    }
    (Path(out) / "facts.json").write_text(json.dumps(facts, indent=1, sort_keys=True))
    np.savez(Path(out) / "arrays.npz", **{name: np.asarray(value) for name, value in arrays.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
