"""Stands in for OVSeg's evaluation: `opts` take the rest of the line, predictions go to OUTPUT_DIR."""

import argparse
import os
import sys
from types import SimpleNamespace

import numpy as np
import torch
import wandb  # noqa: F401  (upstream imports it here and uses it in training)
from detectron2.engine import launch
from detectron2.utils import comm

from open_vocab_seg import OVSeg, add_ovseg_config
from open_vocab_seg.modeling.clip_adapter import MaskFormerClipAdapter, PredefinedPromptExtractor


def main(args):
    torch.set_num_threads(1)
    cfg = SimpleNamespace(MODEL=SimpleNamespace())
    add_ovseg_config(cfg)
    opts = dict(zip(args.opts[::2], args.opts[1::2]))
    torch.manual_seed(0)
    templates = PredefinedPromptExtractor(["a photo of a {}.", "There is a {} in the scene"])
    clip_adapter = MaskFormerClipAdapter(opts["CLIP_MODEL_NAME"], templates, mask_prompt_depth=2, mask_prompt_fwd=True)
    model = OVSeg(clip_adapter=clip_adapter).eval()
    if "MODEL.WEIGHTS" in opts:
        model.load_state_dict(torch.load(opts["MODEL.WEIGHTS"], map_location="cpu"), strict=False)
    outputs = {}
    for number in range(comm.get_rank(), 2, args.num_gpus):
        generator = torch.Generator().manual_seed(number)
        image = torch.randint(0, 256, (3, 40, 48), generator=generator)
        masks = torch.randn(4, 40, 48, generator=generator)
        logits = torch.randn(4, clip_adapter.clip_model.text_projection.shape[-1], generator=generator)
        names = ["desk", "office chair", "wall"]
        with torch.no_grad():
            inputs = {"image": image, "pred_masks": masks, "pred_logits": logits, "class_names": names}
            outputs[str(number)] = model([inputs])[0]["sem_seg"].numpy().astype(np.float)
    np.savez(os.path.join(opts["OUTPUT_DIR"], "predictions%d.npz" % comm.get_rank()), **outputs)
    with open(os.path.join(opts["OUTPUT_DIR"], "config.txt"), "w") as file:
        file.write(cfg.MODEL.CLIP_ADAPTER.PROMPT_CHECKPOINT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--num-gpus", type=int, default=1)
    parser.add_argument("--eval-only", action="store_true")
    parser.add_argument("opts", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    print("script:", sys.argv[0], "path:", sys.path[0])
    launch(main, args.num_gpus, args=(args,))
