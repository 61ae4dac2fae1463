"""OpenDAS: first the visual prompts by cross-entropy, then the text prompts by cross-entropy and the triplet loss.

8 visual and 4 text tokens in every layer. Stage 1 learns against the frozen text classifier; in stage 2 the visual
prompts are frozen and at work.
"""

from __future__ import annotations

from opendas_plugin.methods.stages import VISUAL, Method, Stage

METHOD = Method(stages=(VISUAL, Stage("text", learns=("text",), triplet=True)))
