"""Toy-sized data and weights for the real OVSeg: ``python toy.py CLIP_FILE FOLDER`` in its checkout.

Writes FOLDER/ADEChallengeData2016 with 3 images, FOLDER/weights.pth and FOLDER/opts.json, the config keys that shrink
``configs/ovseg_R101c_vitB_bs32_120k.yaml``.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.projects.deeplab import add_deeplab_config
from PIL import Image

from open_vocab_seg import add_ovseg_config

SHRINK = {
    "MODEL.RESNETS.DEPTH": 50,
    "MODEL.RESNETS.STEM_OUT_CHANNELS": 64,
    "MODEL.SEM_SEG_HEAD.EMBEDDING_DIM": 48,
    "MODEL.SEM_SEG_HEAD.CONVS_DIM": 32,
    "MODEL.SEM_SEG_HEAD.MASK_DIM": 32,
    "MODEL.MASK_FORMER.NUM_OBJECT_QUERIES": 10,
    "MODEL.MASK_FORMER.HIDDEN_DIM": 32,
    "MODEL.MASK_FORMER.DIM_FEEDFORWARD": 64,
    "MODEL.MASK_FORMER.NHEADS": 2,
    "MODEL.MASK_FORMER.DEC_LAYERS": 2,
    "MODEL.DEVICE": "cpu",
    "INPUT.MIN_SIZE_TEST": 96,
    "DATALOADER.NUM_WORKERS": 0,
}


def main(clip_file, folder):
    folder = Path(folder)
    rng = np.random.default_rng(0)
    for kind, suffix in (("images", ".jpg"), ("annotations_detectron2", ".png")):
        (folder / "ADEChallengeData2016" / kind / "validation").mkdir(parents=True)
        for number in range(3):
            shape = (96, 128, 3) if kind == "images" else (96, 128)
            pixels = rng.integers(0, 150, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "ADEChallengeData2016" / kind / "validation" / f"{number}{suffix}")
    opts = {**SHRINK, "MODEL.CLIP_ADAPTER.CLIP_MODEL_NAME": clip_file, "MODEL.WEIGHTS": str(folder / "weights.pth")}
    cfg = get_cfg()
    add_deeplab_config(cfg)
    add_ovseg_config(cfg)
    cfg.merge_from_file("configs/ovseg_R101c_vitB_bs32_120k.yaml")
    cfg.merge_from_list([value for pair in opts.items() for value in pair])
    torch.manual_seed(0)
    model = build_model(cfg)
    with torch.no_grad():
        model.clip_adapter.clip_model.visual.mask_embedding.normal_(std=0.2)
    torch.save({"model": model.state_dict()}, folder / "weights.pth")
    (folder / "opts.json").write_text(json.dumps([str(value) for pair in opts.items() for value in pair]))


if __name__ == "__main__":
    main(*sys.argv[1:])
