"""Plain CLIP: nothing is learnt. ``evaluate.py --ensemble`` averages its text features over CLIP's own templates."""

from __future__ import annotations

from opendas_plugin.methods.stages import NO_PROMPTS, Method

METHOD = Method(stages=(), recipe={"prompts": NO_PROMPTS})
