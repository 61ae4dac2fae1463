from types import SimpleNamespace


def add_our_config(cfg):
    cfg.MODEL.CLIP_ADAPTER = SimpleNamespace(PROMPT_CHECKPOINT="", CLIP_MODEL_NAME="ViT-B/16", MASK_PROMPT_DEPTH=3)


def add_ovseg_config(cfg):
    add_our_config(cfg)
