"""What the package asks of a CLIP's towers, so that a family of models is one class a tower and nothing elsewhere.

Any tower encodes, and has weights that may be learnt. A layered one has room for learnt tokens, a readable one also for
tokens that only read. Learnt tokens, learnt weights and the passes through the layers (:mod:`.passes`) speak to these
protocols alone; the towers themselves are in :mod:`.towers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import torch
from torch import nn

TowerName: TypeAlias = Literal["visual", "text"]
Matrices: TypeAlias = Literal["all", "query_key_value", "mlp_out"]
DenseAttention: TypeAlias = Literal["value", "qq+kk", "qq", "kk", "qk"]
"""How the last layer reads, where features of a grid are asked for (:mod:`.towers.dense`)."""
KeysAndValues: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""What tokens of a layer can be read by: keys and values, (B, L, width) each."""
Inputs = TypeVar("Inputs", contravariant=True)


class Tower(Protocol[Inputs]):
    """A frozen tower that makes one feature of each of B inputs."""

    @property
    def module(self) -> nn.Module:
        """The frozen module that holds the tower; weights go by their names in it."""

    @property
    def no_tokens(self) -> str | None:
        """What learnt tokens need and it lacks, as "it lacks" goes on; None: it is a :class:`LayeredTower`."""

    @property
    def no_readers(self) -> str | None:
        """What read-only tokens need and it lacks, likewise; None: it is a :class:`ReadableTower`."""

    def over(self, module: nn.Module) -> Tower[Inputs]:
        """Returns the same tower of another module, which holds other weights under the same names."""

    def encode(self, inputs: Inputs) -> torch.Tensor:
        """Returns the features (B, D) of plain CLIP."""

    @property
    def feature_width(self) -> int:
        """D, values of a feature."""

    @property
    def device(self) -> torch.device:
        """Where the tower is."""

    @property
    def dtype(self) -> torch.dtype:
        """Type of its matrices."""

    def weights(self) -> dict[str, torch.Tensor]:
        """Returns the tower's weights by name."""

    def norm_names(self) -> list[str]:
        """Returns the names of weights and biases of its LayerNorms, or of its BatchNorms where it has no LayerNorm."""

    def matrices(self, which: Matrices) -> dict[str, int]:
        """Returns the names of matrices in its layers, and how many are stacked in each.

        Args:
            which: all matrices of attentions and MLPs, those of query, key and value, or the last one of each MLP.
        """


class LayeredTower(Tower[Inputs], Protocol[Inputs]):
    """A transformer that has room for learnt tokens.

    ``x`` is the state between two layers; its layout is the tower's own business.
    """

    @property
    def depth(self) -> int:
        """Number of layers."""

    @property
    def width(self) -> int:
        """Values of a token."""

    def embed(self, inputs: Inputs) -> torch.Tensor:
        """Returns ``x`` at the input of the first layer."""

    def run(
        self, layer: int, x: torch.Tensor, inputs: Inputs, tokens: torch.Tensor | None = None, stays: bool = False
    ) -> torch.Tensor:
        """Runs a layer; the last one returns the state that :meth:`feature` takes.

        Args:
            layer: its number, from 0.
            x: the state before it.
            inputs: what :meth:`embed` was given.
            tokens: (n, width) learnt tokens of this layer, in the place of the layer's before.
            stays: whether no later layer has tokens of its own, so that the outputs of these flow on.
        """

    def feature(self, x: torch.Tensor) -> torch.Tensor:
        """Returns features (B, D) of the state behind the last layer."""


class ReadableTower(LayeredTower[Inputs], Protocol[Inputs]):
    """A transformer whose feature is read at one token, and that others can read beside it.

    The state behind its last layer is (B, width), and :meth:`feature` takes states (..., width).
    """

    def run_readable(self, layer: int, x: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, KeysAndValues]:
        """Runs a layer without learnt tokens; returns also what others can read of its input.

        Behind the last layer the state is not computed, and ``x`` is given back.
        """

    def read_out(self, layer: int, tokens: torch.Tensor, readable: KeysAndValues, inputs: Inputs) -> torch.Tensor:
        """Runs a layer of tokens (B, n, width) that read ``readable`` and that nothing reads."""

    def embed_read_only(self, tokens: torch.Tensor) -> torch.Tensor:
        """Returns read-only tokens (n, width) as the first layer takes them."""


