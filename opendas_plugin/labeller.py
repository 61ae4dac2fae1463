"""The front door: names the masks of an image by words.

::

    labeller = Labeller("runs/office/adapter", ["door", "door frame", "desk"])
    labels = labeller("photo.jpg", masks)
    labels.names  # one a mask

Every command that names something goes through it, so one rule says which template and which crops are taken.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip import OPENAI_IMAGENET_TEMPLATES
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize as unit
from tqdm import tqdm

from opendas_plugin.classifier import Names, Template, TextClassifier
from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.images import convert_image, read_image
from opendas_plugin.data.loader import CropLoader, SegmentCrops
from opendas_plugin.data.mask_inputs import read_boxes, read_masks
from opendas_plugin.data.packed import PackedCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.dense import DensePooling
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.labels import Labels
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.devices import pick_device
from opendas_plugin.model.loading import load_clip
from opendas_plugin.names import NameTable
from opendas_plugin.support import DEFAULT_WEIGHT, Support

logger = logging.getLogger(__name__)


class Labeller:
    """Names the masks of images by words: the name whose text feature has the highest cosine with the mask's crop.

    The texts are encoded once, here. Template and crops are the caller's, else the adapter's, else those of a
    vocabulary, else the defaults; size, pixel statistics and interpolation are always the backbone's own.
    """

    def __init__(
        self,
        clip: OpenDASCLIP | str | Path,
        names: Names,
        *,
        template: Template | None = None,
        crops: CropPolicy | Mapping[str, Any] | None = None,
        batch_size: int = 64,
        workers: int = 2,
        ensemble: bool = False,
        calibrated: bool = False,
        autocast: bool | None = None,
        crop_cache: Path | None = None,
        pooling: Literal["crops", "dense"] | DensePooling = "crops",
        device: str | torch.device = "auto",
    ) -> None:
        """Encodes the names.

        Args:
            clip: a CLIP with or without an adapter; or an adapter's folder or hub id; or a backbone, as
                ``ViT-L-14/openai``, a file in OpenAI's format, or ``office-tiny``.
            names: the names that compete; or a mapping of each name to its synonyms, whose features are averaged with
                the name's own; or a vocabulary.
            template: a text with one ``{}`` for the name, or several, whose features are averaged; see above.
            crops: how a mask becomes a crop, see above; a mapping changes some of its fields.
            batch_size: crops a forward.
            workers: threads that decode and crop ahead.
            ensemble: take the mean over the 80 templates that CLIP was published with; for plain CLIP.
            calibrated: take the adapter's calibration from the cosines of the names that it was trained with.
            autocast: run the visual tower in bf16 autocast; None: on CUDA. Texts and cosines are float32.
            crop_cache: folder that keeps the crops of labelled segments (:meth:`segments`) from one run to the next.
            pooling: ``crops``: each mask is cut out and encoded; ``dense``: the masks of a picture have the means of
                the patch features of one pass (:class:`~opendas_plugin.dense.DensePooling`); compare the names
                with those by crops first.
            device: where to load a CLIP that is given by its name.

        Raises:
            DataError: no name, an empty or repeated one, a text that does not fit the context, or a template without
                one ``{}``.
            ConfigError: settings that this CLIP cannot follow.
        """
        for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0)):
            if not isinstance(value, int) or value < least:
                raise ConfigError(f"expected {name} to be a whole number of {least} or more, got {value!r}")
        if not isinstance(clip, OpenDASCLIP | str | Path):
            raise ConfigError(f"expected an OpenDASCLIP, an adapter or a backbone's name, got {type(clip).__name__}")
        self.clip = clip if isinstance(clip, OpenDASCLIP) else load_clip(clip, pick_device(device))
        self.batch_size, self.workers, self.autocast = batch_size, workers, autocast
        self.crop_cache = crop_cache
        self.pooling = _pooling(pooling)
        self.crops = self._choose_crops(crops)
        self._template = template
        self.text = TextClassifier(self.clip, names, template, ensemble=ensemble, calibrated=calibrated)

    def __call__(self, image: Any, masks: Any = None, *, boxes: Any = None) -> Labels:
        """Names the masks of an image.

        Args:
            image: a path, a PIL image, or uint8 (H, W, 3) RGB.
            masks: M masks in any form of :func:`~opendas_plugin.data.mask_inputs.read_masks`: bool (M, H, W) numpy or
                torch, run-length codes, ``SamAutomaticMaskGenerator``'s list, supervision's ``Detections``.
            boxes: (M, 4) x0 y0 x1 y1 in pixels in place of masks; all of a box is its mask.

        Raises:
            DataError: something else, masks of another size than the image, or an image that cannot be read.
        """
        features = torch.from_numpy(self.features(image, masks, boxes=boxes))
        full = features.any(dim=1)
        cosines = torch.full((len(features), len(self.classes)), torch.nan)
        cosines[full] = self.text.cosines(features[full])
        indices = torch.full((len(features),), -1)
        indices[full] = self.text.choose(cosines[full])
        return Labels(
            names=tuple(None if place < 0 else self.classes[place] for place in indices.tolist()),
            indices=indices.numpy(),
            cosines=cosines.numpy(),
            probabilities=self.text.probabilities(cosines).numpy(),
            empty=~full.numpy(),
            classes=self.classes,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The N names that compete."""
        return self.text.classes

    def features(self, image: Any, masks: Any = None, *, boxes: Any = None) -> NDArray[np.float32]:
        """Encodes the masks of an image: features (M, D) of unit length, a row of zeros for an empty mask.

        The arguments and errors are those of calling the labeller.
        """
        if (masks is None) == (boxes is None):
            raise ConfigError("expected masks or boxes, one of the two")
        picture = _read_picture(image)
        read, given = (read_boxes, boxes) if masks is None else (read_masks, masks)
        regions = read(given, *picture.shape[:2])
        full = np.array([place for place, region in enumerate(regions) if region.area], dtype=np.int64)
        kept = [regions[place] for place in full]
        if self.pooling is not None and kept:
            found = np.zeros((len(regions), self.clip.feature_width), dtype=np.float32)
            found[full] = self.pooling.features(self.clip, picture, kept).cpu().numpy()
            return found
        source = SegmentCrops(kept, self.crops, pixels=self.clip.pixels, images=lambda path: picture)
        found = np.zeros((len(regions), self.clip.feature_width), dtype=np.float32)
        for index, batch in self.pixels(source):
            found[full[index.numpy()]] = unit(self._encode(batch), dim=-1).cpu().numpy()
        return found

    def with_names(self, names: Names, template: Template | None = None) -> Labeller:
        """A labeller for other names, else as this one; it shares the CLIP and, for names of both, the support."""
        other = copy.copy(self)
        other._template = self._template if template is None else template
        settings = {"ensemble": self.text.ensemble, "calibrated": self.text.calibrated}
        other.text = TextClassifier(self.clip, names, other._template, **settings).with_support(self.text.support)
        return other

    def with_support(
        self,
        images: Sequence[Any],
        masks: Sequence[Any],
        names: Sequence[Sequence[str | None]],
        *,
        weight: float = DEFAULT_WEIGHT,
    ) -> Labeller:
        """A labeller that knows some of its names by labelled segments, too, one to five of each; nothing is trained.

        ::

            labeller.with_support(["hall.jpg"], [masks], [["sofa", "sofa", None]])  # the third shows something else

        Args:
            images: pictures, each as in calling the labeller.
            masks: the masks of each picture, likewise.
            names: the name of each mask, one of the names that compete, or None for another thing, which helps to tell
                what is particular to the named ones. Support of a single name needs some.
            weight: share of what the segments say in a name's feature; the rest is the words'
                (:mod:`opendas_plugin.support` has the formula).

        Raises:
            DataError: names that do not compete, an empty mask, lists of unequal length, or what a call raises.
            ConfigError: a weight outside 0 to 1, or a CLIP whose text features depend on the image (CoCoOp).
        """
        if isinstance(images, str | Path | Image.Image) or not len(images) == len(masks) == len(names):
            raise DataError("expected lists of pictures, of their masks and of the masks' names, of one length")
        if not len(images):
            raise DataError("the support holds no picture; give some, or leave it out")
        given = [list(own) for own in names]
        if odd := [name for own in given for name in own if not isinstance(name, str | None)]:
            raise DataError(f"expected the names of the support as texts, or None for another thing, got {odd[0]!r}")
        found_as = NameTable(self.classes).find_all({name for own in given for name in own if name is not None})
        if unknown := [name for own in given for name in own if name is not None and found_as[name] is None]:
            raise DataError(
                f"{unknown[0]!r} is none of the {len(self.classes)} names that compete; name it None, or add it"
            )
        features = [self.features(*pair) for pair in zip(images, masks, strict=True)]
        if [len(own) for own in features] != [len(own) for own in given]:
            raise DataError("expected a name for each mask of every picture; None stands for another thing")
        found = torch.from_numpy(np.concatenate(features))
        if not found.any(dim=1).all():
            raise DataError("a mask of the support is empty; leave it out")
        return self._supported(Support(found, tuple(name for own in given for name in own), weight))

    def with_segments(self, segments: Sequence[Segment], *, weight: float = DEFAULT_WEIGHT) -> Labeller:
        """Like :meth:`with_support`, by labelled segments; labels that do not compete count as None."""
        found = torch.zeros(len(segments), self.clip.feature_width)
        for index, pixels in self.pixels(SegmentCrops(segments, self.crops, pixels=self.clip.pixels), "encode support"):
            found[index] = unit(self._encode(pixels), dim=-1).cpu()
        found_as = NameTable(self.classes).find_all(dict.fromkeys(segment.label for segment in segments))
        return self._supported(Support(found, tuple(found_as[segment.label] for segment in segments), weight))

    def _supported(self, support: Support) -> Labeller:
        other = copy.copy(self)
        other.text = self.text.with_support(support)
        return other

    def with_crops(self, crops: CropPolicy) -> Labeller:
        """A labeller with other crops, else as this one; it shares the CLIP and the encoded names.

        Raises:
            ConfigError: this one has support, which was encoded from its own crops.
        """
        if self.text.support is not None:
            raise ConfigError("the support was encoded from other crops; choose the crops first, then give the support")
        other = copy.copy(self)
        other.crops = crops.at(self.clip.image_size)
        return other

    def segments(self, segments: Sequence[Segment]) -> Iterator[tuple[Tensor, Tensor]]:
        """Compares segments of any number of images with the names, a batch at a time, with a progress bar.

        Yields:
            which segments a batch has, (B,), and their cosines (B, N), float32 on the CPU. Labels are not looked at.
        """
        for index, features in self.segment_features(segments):
            yield index, self.text.cosines(features)

    def segment_features(self, segments: Sequence[Segment]) -> Iterator[tuple[Tensor, Tensor]]:
        """Encodes segments of any number of images, a batch at a time, with a progress bar.

        Yields:
            which segments a batch has, (B,), and their features (B, D), float32 on the CLIP's device, of any length.
        """
        if self.pooling is not None:
            for index, regions in _by_picture(segments):
                yield index, self.pooling.features(self.clip, read_image(regions[0].image), regions)
            return
        kept = None
        if self.crop_cache is not None:
            kept = PackedCrops(self.crop_cache, segments, self.crops, self.clip.pixels)
        for index, pixels in self.pixels(SegmentCrops(segments, self.crops, kept, self.clip.pixels), "classify"):
            yield index, self._encode(pixels)

    def pixels(self, crops: SegmentCrops, progress: str | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields which crops a batch has, (B,), and its pixels (B, 3, S, S) on the CLIP's device, ready to encode.

        Args:
            crops: of segments, by this labeller's ``crops``.
            progress: what a progress bar says; None: there is none.
        """
        crops.require(self.clip.pixels)
        device, size = self.clip.logit_scale.device, self.batch_size
        batches = [range(start, min(start + size, len(crops))) for start in range(0, len(crops), size)]
        loader = CropLoader(crops, batches, workers=self.workers)
        bar = tqdm(loader, total=len(batches), desc=progress, unit="batch", disable=None if progress else True)
        for batch, index in bar:
            yield index, self.clip.pixels.normalise(batch.to(device, non_blocking=True))

    @torch.no_grad()
    def _encode(self, pixels: Tensor) -> Tensor:
        """Image features (B, D), float32."""
        device = self.clip.logit_scale.device
        autocast = device.type == "cuda" if self.autocast is None else self.autocast
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
            return self.clip.encode_image(pixels).float()

    def __repr__(self) -> str:
        return (
            f"Labeller of {len(self.classes)} names by {self.clip.backbone.title}, {self.text.template}, {self.crops}"
        )

    def facts(self) -> dict[str, Any]:
        """What a report says of how names were given: the backbone, the template, the crops, and what was asked for."""
        text, templates = self.text, self.text.template
        about: dict[str, Any] = {
            "backbone": self.clip.backbone.title,
            "template": templates[0] if len(templates) == 1 else list(templates),
            "crop": self.crops.to_dict(),
        }
        about |= {"pooling": asdict(self.pooling)} if self.pooling else {}
        about |= {"calibration": self.clip.config.calibration} if text.calibrated else {}
        about |= {"support": {"weight": text.support.weight, "segments": text.support.counts}} if text.support else {}
        return about | ({"ensemble": len(OPENAI_IMAGENET_TEMPLATES)} if text.ensemble else {})

    def _choose_crops(self, given: CropPolicy | Mapping[str, Any] | None) -> CropPolicy:
        """The caller's, else the adapter's, else the default, at the backbone's size."""
        stored = self.clip.config.crop_policy if self.clip.is_saved else None
        found = stored or CropPolicy()
        chosen = given if isinstance(given, CropPolicy) else CropPolicy.from_dict({**found.to_dict(), **(given or {})})
        found, chosen = found.at(self.clip.image_size), chosen.at(self.clip.image_size)
        if stored is not None and chosen != found:
            logger.warning("the adapter was trained with the crop policy %s; another is used", found.to_dict())
        return chosen


def _pooling(given: Any) -> DensePooling | None:
    if given in ("crops", "dense"):
        return DensePooling() if given == "dense" else None
    if not isinstance(given, DensePooling):
        raise ConfigError(f"expected pooling to be crops, dense or a DensePooling, got {given!r}")
    return given


def _by_picture(segments: Sequence[Segment]) -> Iterator[tuple[Tensor, list[Segment]]]:
    places: dict[Path, list[int]] = {}
    for place, segment in enumerate(segments):
        places.setdefault(segment.image, []).append(place)
    for found in tqdm(places.values(), "classify", unit="image", disable=None):
        yield torch.tensor(found), [segments[place] for place in found]


def _read_picture(image: Any) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), RGB."""
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, Image.Image):
        return convert_image(image, "the image")
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        came = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DataError(f"expected a path, a PIL image or an RGB image as uint8 (H, W, 3), got {came}")
    return image
