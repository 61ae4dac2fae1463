"""What users name backbones, weights and adapters by, looked at before anything is read or asked from a server."""

from __future__ import annotations

import difflib
from pathlib import Path

from opendas_plugin.errors import ConfigError
from opendas_plugin.model.tiny_clips import OFFICE_TINY, TINY_CLIPS

RANDOM = "random"
"""What ``pretrained`` is where random weights are meant."""
CONFIG_FILE = "adapter_config.json"
BACKBONE_FILES = ("open_clip_config.json", "config.json")
"""What describes a model in a folder that open_clip or transformers has saved."""
_SHOWN = 10
WEIGHT_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")


def require_weights(backbone: str, pretrained: str | None) -> None:
    """Checks that a user says which weights a backbone has, and does not name something else by it.

    Args:
        backbone: open_clip's name of a model, the path of an OpenAI-format file, or a tiny CLIP's name.
        pretrained: a tag, a weight file, ``random``, or None where the backbone brings its own.

    Raises:
        ConfigError: a model of open_clip without weights, or no backbone at all.
    """
    if brings_weights(backbone):
        return
    if (reason := no_backbone(backbone)) is not None:
        raise ConfigError(reason)
    if pretrained is None and is_model(backbone):
        raise ConfigError(
            f"{backbone} does not say which weights; give `pretrained` with a tag ({tags(backbone)}), a weight file, "
            f"or the word {RANDOM} for random weights"
        )


def brings_weights(backbone: str) -> bool:
    """Whether what is named is a model and its weights: a file, or a folder of transformers or open_clip."""
    return Path(backbone).is_file() or is_backbone_folder(backbone)


def is_backbone_folder(path: str | Path) -> bool:
    """Whether a folder describes a model of transformers or of open_clip."""
    return any((Path(path) / name).is_file() for name in BACKBONE_FILES)


def no_backbone(name: str) -> str | None:
    """What a name is that is no backbone's, and how it is given instead; None where that is not known."""
    folder, (model, _, tag) = Path(name), name.partition("/")
    if (folder / CONFIG_FILE).is_file():
        return (
            f"{name} is an adapter, not a backbone; give it as `adapter`, to train on from it as `start`: it names its "
            "own backbone"
        )
    if (folder / "adapter" / CONFIG_FILE).is_file():
        return (
            f"{name} is the folder of a training, not a backbone; give {folder / 'adapter'} as `adapter`, to train on "
            "from it as `start`"
        )
    if folder.is_dir() and not is_backbone_folder(folder):
        return (
            f"{name} is a folder without a model; a backbone is open_clip's name of a model, a file, a folder that "
            f"transformers or open_clip has saved ({' or '.join(BACKBONE_FILES)} in it), or {OFFICE_TINY}"
        )
    if tag and is_model(model) and not is_model(name):
        return f"{name} is a model and its weights; give {model} as `backbone` and {tag} as `pretrained`"
    return None


def no_adapter(name: str) -> str | None:
    """What a name is that is no adapter's, and how it is given instead; None where that is not known."""
    path = Path(name)
    if path.is_dir():
        if not (path / CONFIG_FILE).is_file() and is_backbone_folder(path):
            return f"{name} is a backbone, not an adapter; give it as `backbone`"
        inner = path / "adapter"
        if not (path / CONFIG_FILE).is_file() and (inner / CONFIG_FILE).is_file():
            return f"{name} is the folder of a training, not an adapter; give the adapter in it, {inner}"
        return None
    if path.is_file():
        if (path.parent / CONFIG_FILE).is_file():
            return f"{name} is a file of an adapter; give its folder, {path.parent}"
        return f"{name} is a file, and an adapter is a folder; give a weight file as `backbone` or `pretrained`"
    if name in TINY_CLIPS or is_model(name):
        return f"{name} is a backbone, not an adapter; give it as `backbone`"
    if "/" in name and path.parent.is_dir():
        near = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir() if other.is_dir()])
        found = f" ({path.parent} has {' and '.join(near)})" if near else ""
        return f"there is no adapter {name}{found}; check the path"
    if name.count("/") > 1 or name[:1] in ("", ".", "/", "~"):
        return f"there is no adapter {name}; check the path"
    return None


def is_model(name: str) -> bool:
    """Whether open_clip has a model of this name, with a slash for a hyphen or without."""
    import open_clip

    return name.replace("/", "-") in open_clip.list_models()


def tags(name: str) -> str:
    """The tags of open_clip's weights for a model of it, in words."""
    import open_clip

    found = open_clip.list_pretrained_tags_by_model(name.replace("/", "-"))
    shown = found if len(found) <= _SHOWN else [*found[:_SHOWN], "..."]
    return ", ".join(shown) or "it has none"


def similar(name: str) -> str:
    """Names of models like one that is none, in words for the end of a sentence; empty where there are none."""
    import open_clip

    known = [*TINY_CLIPS, *open_clip.list_models()]
    found = difflib.get_close_matches(name.replace("/", "-"), known, 3, 0.8)
    return f" (is it {' or '.join(found)}?)" if found else ""