class VisualTower(Tower[torch.Tensor], Protocol):
    """A tower of CLIP-normalised pixels (B, 3, S, S)."""

    @property
    def no_grid(self) -> str | None:
        """What features of each patch need and it lacks, likewise; None: it is a :class:`DenseVisual`."""

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the input, in pixels."""

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """Pixel statistics, size and interpolation, as open_clip's ``PreprocessCfg`` has them."""


class DenseVisual(LayeredTower[torch.Tensor], Protocol):
    """A tower of pixels (B, 3, H, W) that makes a feature of each patch."""

    @property
    def patch(self) -> int:
        """Side of a patch, in pixels."""

    def grid(self, pixels: torch.Tensor) -> tuple[int, int]:
        """Returns how many patches pixels (B, 3, H, W) have, h and w.

        Raises:
            DataError: H or W is no multiple of the patch.
        """

    def embed_grid(self, pixels: torch.Tensor) -> torch.Tensor:
        """Returns the state at the input of the first layer, of pixels of any size."""

    def run_dense(self, x: torch.Tensor, tokens: torch.Tensor | None, attention: DenseAttention) -> torch.Tensor:
        """Runs the last layer; returns the states of class token, patches, and what follows them."""


class LayeredVisual(VisualTower, LayeredTower[torch.Tensor], Protocol):
    """A tower of pixels that has room for learnt tokens."""


class ReadableVisual(VisualTower, ReadableTower[torch.Tensor], Protocol):
    """A tower of pixels with room for tokens that only read."""

    def summary(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the state (B, width) of the token that the feature is read at, of a state between two layers."""

    @property
    def summary_token(self) -> torch.Tensor:
        """(width,) embedding of the token that the feature is read at."""


class TextTower(Tower[Any], Protocol):
    """A tower of token ids."""

    @property
    def room(self) -> int:
        """The longest text, in tokens, with start and end, learnt tokens included."""

    @property
    def vocabulary_size(self) -> int:
        """Token ids that it knows."""

    @property
    def transformer(self) -> nn.Module:
        """Its layers; hosts read the ``width``."""

    @property
    def token_embedding(self) -> nn.Embedding:
        """The token table."""

    @property
    def projection(self) -> torch.Tensor | None:
        """(width, D) projection of the feature, if there is one."""

    def inputs(self, ids: torch.Tensor) -> Any:
        """Returns token ids (N, L) int64 of the CPU as the tower takes them, on its device.

        Raises:
            DataError: it cannot read texts of this length.
        """


class LayeredText(TextTower, LayeredTower[Any], Protocol):
    """A tower of token ids that has room for learnt tokens."""

    @property
    def is_causal(self) -> bool:
        """Whether a token reads only itself and those before it."""

    @property
    def reads_padding(self) -> bool:
        """Whether ids behind the end of a text change its feature, so that a text always has the whole context."""

    def ends(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns the positions (N,) of the tokens that the features are read at, in token ids (N, L)."""

    def inputs_ending(self, ids: torch.Tensor, ends: torch.Tensor, first: int, count: int = 0) -> Any:
        """Returns what :meth:`inputs` does, of texts whose features are read at positions ``ends`` (N,).

        ``count`` learnt tokens stand at position ``first`` and behind it; up to there all texts have the same ids.
        """

    def states(self, start: int | None, tokens: torch.Tensor, depth: int) -> torch.Tensor:
        """Returns the frozen states at each layer's input of n tokens after the start token, if there is one.

        They are of the first ``depth`` layers, or of as many as there are: (layers, n, width). Layer 0 holds the token
        embeddings as given, without positions.
        """


@dataclass(frozen=True)
class Towers:
    """Both towers of a CLIP."""

    visual: VisualTower
    text: TextTower
