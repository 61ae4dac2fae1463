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
    base: str | None = None
    """None: not said."""
    text: str | None = None
    """None: not said."""
    chunk: int | None = None
    cache: Path | None = None
    cache_given: bool = False
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
    _find_host(settings.root)
    _log_from_main_process()
    if told:
        LOGGER.setLevel(logging.WARNING)
    if settings.host_fixes:
        import_host(settings.root)
    if settings.dataset is not None:
        from integrations.ovseg import datasets

        datasets.register(settings.dataset)
    if settings.base is None and (settings.host_fixes or settings.backend == "opendas"):
        _refuse_overwriting()
    if settings.backend == "opendas" and settings.adapter is not None:
        _install_adapter(settings, settings.adapter)
    _install_launch(settings)
    _install_setup(settings)
    LOGGER.setLevel(logging.INFO)
    _installed = True


def import_host(root: Path) -> None:
    """Imports OVSeg from a checkout, with the fixes that it needs.

    Raises:
        OVSegError: it is no checkout, or detectron2 is not installed.
    """
    from integrations.ovseg import hostfixes

    if not (root / "open_vocab_seg").is_dir():
        raise OVSegError(f"{root} is no checkout of OVSeg: it has no folder open_vocab_seg")
    root = root.resolve()
    _find_host(root)
    hostfixes.fix_environment(root)
    import open_vocab_seg  # noqa: F401  (OVSeg registers its models and datasets)

    hostfixes.fix_crashes()


def _find_host(root: Path) -> None:
    if str(root) not in sys.path:
        sys.path.insert(1, str(root))
    if importlib.util.find_spec("detectron2") is None:
        raise OVSegError(
            f"detectron2 is not installed for {sys.executable}; build it from source, with setuptools < 81: "
            "pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2.git"
        )


def _install_adapter(settings: Installation, folder: Path) -> None:
    """Attaches the adapter to every CLIP adapter of OVSeg at its construction; what is loaded later is adapted too."""
    from open_vocab_seg import ovseg_model
    from open_vocab_seg.modeling.clip_adapter.adapter import MaskFormerClipAdapter

    from integrations.ovseg.adapter import read_adapter
    from integrations.ovseg.patching import Patch

    adapter = read_adapter(folder)
    check_flags(adapter, settings)
    base, text = settings.base or "weights", settings.text or "both"
    LOGGER.info("adapter %s, learnt on %s: base %s, text %s", adapter.folder, adapter.backbone, base, text)
    construct = MaskFormerClipAdapter.__init__

    @functools.wraps(construct)
    def construct_with_adapter(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        Patch(
            self,
            adapter,
            base=base,
            text=text,
            chunk=settings.chunk,
            cache=settings.cache,
            host_fixes=settings.host_fixes,
        )  # fmt: skip  (the model keeps it)

    MaskFormerClipAdapter.__init__ = construct_with_adapter
    for kind in (ovseg_model.OVSeg, ovseg_model.OVSegDEMO):
        kind.__init__ = _joining(kind.__init__)


def _joining(construct: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(construct)
    def construct_and_join(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        self.clip_adapter.opendas.join(self)

    return construct_and_join


def check_flags(adapter: Any, settings: Installation) -> None:
    """Looks whether every flag that was given has an effect with this adapter.

    Raises:
        OVSegError: one has none.
    """
    where = f"with the adapter {adapter.folder}"
    if settings.text is not None and not adapter.is_learnt("text"):
        raise OVSegError(f"--opendas-text has no effect {where}, which learnt nothing in the text tower; leave it out")
    if settings.text == "both" and adapter.reads:
        raise OVSegError(
            f"--opendas-text both has no effect {where}: its features are longer than those of OVSeg's own branch, and "
            "score the CLIP branch alone; leave it out"
        )
    if settings.cache_given and adapter.is_identity:
        raise OVSegError(f"--opendas-cache has no effect {where}, which learnt nothing; leave it out")


def _refuse_overwriting() -> None:
    """Watches every CLIP that is read from a file, whatever the backend is."""
    from open_vocab_seg.modeling.clip_adapter.adapter import ClipAdapter

    from integrations.ovseg.overwriting import NamedFile

    construct = ClipAdapter.__init__

    @functools.wraps(construct)
    def construct_watched(self: Any, clip_model_name: str, *args: Any, **kwargs: Any) -> None:
        construct(self, clip_model_name, *args, **kwargs)
        if Path(clip_model_name).is_file():
            NamedFile(self.clip_model, clip_model_name)

    ClipAdapter.__init__ = construct_watched


def _install_launch(settings: Installation) -> None:
    from detectron2 import engine

    launch = engine.launch

    @functools.wraps(launch)
    def launch_installed(main_func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return launch(WorkerMain(main_func, settings), *args, **kwargs)

    engine.launch = launch_installed


def _install_setup(settings: Installation) -> None:
    """Looks at the configuration as a script has put it together, before it is written down."""
    from detectron2 import engine

    setup = engine.default_setup

    @functools.wraps(setup)
    def setup_recorded(cfg: Any, args: Any) -> Any:
        if settings.dataset is not None:
            from integrations.ovseg import datasets

            datasets.require_used(settings.dataset, cfg)
        adapter = str(settings.adapter or "") if settings.backend == "opendas" else ""
        given, frozen = cfg.MODEL.CLIP_ADAPTER.PROMPT_CHECKPOINT, cfg.is_frozen()
        if given not in ("", adapter):
            LOGGER.warning(
                "MODEL.CLIP_ADAPTER.PROMPT_CHECKPOINT %s has no effect, and is replaced in the record: this run has %s",
                given, f"the adapter {adapter}" if adapter else "no adapter; give one as --opendas-adapter",
            )  # fmt: skip
        cfg.defrost()
        # OVSeg declares it and never reads it; a configuration of an earlier run holds that run's
        cfg.MODEL.CLIP_ADAPTER.PROMPT_CHECKPOINT = adapter
        if frozen:
            cfg.freeze()
        return setup(cfg, args)

    engine.default_setup = setup_recorded


def _log_from_main_process() -> None:
    """Sends this package's messages to stderr, from rank 0 alone."""
    from detectron2.utils import comm

    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    LOGGER.handlers = [logging.StreamHandler() if comm.is_main_process() else logging.NullHandler()]
    LOGGER.handlers[0].setFormatter(logging.Formatter("[opendas] %(message)s"))
