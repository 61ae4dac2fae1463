"""The call of OpenAI's ``clip.load``, for code that was written for OpenAI's package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import open_clip
import torch

from opendas_plugin.errors import AdapterError, ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PREFIX
from opendas_plugin.model.interfaces import OpenAIView
from opendas_plugin.model.naming import CONFIG_FILE, RANDOM, brings_weights, is_backbone_folder, is_model, similar, tags
from opendas_plugin.model.tiny_clips import TINY_CLIPS

ADAPTER = PREFIX
"""What the name of an adapter begins with where names of plain CLIPs are expected."""
_OPENAI_NAMES = {  # what clip.available_models() lists, under open_clip's names
    "ViT-B/32": "ViT-B-32",
    "ViT-B/16": "ViT-B-16",
    "ViT-L/14": "ViT-L-14",
    "ViT-L/14@336px": "ViT-L-14-336",
    "RN50": "RN50",
    "RN101": "RN101",
    "RN50x4": "RN50x4",
    "RN50x16": "RN50x16",
    "RN50x64": "RN50x64",
}


def clip_name(name: str | Path) -> str:
    """The name of a CLIP with ``opendas:`` before a folder that is an adapter's; any other name as it is."""
    name = str(name)
    return f"{PREFIX}{name}" if not name.startswith(PREFIX) and _is_adapter(name) else name


def load(
    name: str | Path, device: str | torch.device = "cpu", *, tokenizer: str | Path | None = None
) -> tuple[OpenAIView, Callable[..., torch.Tensor]]:
    """Loads a CLIP, adapted or plain, as OpenAI's ``clip.load`` does.

    Args:
        name: ``opendas:`` and an adapter's folder or hub id, or just the folder; open_clip's model name and tag or
            weight file, or ``random``, as in ``ViT-L-14/openai``; one of OpenAI's names, as in ``ViT-L/14@336px``; the
            path of an OpenAI-format file, or of a folder that transformers or open_clip has saved; or a tiny CLIP's,
            such as ``office-tiny``. Only a name that asks for a tag's weights downloads them.
        device: where to put it.
        tokenizer: folder of the Hugging Face tokenizer of a backbone that has one, if it is not to be fetched; of an
            adapter's, if it has moved.

    Raises:
        AdapterError: an adapter without text features of its own (CoCoOp), which no pipeline can keep.

    Returns:
        the model, float32, with OpenAI's ``forward``, and its transform of a PIL image into pixels (3, S, S).
    """
    name = clip_name(name)
    if name.startswith(PREFIX):
        clip = OpenDASCLIP.from_pretrained(name, device=device, tokenizer=tokenizer)
        if clip.is_conditional:
            raise AdapterError(
                f"{name}: the {clip.config.method} adapter has no text features of its own, since they depend on the "
                "image, so a pipeline that encodes its names once cannot use it; choose an adapter of another method"
            )
    else:
        clip = OpenDASCLIP.from_backbone(*_backbone(name), device=device, tokenizer=tokenizer)
    return OpenAIView(clip), clip.preprocess


def load_clip(name: str | Path, device: str | torch.device = "cpu", tokenizer: str | Path | None = None) -> OpenDASCLIP:
    """Loads a CLIP by any name of it, for use from Python.

    Args:
        name: an adapter's folder; any name that :func:`load` takes; or an adapter's id on the hub.
        device: where to put it.
        tokenizer: as in :func:`load`.

    Raises:
        MissingFileError: there is no such thing.
    """
    text = str(name)
    model = text.partition("/")[0]
    is_adapter = _is_adapter(text) or (
        "/" in text and not brings_weights(text) and text not in _OPENAI_NAMES and model not in open_clip.list_models()
    )
    if text.startswith(PREFIX) or is_adapter:
        return OpenDASCLIP.from_pretrained(text, device=device, tokenizer=tokenizer)
    return OpenDASCLIP.from_backbone(*_backbone(text), device=device, tokenizer=tokenizer)


def _is_adapter(name: str) -> bool:
    """Whether a folder is an adapter's, or at least no backbone's."""
    folder = Path(name)
    return folder.is_dir() and ((folder / CONFIG_FILE).is_file() or not is_backbone_folder(folder))


def _backbone(name: str) -> tuple[str, str | None]:
    if name in _OPENAI_NAMES:
        return _OPENAI_NAMES[name], "openai"
    if name in TINY_CLIPS or brings_weights(name):
        return name, None
    model, _, pretrained = name.partition("/")
    if not pretrained:
        raise ConfigError(
            f"{name!r} does not say which weights{_choices(model)}; expected 'MODEL/TAG' such as 'ViT-L-14/openai' (or "
            f"'MODEL/{RANDOM}' for random weights), an existing file, 'opendas:ADAPTER' or 'office-tiny'"
        )
    return model, pretrained


def _choices(model: str) -> str:
    return f" (tags: {tags(model)})" if is_model(model) else similar(model)
