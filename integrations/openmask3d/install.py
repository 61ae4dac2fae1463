"""What one run of an OpenMask3D script needs, installed before the script's own work starts.

Methods of OpenMask3D's classes are replaced on the classes themselves, so that it does not matter which script has
imported them already.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from integrations.openmask3d import hostfixes
from integrations.openmask3d.clips import ClipLoader
from integrations.openmask3d.extractor import (
    Extractor,
    Overrides,
    describe_host,
    random_state,
    read_overrides,
    require_sam,
)
from integrations.openmask3d.hostfiles import HostFiles
from opendas_plugin.errors import MissingDependencyError
from opendas_plugin.scenes.feature_source import FeatureSource

logger = logging.getLogger("integrations.openmask3d")


def install(
    arguments: Sequence[str], *, features: bool = False, host_fixes: bool = True, clip_model: str | None = None
) -> ClipLoader:
    """Patches ``clip.load`` and what the script at hand uses; a second call does nothing.

    Args:
        arguments: the script's, among them ``+opendas.<name>=<value>``.
        features: the script computes features, so that SAM's package and open3d are there.
        host_fixes: mend what keeps OpenMask3D from running on current libraries.
        clip_model: the CLIP that stands in for those written into the scripts.

    Returns:
        The wrapper of ``clip.load``.

    Raises:
        MissingDependencyError: a package that OpenMask3D needs is not installed.
        ConfigError: an override that does not exist.
    """
    overrides = read_overrides(arguments)
    clip = _import("clip", "git+https://github.com/openai/CLIP.git")
    if (clips := ClipLoader.at_work(clip)) is not None:
        return clips
    _log_to_stderr()
    clips = ClipLoader(clip, host_fixes=host_fixes, always=clip_model)
    if host_fixes:
        hostfixes.fix_libraries()
    files = HostFiles(clips, host_fixes=host_fixes)
    if features:
        _install_features(clips, overrides, files)
    return clips


def _install_features(clips: ClipLoader, overrides: Overrides, files: HostFiles) -> None:
    _import("segment_anything", "segment-anything")
    load = importlib.import_module("openmask3d.data.load")
    host: Any = importlib.import_module("openmask3d.mask_features_computation.features_extractor")
    if files.host_fixes:
        host.run_sam = hostfixes.accept_empty_masks(host.run_sam)
    if overrides.extractor == "ours":
        load.Images.load_images = lambda images, indices: _Undecoded(images, indices)
    _read_masks(load.InstanceMasks3D, files.host_fixes)
    _replace_extractor(host, overrides, clips, files)


class _Undecoded(Sequence[Any]):
    """Pictures of OpenMask3D's ``Images`` that are decoded when they are asked for; our features never ask."""

    def __init__(self, images: Any, indices: Sequence[int]) -> None:
        self.paths = [Path(images.images_path, f"{index}{images.extension}") for index in indices]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        return Image.open(self.paths[index]).convert("RGB")


def _read_masks(kind: type, host_fixes: bool) -> None:
    """Reads masks of every form, and keeps their path, of which the features' name is made."""
    construct: Callable[..., None] = kind.__init__  # type: ignore[misc]

    @functools.wraps(construct)
    def construct_with_path(self: Any, masks_path: str) -> None:
        if host_fixes:
            self.masks = hostfixes.read_host_masks(masks_path)
            self.num_masks = self.masks.shape[1]
        else:
            construct(self, masks_path)
        self.opendas_path = masks_path

    kind.__init__ = construct_with_path  # type: ignore[misc]


def _replace_extractor(host: Any, overrides: Overrides, clips: ClipLoader, files: HostFiles) -> None:
    kind = host.FeaturesExtractor
    construct, extract = kind.__init__, kind.extract_features
    load_sam = functools.lru_cache(maxsize=1)(host.initialize_sam_model)  # one SAM for all scenes
    names = inspect.signature(construct)

    @functools.wraps(construct)
    def construct_ours(self: Any, *args: Any, **kwargs: Any) -> None:
        arguments = names.bind(self, *args, **kwargs).arguments
        files.described.clear()
        if overrides.extractor == "host":
            require_sam(overrides, arguments["sam_checkpoint"])
            construct(self, *args, **kwargs)
            self.opendas_host = arguments
        else:
            self.opendas = Extractor(overrides, clips, load_sam, arguments)

    @functools.wraps(extract)
    def extract_ours(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = inspect.signature(extract).bind(self, *args, **kwargs)
        bound.arguments.pop("self")
        if files.host_fixes:
            hostfixes.make_folder(bound.arguments["out_folder"])
        if overrides.extractor == "host":
            if overrides.seed is not None:
                random_state(None).seed(overrides.seed)
            source = clips.loaded or FeatureSource(self.opendas_host["clip_model"], self.clip_model)
            files.described.update(describe_host(source, self.opendas_host, bound.arguments, overrides.seed))
            return extract(self, *args, **kwargs)
        features = self.opendas.extract(**bound.arguments)
        files.described.update(self.opendas.described)
        return features

    kind.__init__, kind.extract_features = construct_ours, extract_ours


def _import(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"OpenMask3D needs {name}, which cannot be imported ({error}); pip install {package}"
        ) from error


def _log_to_stderr() -> None:
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [logging.StreamHandler(sys.stderr)]
    logger.handlers[0].setFormatter(logging.Formatter("[opendas] %(message)s"))
