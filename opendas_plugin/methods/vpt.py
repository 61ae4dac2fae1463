"""VPT (Jia et al., ECCV 2022) on CLIP: visual tokens in every layer, against the frozen text classifier.

The form that open-vocabulary papers compare with, from the code of MaPLe (Khattak et al., CVPR 2023): no linear probe,
which could not score novel names; tokens N(0, 0.02) at the end of the sequence, before the first normalisation. 32
tokens in all layers are what the OpenDAS paper's count of parameters says.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import VISUAL, Method

METHOD = Method(
    stages=(VISUAL,),
    recipe={
        "batch_size": 4,
        "prompts": {"visual_tokens": 32, "text_tokens": 0},
        "visual": {"epochs": 5},
        "optimiser": {"lr": 0.0025},
    },
)
