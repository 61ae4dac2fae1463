"""MaPLe (Khattak et al., CVPR 2023): text tokens, and visual tokens that are linear in them, layer by layer.

2 tokens, from "a photo" and N(0, 0.02); the couplings start as torch's Linear, the later ones as copies of one. The
depth is that of the visual tower, as the OpenDAS paper's count of parameters says: the text tokens of layers behind the
text tower's last reach the visual tower alone.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import JOINT, Method

METHOD = Method(
    stages=(JOINT,),
    recipe={
        "batch_size": 4,
        "prompts": {"visual_tokens": 2, "text_tokens": 2, "form": "coupled"},
        "joint": {"epochs": 5},
        "optimiser": {"lr": 0.0035},
    },
)
