"""What a backbone's function depends on beside its tensors, so that an adapter knows it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.bounds import check_number, check_text, check_whole
from opendas_plugin.wording import counted

SILENT = ("mean", "std", "interpolation", "resize_mode", "visual_activation", "text_activation")
"""What a file of weights may leave unsaid, as an adapter's facts name it."""


@dataclass(frozen=True)
class BackboneFacts:
    """How a backbone reads pixels and texts; the same tensors with other facts make other features.

    Raises:
        ConfigError: a fact that cannot be.
    """

    mean: tuple[float, ...]
    """Of each channel, RGB in 0..1: what pixels are normalised by."""
    std: tuple[float, ...]
    interpolation: str
    """Of resizing a picture to the input size."""
    resize_mode: str
    """open_clip's: shortest, longest or squash."""
    image_size: tuple[int, ...]
    """Height and width of the input, in pixels."""
    context_length: int
    """Longest text, in tokens."""
    tokenizer: str
    """What makes token ids: open_clip's own, or the name of a Hugging Face one; it is compared, never fetched."""
    visual_activation: str
    """Of the layers: quick_gelu, gelu or another; several are joined by a plus."""
    text_activation: str
    visual_heads: int
    """Of the first attention, which the tensors' shapes do not tell; 0: there is none."""
    text_heads: int
    text_end: str
    """Where a text's feature is read."""
    precision: str = "float32"
    """Of the tensors when the model is built; casting it later is its user's business."""

    def __post_init__(self) -> None:
        for name, count in (("mean", 3), ("std", 3), ("image_size", 2)):
            values = getattr(self, name)
            if not isinstance(values, list | tuple) or len(values) != count:
                raise ConfigError(f"expected backbone_facts.{name} to be {counted(count, 'number')}")
            object.__setattr__(self, name, tuple(values))
        for value in (*self.mean, *self.std):
            check_number("backbone_facts.mean and std", value, 0, 1)
        for value in (*self.image_size, self.context_length):
            check_whole("sizes of backbone_facts", value, 1, 1 << 20)
        for value in (self.visual_heads, self.text_heads):
            check_whole("heads of backbone_facts", value, 0, 1 << 20)
        for f in fields(self):
            if f.type == "str":
                check_text(f"backbone_facts.{f.name}", getattr(self, f.name), 200)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def differences(self, other: BackboneFacts) -> str:
        """What differs, as "mean 0.48, 0.46, 0.41 and here 0.5, 0.5, 0.5"; nothing: an empty text."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return ", ".join(
            f"{name} {_said(ours)} and here {_said(theirs)}" for name, ours, theirs in pairs if ours != theirs
        )

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """What a file of weights may leave unsaid of pixels, as open_clip names it."""
        return {name: getattr(self, name) for name in ("mean", "std", "interpolation", "resize_mode")}

    @property
    def quick_gelu(self) -> bool:
        """Whether both towers have OpenAI's activation."""
        return self.visual_activation == self.text_activation == "quick_gelu"


def _said(value: Any) -> str:
    return (
        "x".join(map(str, value))
        if isinstance(value, tuple) and isinstance(value[0], int)
        else (", ".join(f"{number:.4g}" for number in value) if isinstance(value, tuple) else str(value))
    )
