"""Our own: the two stages of OpenDAS on rank-1 updates of the weights in place of tokens.

What is learnt is part of plain weights afterwards, so that a pipeline pays nothing for it and any program that reads a
CLIP can use it. Every matrix of the visual layers has an update, and query, key and value of the text layers: 497,664
values on ViT-L-14. docs/office-domain.md has what was tried.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import NO_PROMPTS, TEXT_WITH_TRIPLET, VISUAL, Method

METHOD = Method(
    stages=(VISUAL, TEXT_WITH_TRIPLET),
    recipe={
        "batch_size": 32,
        "prompts": NO_PROMPTS,
        "weights": {"visual": "low_rank_all", "text": "low_rank", "rank": 1, "mix": 0.9},
        "visual": {"consistency": 3.0},
        "text": {"consistency": 25.0, "lr_scale": 0.1},
        "triplet": {"mining": "training"},
        "optimiser": {
            "name": "adamw",
            "lr": 5e-3,
            "weight_decay": 0.01,
            "schedule": "cosine_steps",
            "warmup_epochs": 0,
        },
    },
)
