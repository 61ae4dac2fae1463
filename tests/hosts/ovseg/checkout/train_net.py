"""Stands in for OVSeg's evaluation: `opts` take the rest of the line, predictions go to OUTPUT_DIR."""

import argparse
import ast
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
import pycocotools.mask as mask_util
import torch
import wandb  # noqa: F401  (upstream imports it here and uses it in training)
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import default_setup, launch
from detectron2.utils import comm
from PIL import Image

from open_vocab_seg import OVSeg, add_ovseg_config
from open_vocab_seg.modeling.clip_adapter import MaskFormerClipAdapter, PredefinedPromptExtractor


class Config(SimpleNamespace):
    frozen = False

    def is_frozen(self):
        return self.frozen

    def freeze(self):
        self.frozen = True

    def defrost(self):
        self.frozen = False


def main(args):
    torch.set_num_threads(1)
    cfg = Config(MODEL=SimpleNamespace(), DATASETS=SimpleNamespace(TRAIN=(), TEST=()))
    add_ovseg_config(cfg)
    opts = dict(zip(args.opts[::2], args.opts[1::2]))
    cfg.OUTPUT_DIR, cfg.DATASETS.TEST = opts["OUTPUT_DIR"], ast.literal_eval(opts.get("DATASETS.TEST", "()"))
    if "PROMPT_CHECKPOINT" in opts:
        cfg.MODEL.CLIP_ADAPTER.PROMPT_CHECKPOINT = opts["PROMPT_CHECKPOINT"]
    cfg.freeze()
    default_setup(cfg, args)
    torch.manual_seed(0)
    templates = PredefinedPromptExtractor(["a photo of a {}.", "There is a {} in the scene"])
    clip_adapter = MaskFormerClipAdapter(opts["CLIP_MODEL_NAME"], templates, mask_prompt_depth=2, mask_prompt_fwd=True)
    model = OVSeg(clip_adapter=clip_adapter, clip_ensemble_weight=0.2).eval()
    if "MODEL.WEIGHTS" in opts:
        model.load_state_dict(torch.load(opts["MODEL.WEIGHTS"], map_location="cpu"), strict=False)
    if "DATASETS.TEST" in opts:
        evaluate(model, opts)
        return
    outputs = {}
    for number in range(comm.get_rank(), 2, args.num_gpus):
        image = torch.randint(0, 256, (3, 40, 48), generator=torch.Generator().manual_seed(number))
        names = ["desk", "office chair", "wall"]
        outputs[str(number)] = segment(model, image, names, seed=number).numpy().astype(np.float)
    np.savez(os.path.join(opts["OUTPUT_DIR"], "predictions%d.npz" % comm.get_rank()), **outputs)


@torch.no_grad()
def segment(model, image, names, seed):
    """Scores (classes, H, W) of random proposals."""
    generator = torch.Generator().manual_seed(seed)
    masks = 5 * torch.randn(4, *image.shape[1:], generator=generator)
    logits = torch.randn(4, model.clip_adapter.clip_model.text_projection.shape[-1], generator=generator)
    inputs = {"image": image, "pred_masks": masks, "pred_logits": logits, "class_names": names}
    return model([inputs])[0]["sem_seg"]


def evaluate(model, opts):
    """Writes the predictions as detectron2's SemSegEvaluator does."""
    (name,) = ast.literal_eval(opts["DATASETS.TEST"])
    names, predictions = MetadataCatalog.get(name).stuff_classes, []
    for seed, record in enumerate(DatasetCatalog.get(name)):
        image = torch.from_numpy(np.array(Image.open(record["file_name"]).convert("RGB"))).permute(2, 0, 1)
        classes = segment(model, image, names, seed).argmax(dim=0).numpy()
        for label in np.unique(classes):
            segmentation = mask_util.encode(np.asfortranarray(classes == label, dtype=np.uint8))
            segmentation["counts"] = segmentation["counts"].decode()
            prediction = {"category_id": int(label), "segmentation": segmentation}
            predictions.append({"file_name": record["file_name"], **prediction})
    folder = os.path.join(opts["OUTPUT_DIR"], "inference")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "sem_seg_predictions.json"), "w") as file:
        json.dump(predictions, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--num-gpus", type=int, default=1)
    parser.add_argument("--eval-only", action="store_true")
    parser.add_argument("opts", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    print("script:", sys.argv[0], "path:", sys.path[0])
    launch(main, args.num_gpus, args=(args,))
