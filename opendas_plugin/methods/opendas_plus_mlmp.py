"""Our own: both stages of ``opendas_plus``, then that of ``mlmp`` on the visual LayerNorms at a tenth of the rate."""

from __future__ import annotations

from opendas_plugin.methods.opendas_plus import METHOD as OPENDAS_PLUS
from opendas_plugin.methods.stages import UNLABELLED, Method

METHOD = Method(
    stages=(*OPENDAS_PLUS.stages, UNLABELLED),
    recipe={**OPENDAS_PLUS.recipe, "unlabelled": {"epochs": 1, "lr_scale": 0.1}},
)
