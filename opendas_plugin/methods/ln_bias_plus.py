"""Our own: first ``ln_bias``, both towers at once, then the two stages of ``opendas_plus`` on what it has learnt.

The low-rank updates wait at zero in the joint stage. The values are those of ``opendas_plus``, so the text tower has
its LayerNorms alone: with its biases (``weights.text`` norm_bias) the joint stage learns what ``ln_bias`` does.
"""

from __future__ import annotations

from opendas_plugin.methods.opendas_plus import METHOD as OPENDAS_PLUS
from opendas_plugin.methods.stages import TEXT_WITH_TRIPLET, VISUAL, Method, Stage

METHOD = Method(
    stages=(Stage("joint", learns=("visual", "text"), low_rank=False), VISUAL, TEXT_WITH_TRIPLET),
    recipe={**OPENDAS_PLUS.recipe, "joint": {"consistency": 3.0}},
)
