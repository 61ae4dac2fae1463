"""OpenDAS: first the visual prompts by cross-entropy, then the text prompts by cross-entropy and the triplet loss.

8 visual and 4 text tokens in every layer. Stage 1 learns against the frozen text classifier; in stage 2 the visual
prompts are frozen and at work.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import TEXT_WITH_TRIPLET, VISUAL, Method

METHOD = Method(stages=(VISUAL, TEXT_WITH_TRIPLET))
