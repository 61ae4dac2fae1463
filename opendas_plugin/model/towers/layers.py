"""Which weights of a tower are those of normalisations, and which are matrices of attention or of an MLP.

Norms are told by their modules' types, matrices by what the libraries (torch, open_clip, timm, transformers) call them
inside their attentions and MLPs. A convolution of 1 x 1 pixels is a matrix, too.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping

import torch
from open_clip.transformer import QuickGELU
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from opendas_plugin.model.tower import Matrices

_STACKED = {"in_proj_weight": 3, "qkv.weight": 3, "kv.weight": 2}
"""Matrices of attention that hold several on top of each other; any other is one."""
_ATTENTION_IN = re.compile(
    r"(?:^|\.)(?:in_proj_weight|qkv\.weight|kv\.weight|[qkv](?:_proj|_lin)?\.weight|[qkv]_proj_weight"
    r"|(?:query|key|value)\.weight)$"
)
_ATTENTION_OUT = re.compile(
    r"(?:attn|attnpool|attn_pool|attn_pool\.attn|token_mixer|SelfAttention|attention\.output)"
    r"\.(?:proj|out_proj|c_proj|o|dense)\.weight$"
)
_MLP_IN = re.compile(
    r"(?:(?:^|\.)mlp\.(?:c_fc|fc1|fc1_g|fc1_x|w0|w1)|DenseReluDense\.wi\w*|intermediate\.dense|layers\.\d+\.fc1)\.weight$"
)
_MLP_OUT = re.compile(
    r"(?:(?:^|\.)mlp\.(?:c_proj|fc2|w2)|DenseReluDense\.wo|(?<!attention\.)output\.dense|layers\.\d+\.fc2)\.weight$"
)
_KINDS: dict[Matrices, tuple[re.Pattern[str], ...]] = {
    "all": (_ATTENTION_IN, _ATTENTION_OUT, _MLP_IN, _MLP_OUT),
    "query_key_value": (_ATTENTION_IN,),
    "mlp_out": (_MLP_OUT,),
}
_NO_LAYERS = re.compile(r"(?:^|\.)(?:rel_pos|head)\.")  # an MLP of positions, and one that is the projection


def norms(module: nn.Module, weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Returns the names of the weights and biases of LayerNorms among ``weights``, or of the like.

    A tower without a LayerNorm (ResNet, FastViT) has its BatchNorms' in their place; their statistics are no weights.
    """
    kinds = (nn.LayerNorm, nn.RMSNorm, _BatchNorm)
    found = [(f"{name}.", norm) for name, norm in module.named_modules() if isinstance(norm, kinds) or _is_rms(norm)]
    layer = tuple(name for name, norm in found if not isinstance(norm, _BatchNorm))
    named = [name for name in weights if name.startswith(layer)]
    return named or [name for name in weights if name.startswith(tuple(name for name, _ in found))]


def matrices(weights: Mapping[str, torch.Tensor], which: Matrices) -> dict[str, int]:
    """Returns the names of matrices among ``weights``, and how many are stacked in each; see :data:`Matrices`."""
    found = {}
    for name, weight in weights.items():
        is_matrix = weight.ndim == 2 or (weight.ndim == 4 and weight.shape[2:] == (1, 1))
        if is_matrix and not _NO_LAYERS.search(name) and any(kind.search(name) for kind in _KINDS[which]):
            found[name] = next((parts for end, parts in _STACKED.items() if name.endswith(end)), 1)
    return found


def activations(module: nn.Module) -> str:
    """Returns the names of a tower's activations, as ``quick_gelu``; several are joined by a plus."""
    found = {
        _activation(one) for one in module.modules() if not [*one.children()] and _IS_ACTIVATION(type(one).__name__)
    }
    return "+".join(sorted(found)) or "none"


def set_activation(module: nn.Module, name: str) -> None:
    """Puts another activation into all of a tower's places for one; ``name`` is what :func:`activations` returns.

    Raises:
        KeyError: one that is not known.
    """
    make = _ACTIVATIONS[name]
    for one in list(module.modules()):
        for place, inner in one.named_children():
            if not [*inner.children()] and _IS_ACTIVATION(type(inner).__name__):
                setattr(one, place, make())


def heads(module: nn.Module) -> int:
    """Returns the heads of a tower's first attention; 0: it has none."""
    found = (getattr(one, "num_heads", getattr(one, "num_attention_heads", 0)) for one in module.modules())
    return next((count for count in found if isinstance(count, int) and count), 0)


_IS_ACTIVATION = re.compile(r"(?:gelu|relu|silu|swish)", re.IGNORECASE).search
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "quick_gelu": QuickGELU,
    "gelu": nn.GELU,
    "gelu_tanh": functools.partial(nn.GELU, approximate="tanh"),
    "relu": nn.ReLU,
    "silu": nn.SiLU,
}


def _activation(module: nn.Module) -> str:
    name = type(module).__name__
    if isinstance(module, nn.GELU):
        return "gelu" if module.approximate == "none" else f"gelu_{module.approximate}"
    return {"QuickGELU": "quick_gelu", "GELUTanh": "gelu_tanh", "GELUActivation": "gelu"}.get(name, name.lower())


def _is_rms(module: nn.Module) -> bool:
    """Whether a module is a LayerNorm without a mean that a library has of its own."""
    return re.search(r"(?:RMSNorm|RmsNorm|T5LayerNorm)", type(module).__name__) is not None
