"""What pixels and token ids must be to be encoded, and what is said where they are not."""

from __future__ import annotations

from typing import Any

import torch

from opendas_plugin.errors import ConfigError, DataError


def check_pixels(image: Any, size: tuple[int, int]) -> None:
    """Raises DataError unless ``image`` is a tensor (B, 3, H, W) of this height and width."""
    expected = (3, *size)
    if not isinstance(image, torch.Tensor):
        raise DataError(
            f"expected pixels (B, {', '.join(map(str, expected))}) as a tensor, got a {type(image).__name__}; "
            "give preprocess(picture).unsqueeze(0)"
        )
    if image.ndim != 4 or tuple(image.shape[1:]) != expected:
        raise DataError(f"expected pixels of shape (B, {', '.join(map(str, expected))}), got {tuple(image.shape)}")


def check_picture(image: Any) -> None:
    """Raises DataError unless ``image`` is a tensor (B, 3, H, W) of any height and width."""
    if not isinstance(image, torch.Tensor) or image.ndim != 4 or image.shape[1] != 3:
        came = tuple(image.shape) if isinstance(image, torch.Tensor) else type(image).__name__
        raise DataError(f"expected pixels of shape (B, 3, H, W), got {came}")


def check_ids(text: Any, room: int) -> None:
    """Raises DataError unless ``text`` is a tensor (N, L) of integers, L up to ``room``, ConfigError in jit.trace."""
    if torch.jit.is_tracing():
        raise ConfigError(
            "torch.jit.trace would keep the lengths of the texts that it sees, and read others wrongly; use "
            "torch.export or torch.compile, or opendas-export --to onnx"
        )
    if not isinstance(text, torch.Tensor):
        raise DataError(
            f"expected token ids (N, {room}), got a {type(text).__name__}; give tokenize(texts), as "
            "clip.encode_text(clip.tokenize(texts))"
        )
    if text.ndim != 2 or not 1 <= text.shape[1] <= room or text.is_floating_point():
        raise DataError(f"expected token ids of shape (N, {room}) integers, got {tuple(text.shape)} of {text.dtype}")


def check_known(ids: torch.Tensor, known: int) -> None:
    """Raises DataError unless all of ``ids``, (N, L) on the CPU, are of the ``known`` ones that a text tower has."""
    if ((ids < 0) | (ids >= known)).any():
        odd = int(ids[(ids < 0) | (ids >= known)][0])
        raise DataError(
            f"expected token ids from 0 to {known - 1}, got {odd}: they are another tokenizer's; give tokenize(texts)"
        )
