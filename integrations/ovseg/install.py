"""Everything that one process of OVSeg needs, installed before its script runs; spawned workers install it again."""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrations.ovseg.errors import OVSegError

LOGGER = logging.getLogger("integrations.ovseg")
_installed = False


@dataclass(frozen=True)
class Installation:
    """What a run was asked for; it travels to spawned workers."""

    root: Path
    backend: str = "stock"
    adapter: Path | None = None
    base: str = "weights"
    text: str = "both"
    chunk: int | None = None
    cache: Path | None = None
    dataset: Path | None = None
    host_fixes: bool = True


class WorkerMain:
    """``main_func`` of detectron2's ``launch``, which installs the patches in whichever process calls it.

    A spawned worker imports OVSeg's script anew and knows nothing of the launcher: without this it would write the
    stock predictions and say nothing.
    """

    def __init__(self, main: Callable[..., Any], settings: Installation) -> None:
        self.main, self.settings = main, settings

    def __call__(self, *args: Any) -> Any:
        """Installs, then calls OVSeg's own ``main``."""
        install(self.settings, told=True)
        return self.main(*args)


def install(settings: Installation, *, told: bool = False) -> None:
    """Patches OVSeg's classes and detectron2's ``launch`` in this process; a second call does nothing.

    Args:
        settings: what to install.
        told: the process that started this one has logged what is installed.

    Raises:
        OVSegError: the environment lacks detectron2, or the adapter or the dataset cannot be read.
    """
    global _installed
    if _installed:
        return
    if str(settings.root) not in sys.path:
        sys.path.insert(1, str(settings.root))
    if importlib.util.find_spec("detectron2") is None:
        raise OVSegError(
            f"detectron2 is not installed for {sys.executable}; build it from source, with setuptools < 81: "
            "pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2.git"
        )
    _log_from_main_process()
    if told:
        LOGGER.setLevel(logging.WARNING)
    if settings.host_fixes:
        from integrations.ovseg import hostfixes

        hostfixes.fix_environment(settings.root)
        import open_vocab_seg  # noqa: F401  (OVSeg registers its models and datasets)

        hostfixes.fix_crashes()
    if settings.dataset is not None:
        from integrations.ovseg import datasets

        datasets.register(settings.dataset)
    if settings.backend == "opendas" and settings.adapter is not None:
        _install_adapter(settings, settings.adapter)
    _install_launch(settings)
    LOGGER.setLevel(logging.INFO)
    _installed = True


def _install_adapter(settings: Installation, folder: Path) -> None:
    """Attaches the adapter to every CLIP adapter of OVSeg at its construction, before weights are loaded."""
    from open_vocab_seg import config
    from open_vocab_seg.modeling.clip_adapter.adapter import MaskFormerClipAdapter

    from integrations.ovseg.adapter import read_adapter
    from integrations.ovseg.patching import Patch

    adapter = read_adapter(folder)
    LOGGER.info(
        "adapter %s, learnt on %s: base %s, text %s", adapter.folder, adapter.backbone, settings.base, settings.text
    )
    construct, add_config = MaskFormerClipAdapter.__init__, config.add_our_config

    @functools.wraps(construct)
    def construct_with_adapter(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        Patch(
            self, adapter, base=settings.base, text=settings.text, chunk=settings.chunk, cache=settings.cache
        )  # the model keeps it

    @functools.wraps(add_config)
    def add_config_with_adapter(cfg: Any) -> None:
        add_config(cfg)
        cfg.MODEL.CLIP_ADAPTER.PROMPT_CHECKPOINT = str(folder)  # OVSeg declares it and never reads it

    MaskFormerClipAdapter.__init__ = construct_with_adapter
    config.add_our_config = add_config_with_adapter


def _install_launch(settings: Installation) -> None:
    from detectron2 import engine

    launch = engine.launch

    @functools.wraps(launch)
    def launch_installed(main_func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return launch(WorkerMain(main_func, settings), *args, **kwargs)

    engine.launch = launch_installed


def _log_from_main_process() -> None:
    """Sends this package's messages to stderr, from rank 0 alone."""
    from detectron2.utils import comm

    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    LOGGER.handlers = [logging.StreamHandler() if comm.is_main_process() else logging.NullHandler()]
    LOGGER.handlers[0].setFormatter(logging.Formatter("[opendas] %(message)s"))
