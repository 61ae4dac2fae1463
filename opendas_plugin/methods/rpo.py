"""RPO (Lee et al., ICCV 2023): 24 pairs of read-only tokens at the input; the score is the mean of the pairs' cosines.

They start near the class token and the end-of-text token. No token reads them, so CLIP's own features stay as they are.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import JOINT, Method

METHOD = Method(
    stages=(JOINT,),
    recipe={
        "batch_size": 4,
        "prompts": {"visual_tokens": 24, "text_tokens": 24, "form": "read_only"},
        "joint": {"epochs": 15},
        "optimiser": {"lr": 0.01},
    },
)
