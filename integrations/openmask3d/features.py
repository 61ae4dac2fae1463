"""A CLIP feature for each 3D mask of a scene, from crops of the pictures that show it best; needs no host.

The features are OpenMask3D's (Takmaz et al., NeurIPS 2023; FeaturesExtractor.extract_features) for the same state of
numpy's legacy generator, made another way: pictures are decoded when they are needed, SAM's image encoder runs once a
picture instead of once a mask and picture, crops of all masks share CLIP's batches, and visibility is sparse.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse
from torch.nn.functional import normalize as unit
from tqdm import tqdm

from integrations.openmask3d.predictors import Predictor
from integrations.openmask3d.regions import Region, draw_points, find_regions, grown_box
from opendas_plugin.crops import OPENAI_PIXELS, CropPolicy, PixelFormat, crop
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.scenes.agreement import require_agreement
from opendas_plugin.scenes.mask_arrays import sparse_masks
from opendas_plugin.scenes.views import Projector, Views, best_views

logger = logging.getLogger(__name__)

Crop = Callable[[NDArray[np.uint8], Region], Sequence[torch.Tensor]]
"""Turns a picture (H, W, 3) and a region of it into pixels (3, S, S) for CLIP."""


@dataclass(frozen=True)
class FeatureSettings:
    """How features are made; the defaults are those of OpenMask3D's configuration.

    Attributes:
        top_k: pictures a mask.
        levels: crops a picture, from the tight box outwards.
        expansion: how much further each level moves the box's sides, as a fraction of its width and height.
        threshold: how far, in metres, a visible point may lie from the depth map's surface.
        rounds: how often SAM is asked for a mask in a picture.
        points: points that it is given each time.
        batch_size: crops in one batch of CLIP.
    """

    top_k: int = 5
    levels: int = 3
    expansion: float = 0.1
    threshold: float = 0.2
    rounds: int = 10
    points: int = 5
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name in ("top_k", "levels", "rounds", "points", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.expansion < 0 or self.threshold < 0:
            raise ConfigError(f"expansion and threshold must be 0 or more, got {self.expansion}, {self.threshold}")


class Extraction:
    """The features of one scene's masks, in two passes over its pictures: first SAM, then CLIP.

    Nothing between the passes is larger than boxes and the masks inside them, so that one of the two models can leave
    the GPU while the other works.
    """

    def __init__(
        self,
        views: Views,
        points: NDArray,
        masks: NDArray | sparse.spmatrix,
        settings: FeatureSettings,
        *,
        force: bool = False,
        flag: str = "`force`",
    ) -> None:
        """Checks the scene.

        Args:
            views: its pictures.
            points: (N, 3), metres.
            masks: (N, M), above 0 where a point belongs to a mask.
            settings: how.
            force: go on where the points do not fit the depth maps.
            flag: what an error says of how to do so.

        Raises:
            DataError: no pictures, no masks, none with a point, or not one row a point.
        """
        self.settings, self.force, self.flag = settings, force, flag
        if not len(views):
            raise DataError("the scene has no pictures with poses; check the folder of the poses")
        self.projector = Projector(
            views, np.asarray(points, dtype=np.float64), sparse_masks(masks, len(points)), settings.threshold
        )

    def regions(self, predictor: Predictor | None, rng: np.random.RandomState) -> list[Region]:
        """Finds each mask in its pictures.

        Args:
            predictor: SAM; None: the box around a mask's visible points.
            rng: numpy's legacy generator, of which upstream uses the global one.

        Raises:
            DataError: no mask is seen, or the points do not fit the depth maps.
        """
        views = len(self.projector.views)
        counts = self.projector.counts(tqdm(range(views), desc="visible points", unit="picture", disable=None))
        require_agreement(self.projector, force=self.force, flag=self.flag)
        unseen = int((counts.max(axis=0) == 0).sum())
        if unseen == counts.shape[1]:
            raise DataError("no mask is seen in any picture; check that masks, cloud and pictures are of one scene")
        if unseen:
            share = 100 * unseen / counts.shape[1]
            logger.warning(
                "%d of %d masks are seen in no picture (%.0f%%) of %s: their features are 0",
                unseen,
                counts.shape[1],
                share,
                self.projector.views.colour[0].parent,
            )
        best = best_views(counts, self.settings.top_k)
        draws = draw_points(best, counts, self.settings.rounds, self.settings.points, rng)
        order = tqdm(draws, desc="boxes" if predictor is None else "SAM", unit="picture", disable=None)
        return list(find_regions(self.projector, draws, predictor, order))

    def features(
        self, regions: Sequence[Region], crop: Crop, encode: Callable[[torch.Tensor], torch.Tensor]
    ) -> NDArray[np.float64]:
        """Returns the mean of the unit features of each mask's crops, (M, D), 0 for a mask without a region.

        Args:
            regions: by :meth:`regions`.
            crop: what of a picture CLIP gets to see.
            encode: pixels (B, 3, S, S) on the CPU -> features (B, D).
        """
        pieces = self._pixels(regions, crop)
        found: dict[tuple[int, int, int], torch.Tensor] = {}
        for batch in _batches(pieces, self.settings.batch_size):
            with torch.no_grad():
                features = unit(encode(torch.stack([pixels for _, pixels in batch])).float(), dim=-1).cpu()
            found.update(zip((place for place, _ in batch), features, strict=True))
        width = len(next(iter(found.values())))
        result = np.zeros((self.projector.masks.shape[1], width))
        places: dict[int, list[tuple[int, int, int]]] = {}
        for place in sorted(found):
            places.setdefault(place[0], []).append(place)
        for mask, own in places.items():
            result[mask] = torch.stack([found[place] for place in own]).mean(dim=0).numpy()
        return result

    def _pixels(self, regions: Sequence[Region], crop: Crop) -> Iterator[tuple[tuple[int, int, int], torch.Tensor]]:
        """Mask, rank and level of each crop, and its pixels."""
        by_view: dict[int, list[Region]] = {}
        for region in regions:
            by_view.setdefault(region.view, []).append(region)
        for view, own in tqdm(by_view.items(), desc="CLIP", unit="picture", disable=None):
            image = self.projector.views.read_colour(view)
            for region in own:
                for level, pixels in enumerate(crop(image, region)):
                    yield (region.mask, region.rank, level), pixels


class LevelCrops:
    """OpenMask3D's crops: the region's box and larger ones around it, background kept, CLIP's own preprocessing."""

    def __init__(
        self, preprocess: Callable[[Image.Image], torch.Tensor], settings: FeatureSettings, save: Path | None = None
    ):
        """Prepares; ``save``, a folder, keeps each crop as ``crop<mask>_<view>_<level>.png``, as upstream does."""
        self.preprocess, self.settings, self.save = preprocess, settings, save

    def __call__(self, image: NDArray[np.uint8], region: Region) -> Sequence[torch.Tensor]:
        """One crop a level."""
        picture, pixels = Image.fromarray(image), []
        for level in range(self.settings.levels):
            piece = picture.crop(grown_box(region.box, level, self.settings.expansion, region.size))
            if self.save is not None:
                piece.save(self.save / f"crop{region.mask}_{region.view}_{level}.png")
            pixels.append(self.preprocess(piece))
        return pixels


class PolicyCrops:
    """One crop a region, as the adapter's crop policy cuts them: what the adapter saw when it was trained."""

    def __init__(self, policy: CropPolicy, pixels: PixelFormat = OPENAI_PIXELS) -> None:
        self.policy, self.pixels = policy, pixels

    def __call__(self, image: NDArray[np.uint8], region: Region) -> Sequence[torch.Tensor]:
        """The one crop."""
        cut = crop(image, region.whole_mask(), self.policy, self.pixels)
        return [self.pixels.normalise(torch.from_numpy(cut)[None])[0]]


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
