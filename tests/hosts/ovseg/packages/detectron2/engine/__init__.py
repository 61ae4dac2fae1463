import os

from .launch import launch


def default_setup(cfg, args):
    os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
    with open(os.path.join(cfg.OUTPUT_DIR, "config.txt"), "w") as file:
        file.write(cfg.MODEL.CLIP_ADAPTER.PROMPT_CHECKPOINT)
