"""MLMP (NeurIPS 2025): the visual LayerNorms, learnt from segments whose names are not looked at.

What is made small is the entropy of the names' probabilities, of each of seven templates by itself, for the features
behind the later layers and behind the last. Its authors adapt to each picture and forget; here the training segments
are one stage, and what it learnt is kept. All names of the vocabulary compete, novel ones among them.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import NO_PROMPTS, UNLABELLED, Method

METHOD = Method(
    stages=(UNLABELLED,),
    recipe={
        "batch_size": 32,
        "prompts": NO_PROMPTS,
        "weights": {"visual": "norm"},
        "optimiser": {
            "name": "adamw",
            "lr": 1e-3,
            "weight_decay": 0.0,
            "schedule": "constant",
            "warmup_epochs": 0,
        },
    },
)
