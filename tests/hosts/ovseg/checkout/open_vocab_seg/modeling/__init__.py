from . import clip_adapter
