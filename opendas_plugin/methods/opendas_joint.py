"""OpenDAS with both towers' prompts learnt at once, all losses together: what the order of its stages is worth."""

from __future__ import annotations

from opendas_plugin.methods.stages import Method, Stage

METHOD = Method(stages=(Stage("joint", learns=("visual", "text"), triplet=True),))
