"""MMLoP (Ghiasvand et al., ECCV 2026): tokens of rank 1 in both towers, and a drift that is taken from the texts.

4 tokens in 9 layers of each tower are the products of one column, shared by all, and a row a layer: 11,524 values on
ViT-B-16. The losses, the average over epochs and the rate are PromptSRC's, on which it builds.
"""

from __future__ import annotations

from opendas_plugin.methods.promptsrc import METHOD as PROMPTSRC
from opendas_plugin.methods.stages import JOINT, Method

METHOD = Method(
    stages=(JOINT,),
    recipe={**PROMPTSRC.recipe, "prompts": {"visual_tokens": 4, "text_tokens": 4, "form": "factored"}},
)
