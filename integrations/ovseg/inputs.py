"""The files that a run of OVSeg's evaluation reads, so that its predictions are made again when one of them changes."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from opendas_plugin.stamps import Inputs
from opendas_plugin.version import __version__

CODE = ("*.py", "open_vocab_seg/**/*.py", "third_party/**/*.py")
"""What of a checkout runs."""


def run_inputs(root: Path, arguments: Sequence[str], pictures: Iterable[Path], files: Iterable[Path]) -> Inputs:
    """What predictions are made from; paths in arguments and configurations are relative to the current folder.

    Args:
        root: the checkout, whose code counts.
        arguments: of ``train_net.py``: files among them, and what a configuration names, such as MODEL.WEIGHTS.
        pictures: of the dataset.
        files: what else is read, such as the adapter's files.
    """
    texts = [text for argument in arguments for text in (argument, argument.partition("=")[2])]
    texts += [text for config in _configs(texts) for text in _texts(_read_config(config))]
    texts += _default_clips(root)
    code = [path for pattern in CODE for path in root.glob(pattern)]
    named = [Path(text) for text in dict.fromkeys(texts) if _is_file(text)]
    paths = [*files, *named, *_downloaded(texts), *_configs(texts), *code, *pictures]
    values = {
        "arguments": list(arguments),
        "DETECTRON2_DATASETS": os.environ.get("DETECTRON2_DATASETS"),
        "opendas-plugin": __version__,
        "torch": str(torch.__version__),
    }
    return Inputs({str(path): path for path in (path.absolute() for path in paths)}, values)


def _configs(texts: Iterable[str]) -> Iterator[Path]:
    """The YAML files among the texts, and those that they are based on."""
    waiting = [Path(text) for text in texts if text.endswith((".yaml", ".yml")) and _is_file(text)]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        yield path
        base = _read_config(path).get("_BASE_", [])
        waiting += [path.parent / Path(name).expanduser() for name in _texts(base)]


def _read_config(path: Path) -> Mapping[str, Any]:
    with contextlib.suppress(OSError, ValueError, yaml.YAMLError):  # OVSeg says what is wrong with it
        content = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)  # noqa: S506  (a safe loader)
        return content if isinstance(content, dict) else {}
    return {}


class _Loader(yaml.SafeLoader):
    """Reads OVSeg's configurations, which have ``!!python/object/apply:eval`` in them: not followed, but left out."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _default_clips(root: Path) -> Iterator[str]:
    """The CLIP that OVSeg's own configuration names."""
    for path in root.glob("open_vocab_seg/**/config*.py"):
        yield from re.findall(r"CLIP_MODEL_NAME\s*=\s*[\"']([^\"']+)[\"']", path.read_text(encoding="utf-8"))


def _downloaded(texts: Iterable[str]) -> Iterator[Path]:
    """Where OpenAI's package keeps the CLIPs among the texts, such as ViT-L/14."""
    folder = Path.home() / ".cache" / "clip"
    for text in dict.fromkeys(texts):
        if re.fullmatch(r"(ViT|RN)[\w/@-]+", text):
            yield folder / f"{text.replace('/', '-')}.pt"


def _is_file(text: str) -> bool:
    try:
        return bool(text) and Path(text).is_file()
    except (OSError, ValueError):  # a text that cannot be a path
        return False
