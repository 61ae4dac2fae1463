"""CoCoOp (Zhou et al., CVPR 2022): 4 text tokens at the input, moved for each image by a small network of its feature.

The tokens start as "a photo of a", the network (D to D/16 to the text width) as torch's Linear: not at zero-shot. Every
image has a text classifier of its own, so a pipeline that encodes its names once cannot use this method.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import TEXT, Method

METHOD = Method(
    stages=(TEXT,),
    recipe={
        "batch_size": 1,
        "prompts": {"visual_tokens": 0, "text_tokens": 4, "text_depth": 1, "form": "conditional"},
        "text": {"epochs": 10},
        "optimiser": {"lr": 0.002},
    },
)
