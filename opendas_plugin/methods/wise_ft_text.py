"""WiSE-FT of the text tower: fine-tuned as a whole against the frozen image features, then mixed with CLIP.

WiSE-FT has no such variant; the OpenDAS paper's count of parameters says that the token table and the projection are
learnt too. Everything else is as for the visual tower.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import NO_PROMPTS, TEXT, Method
from opendas_plugin.methods.wise_ft_image import FINE_TUNING

METHOD = Method(
    stages=(TEXT,),
    recipe={
        "batch_size": 128,
        "prompts": NO_PROMPTS,
        "weights": {"text": "all", "mix": 0.5},
        "text": {"epochs": 10},
        "optimiser": FINE_TUNING,
    },
)
