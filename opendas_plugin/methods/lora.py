"""CLIP-LoRA (Zanella and Ben Ayed, CVPR workshops 2024): rank 2 on query, key and value of all layers of both towers.

The updates are added to the weights before each step, which costs less than a branch beside them, and are part of
plain weights afterwards; the dropout of 0.25 before them, made for a few shots, is left out. The paper counts its
iterations by shots; here it has as many epochs as a stage of OpenDAS.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import JOINT, NO_PROMPTS, Method

METHOD = Method(
    stages=(JOINT,),
    recipe={
        "batch_size": 32,
        "prompts": NO_PROMPTS,
        "weights": {"visual": "low_rank", "text": "low_rank", "rank": 2},
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
