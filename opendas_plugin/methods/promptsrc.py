"""PromptSRC (Khattak et al., ICCV 2023): its losses and its average over epochs, on the prompts of OpenDAS.

Cross-entropy, and three pulls towards the frozen CLIP: on text features (towards the mean over CLIP's ImageNet
templates, of which its code has 60 and open_clip 80), image features and logits; the result is the average of the
epochs' prompts under a Gaussian.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import JOINT, Method

METHOD = Method(
    stages=(JOINT,),
    recipe={
        "batch_size": 4,
        "joint": {"epochs": 20},
        "optimiser": {"lr": 0.0025},
        "regulation": {"text": 25.0, "visual": 10.0, "logits": 1.0, "average_epoch": 15.0, "average_std": 1.0},
    },
)
