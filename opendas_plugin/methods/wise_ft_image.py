"""WiSE-FT (Wortsman et al., CVPR 2022) of the visual tower: fine-tuned as a whole, then mixed half and half with CLIP.

It learns against the frozen text classifier, as in PAINT (Ilharco et al., NeurIPS 2022), so that novel names can be
scored; optimiser and batch are PAINT's. The mix is a mean of weights: plain CLIP, at no cost.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import NO_PROMPTS, VISUAL, Method

FINE_TUNING = {
    "name": "adamw",
    "lr": 1e-5,
    "weight_decay": 0.1,
    "schedule": "cosine_steps",
    "warmup_epochs": 0,
    "warmup_steps": 500,
    "clip_norm": 1.0,
}

METHOD = Method(
    stages=(VISUAL,),
    recipe={
        "batch_size": 128,
        "prompts": NO_PROMPTS,
        "weights": {"visual": "all", "mix": 0.5},
        "visual": {"epochs": 10},
        "optimiser": FINE_TUNING,
    },
)
