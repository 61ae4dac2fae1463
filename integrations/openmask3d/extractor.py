"""OpenMask3D's feature extractor with our features in it: what its scripts construct and call."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from integrations.openmask3d.clips import ClipLoader
from integrations.openmask3d.features import Crop, Extraction, LevelCrops, PolicyCrops
from integrations.openmask3d.predictors import Predictor
from integrations.openmask3d.settings import FeatureSettings
from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import ConfigError, MissingFileError, OpenDASError
from opendas_plugin.files import read_json
from opendas_plugin.model.config import PREFIX
from opendas_plugin.model.loading import clip_name
from opendas_plugin.scenes.feature_records import describe, record_path, scene_inputs
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.folder import check_numbering, find_views
from opendas_plugin.scenes.mask_arrays import sparse_masks
from opendas_plugin.scenes.mask_features import finished_features
from opendas_plugin.scenes.views import Intrinsics, Views

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overrides:
    """What ``+opendas.<name>=<value>`` sets in a run of OpenMask3D.

    Attributes:
        extractor: who computes the features; ``host`` is the default under plain CLIP names, ``ours`` under adapters.
        crops: ``adapter``: as the adapter was trained on, one a picture; ``upstream``: OpenMask3D's three levels.
        intrinsics: how they are fitted to the depth maps' size: as OpenMask3D does it, or correctly.
        predictor: ``boxes``: the box of the visible points instead of SAM, whose weights are then not needed.
        seed: of the points that SAM is given; none: numpy's generator as it is, as upstream has it.
        batch_size: crops in one batch of CLIP.
        resume: leave scenes out whose features are there and were computed just so.
        force: go on where the points do not fit the depth maps.
    """

    extractor: Literal["ours", "host"] = "ours"
    crops: Literal["upstream", "adapter"] = "upstream"
    intrinsics: Literal["upstream", "correct"] = "upstream"
    predictor: Literal["sam", "boxes"] = "sam"
    seed: int | None = None
    batch_size: int = 64
    resume: bool = False
    force: bool = False


_CHOICES = {
    "extractor": ("ours", "host"),
    "crops": ("upstream", "adapter"),
    "intrinsics": ("upstream", "correct"),
    "predictor": ("sam", "boxes"),
    "resume": ("true", "false"),
    "force": ("true", "false"),
}


def read_overrides(arguments: Sequence[str]) -> Overrides:
    """Reads ``+opendas.<name>=<value>`` from a command line of hydra.

    Raises:
        ConfigError: an unknown name, or a value that cannot be.
    """
    adapted = any(clip_name(value).startswith(PREFIX) for value in _clips(arguments))
    given: set[str] = set()
    found = Overrides(extractor="ours" if adapted else "host")
    known = [field.name for field in fields(Overrides)]
    for argument in arguments:
        key, _, value = argument.lstrip("+").partition("=")
        prefix, _, name = key.partition(".")
        if prefix != "opendas":
            continue
        if name not in known:
            raise ConfigError(f"expected one of opendas.{', opendas.'.join(known)}; got {argument}")
        if value not in _CHOICES.get(name, (value,)) or (name not in _CHOICES and not value.isdecimal()):
            raise ConfigError(f"expected {' or '.join(_CHOICES.get(name, ['a whole number']))} for {key}, got {value}")
        read: Any = value == "true" if name in ("resume", "force") else value if name in _CHOICES else int(value)
        found, given = replace(found, **{name: read}), {*given, name}
    if found.extractor == "host" and (idle := sorted(given - {"extractor", "seed"})):
        raise ConfigError(
            f"+opendas.{idle[0]} has no effect in OpenMask3D's own extractor; leave it out, or add "
            "+opendas.extractor=ours"
        )
    if found.crops == "adapter" and not adapted:
        raise ConfigError("+opendas.crops=adapter needs an adapter: external.clip_model=opendas:FOLDER")
    return found


def _clips(arguments: Sequence[str]) -> list[str]:
    """The values of ``external.clip_model=``."""
    parts = [argument.lstrip("+").partition("=") for argument in arguments]
    return [value for key, _, value in parts if key == "external.clip_model"]


def require_sam(overrides: Overrides, checkpoint: str) -> None:
    """Looks for SAM's weights before the work starts.

    Raises:
        MissingFileError: they are needed and not there.
    """
    if overrides.predictor == "sam" and not Path(checkpoint).is_file():
        ours = " +opendas.extractor=ours" if overrides.extractor == "host" else ""
        raise MissingFileError(
            f"no weights of SAM at {checkpoint} (external.sam_checkpoint); download them, or choose "
            f"+opendas.predictor=boxes{ours}, the box around the visible points, which needs none"
        )


def read_views(host: Mapping[str, Any], scaling: Intrinsics) -> Views:
    """The pictures of the scene that ``FeaturesExtractor`` is given.

    Raises:
        MissingFileError, DataError: a file is missing, or cannot be used.
    """
    camera, images = host["camera"], host["images"]
    return find_views(
        [str(i) for i in images.indices],
        poses=Path(camera.poses_path),
        colour=Path(images.images_path),
        colour_suffix=images.extension,
        depth=Path(camera.depths_path),
        depth_suffix=camera.extension_depth,
        intrinsic=camera.intrinsic,
        intrinsic_size=tuple(camera.intrinsic_original_resolution),
        depth_scale=float(camera.depth_scale),
        scaling=scaling,
    )


def describe_host(
    source: FeatureSource, host: Mapping[str, Any], how: Mapping[str, Any], seed: int | None
) -> dict[str, Any]:
    """The record of features that OpenMask3D's own extractor computes.

    Args:
        source: the CLIP.
        host: the arguments of ``FeaturesExtractor`` by name.
        how: those of its ``extract_features``.
        seed: of the points that SAM is given.
    """
    masks, points = host["masks"].masks, host["pointcloud"].points
    settings = {key: value for key, value in how.items() if key not in ("out_folder", "save_crops")}
    described = describe(source, sparse_masks(masks, len(masks)), {"extractor": "host", "seed": seed, **settings})
    try:
        views = read_views(host, "upstream")
        described["inputs"] = scene_inputs(views, points, sam=host["sam_checkpoint"]).record()
    except OpenDASError as error:  # OpenMask3D goes on with it all the same
        logger.warning("the features' record will not say which pictures, poses and cloud they are of: %s", error)
    return described


class Extractor:
    """One scene, as ``FeaturesExtractor`` of OpenMask3D is given it."""

    def __init__(
        self, overrides: Overrides, clips: ClipLoader, load_sam: Callable[..., Predictor], host: Mapping[str, Any]
    ) -> None:
        """Loads the CLIP and checks the scene; SAM is loaded when it is needed.

        Args:
            overrides: the run's.
            clips: the wrapper of ``clip.load``.
            load_sam: OpenMask3D's ``initialize_sam_model``.
            host: the arguments of ``FeaturesExtractor`` by name.
        """
        self.overrides, self.host = overrides, host
        check_numbering(host["camera"].poses_path)
        require_sam(overrides, host["sam_checkpoint"])
        self.views = read_views(host, overrides.intrinsics)
        self.load_sam = functools.partial(load_sam, host["device"], host["sam_model_type"], host["sam_checkpoint"])
        self.model, self.preprocess = clips(host["clip_model"], host["device"])
        self.clip = clips.loaded or FeatureSource(host["clip_model"], self.model)
        self.described: dict[str, Any] = {}

    def extract(
        self,
        topk: int,
        multi_level_expansion_ratio: float,
        num_levels: int,
        num_random_rounds: int,
        num_selected_points: int,
        save_crops: bool,
        out_folder: str,
        optimize_gpu_usage: bool = False,
    ) -> NDArray[np.float64]:
        """The features (M, D), as ``FeaturesExtractor.extract_features`` is asked for them."""
        settings = FeatureSettings(
            top_k=topk,
            levels=num_levels,
            expansion=multi_level_expansion_ratio,
            threshold=self.host["vis_threshold"],
            rounds=num_random_rounds,
            points=num_selected_points,
            batch_size=self.overrides.batch_size,
        )
        masks = self.host["masks"]
        points, force = self.host["pointcloud"].points, self.overrides.force
        extraction = Extraction(self.views, points, masks.masks, settings, force=force, flag="+opendas.force=true")
        choices = {key: getattr(self.overrides, key) for key in ("crops", "intrinsics", "predictor", "seed")}
        scene = {"pictures": len(self.views), "depth_scale": self.views.depth_scale}
        self.described = describe(self.clip, extraction.projector.masks, {**asdict(settings), **choices, **scene})
        inputs = scene_inputs(self.views, self.host["pointcloud"].points, sam=self._sam_weights())
        if self.overrides.resume:
            for path in _possible_outputs(Path(out_folder), Path(masks.opendas_path)):
                if (finished := finished_features(path, self.described, inputs)) is not None:
                    self.described["inputs"] = read_json(record_path(path))["inputs"]  # OpenMask3D writes it again
                    logger.info("%s is complete and stays", path)
                    return finished
        self.described["inputs"] = inputs.record()
        predictor = None if self.overrides.predictor == "boxes" else self.load_sam()
        self._place(optimize_gpu_usage, predictor, sam_works=True)
        regions = extraction.regions(predictor, random_state(self.overrides.seed))
        self._place(optimize_gpu_usage, predictor, sam_works=False)
        save = Path(out_folder, "crops") if save_crops else None
        return extraction.features(regions, self._crop(settings, save), self._encode)

    def _sam_weights(self) -> str | None:
        return None if self.overrides.predictor == "boxes" else str(self.host["sam_checkpoint"])

    def _crop(self, settings: FeatureSettings, save: Path | None) -> Crop:
        if self.overrides.crops == "adapter":
            return PolicyCrops((self.clip.crops or CropPolicy()).at(self.model.image_size), self.model.pixels)
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
        return LevelCrops(self.preprocess, settings, save)

    def _encode(self, pixels: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.encode_image(pixels.to(self.host["device"]))
        return features

    def _place(self, take_turns: bool, predictor: Predictor | None, *, sam_works: bool) -> None:
        """Leaves the GPU to the one of SAM and CLIP that works, where OpenMask3D's ``optimize_gpu_usage`` asks so."""
        if take_turns and predictor is not None:
            device = torch.device(self.host["device"])
            predictor.model.to(device if sam_works else "cpu")  # type: ignore[attr-defined]
            self.model.to("cpu" if sam_works else device)


def random_state(seed: int | None) -> np.random.RandomState:
    """Numpy's legacy generator: a new one, or without a seed the global one, as upstream uses it."""
    if seed is None:
        return np.random.mtrand._rand
    return np.random.RandomState(seed)


def _possible_outputs(folder: Path, masks: Path) -> list[Path]:
    """The two names that OpenMask3D's scripts give the features of a mask file."""
    stems = (masks.name[:-9], f"scene{masks.name[5:12]}")
    return [folder / f"{stem}_openmask3d_features.npy" for stem in stems]
