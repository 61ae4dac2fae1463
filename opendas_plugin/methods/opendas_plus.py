"""Our own: the two stages of OpenDAS on weights in place of tokens, most of them LayerNorms and biases.

In the visual tower those and a rank-1 update of each MLP's last matrix, in the text tower the LayerNorms: 484,864
values on ViT-L-14. What is learnt is part of plain weights afterwards, so that a pipeline pays nothing for it and any
program that reads a CLIP can use it. docs/notebook.md has what was tried.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import NO_PROMPTS, TEXT_WITH_TRIPLET, VISUAL, Method

METHOD = Method(
    stages=(VISUAL, TEXT_WITH_TRIPLET),
    recipe={
        "batch_size": 32,
        "prompts": NO_PROMPTS,
        "weights": {"visual": "norm_bias+low_rank_mlp_out", "text": "norm", "rank": 1},
        "visual": {"consistency": 5.0},
        "text": {"consistency": 10.0},
        "triplet": {"mining": "training"},
        "optimiser": {
            "name": "adamw",
            "lr": 1e-2,
            "weight_decay": 0.01,
            "schedule": "cosine_steps",
            "warmup_epochs": 0,
        },
    },
)
