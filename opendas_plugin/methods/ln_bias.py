"""LayerNorms and biases of both towers: the first stage of 2SFS (Farina et al., CVPR 2025), with biases.

Optimiser and batch are its own; it counts its iterations by shots, here it has as many epochs as a stage of OpenDAS.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import JOINT, NO_PROMPTS, Method

METHOD = Method(
    stages=(JOINT,),
    recipe={
        "batch_size": 32,
        "prompts": NO_PROMPTS,
        "weights": {"visual": "norm_bias", "text": "norm_bias"},
        "joint": {"epochs": 5},
        "optimiser": {
            "name": "adamw",
            "lr": 2e-4,
            "weight_decay": 0.01,
            "schedule": "cosine_steps",
            "warmup_epochs": 0,
        },
    },
)
