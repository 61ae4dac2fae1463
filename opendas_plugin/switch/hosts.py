"""Programs that keep features on disk, and how each is led to a place of the adapter's own.

A program is known by a module of it. Nothing heavy is imported here, and nothing of a program's.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

Place: TypeAlias = Callable[[str, "str | os.PathLike[str]"], Path]
"""(program, its own path) -> the path that stands in for it; see :meth:`KeptFeatures.place`."""
Undo: TypeAlias = Callable[[], None]


def _lerf(module: types.ModuleType, place: Place) -> list[Undo]:
    """LERF: features of all tiles of the pictures, in ``outputs/<data>/clip_<backbone>``."""

    def lead(arguments: dict[str, Any]) -> None:
        if "model_name" in arguments["cfg"]:  # DINO's features have none
            arguments["cache_path"] = place("LERF", arguments["cache_path"])

    return [_led(module.FeatureDataloader, "__init__", lead)]


def _hov_sg(module: types.ModuleType, place: Place) -> list[Undo]:
    """HOV-SG: text features of its lists of names, in ``text_feats_*.npy`` in its checkout."""

    def lead(arguments: dict[str, Any]) -> None:
        own = Path(arguments["label_feat_path"], arguments["pre_computed_feats_path"])
        arguments["label_feat_path"] = str(place("HOV-SG", own).parent)

    return [_led(module, "compute_label_feats", lead)]


_OPEN3DIS = re.compile(r"(?:^|[\\/])pretrains[\\/]text_features(?:[\\/][^\\/]+\.pth)?[\\/]?$")


def _open3dis(module: types.ModuleType, place: Place) -> list[Undo]:
    """Open3DIS: text features of ScanNet's names, in ``../pretrains/text_features/*.pth`` from where it is run."""
    import torch

    def lead(path: Any) -> Any:
        if not isinstance(path, str | os.PathLike) or not _OPEN3DIS.search(os.fspath(path)):
            return path
        if os.fspath(path).endswith(".pth"):
            return place("Open3DIS", path)
        return place("Open3DIS", Path(path, "_")).parent

    looks = ((os.path, "exists", "path", 0), (os, "makedirs", "name", 0))
    keeps = ((torch, "load", "f", 0), (torch, "save", "f", 1))
    return [_led_path(*call, lead) for call in (*looks, *keeps)]


HOSTS: dict[str, Callable[[types.ModuleType, Place], list[Undo]]] = {
    "lerf.data.utils.feature_dataloader": _lerf,
    "hovsg.utils.label_feats": _hov_sg,
    "open3dis.dataset": _open3dis,
}
"""A program's module -> what leads it, once the module is there, and returns how that is taken back."""


Change: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]
"""(arguments, arguments by name) -> those to call with instead."""


def _led(owner: Any, name: str, lead: Callable[[dict[str, Any]], None]) -> Undo:
    """Lets ``lead`` change the arguments of a function or method before it is called."""
    names = inspect.signature(getattr(owner, name))

    def change(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        asked = names.bind(*args, **kwargs)
        asked.apply_defaults()
        lead(asked.arguments)
        return asked.args, asked.kwargs

    return _changed(owner, name, change)


def _led_path(owner: Any, name: str, argument: str, position: int, lead: Callable[[Any], Any]) -> Undo:
    """Lets ``lead`` change one argument, by place or name; a program may have put any function there."""

    def change(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if argument in kwargs:
            return args, {**kwargs, argument: lead(kwargs[argument])}
        return (*args[:position], *map(lead, args[position : position + 1]), *args[position + 1 :]), kwargs

    return _changed(owner, name, change)


def _changed(owner: Any, name: str, change: Change) -> Undo:
    own = getattr(owner, name)

    @functools.wraps(own)
    def changed(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = change(args, kwargs)
        return own(*args, **kwargs)

    setattr(owner, name, changed)
    return lambda: setattr(owner, name, own)
