"""A CLIP feature for each 3D mask of a scene, from crops of the pictures that show it best; needs no host.

The features are OpenMask3D's (Takmaz et al., NeurIPS 2023; FeaturesExtractor.extract_features) for the same state of
numpy's legacy generator, made another way: pictures are decoded when they are needed, SAM's image encoder runs once a
picture instead of once a mask and picture, crops of all masks share CLIP's batches, and visibility is sparse.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse
from torch.nn.functional import normalize as unit
from tqdm import tqdm

from integrations.openmask3d.predictors import Predictor
from integrations.openmask3d.regions import Draws, Region, draw_points, find_regions, grown_box
from integrations.openmask3d.settings import FeatureSettings
from opendas_plugin.crops import OPENAI_PIXELS, CropPolicy, PixelFormat, crop
from opendas_plugin.errors import DataError
from opendas_plugin.scenes.agreement import require_agreement
from opendas_plugin.scenes.mask_arrays import sparse_masks
from opendas_plugin.scenes.views import Projector, Views, best_views
from opendas_plugin.wording import some_of

logger = logging.getLogger(__name__)


class Crop(Protocol):
    """Turns a picture (H, W, 3) and a region of it into pixels (3, S, S) for CLIP, :attr:`count` crops a region."""

    @property
    def count(self) -> int:
        """How many."""

    def __call__(self, image: NDArray[np.uint8], region: Region) -> Sequence[torch.Tensor]:
        """Cuts them."""


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
        draws = self.draws(self.counts(range(len(self.projector.views))), rng)
        return list(self.find(draws, predictor, [*draws]))

    def counts(self, views: Sequence[int], *, bar: bool = True) -> NDArray[np.int64]:
        """How many pixels of each mask pictures show, (V, M); ``views``: those that are looked at, others stay 0."""
        return self.projector.counts(tqdm(views, desc="visible points", unit="picture", disable=None if bar else True))

    def draws(self, counts: NDArray[np.int64], rng: np.random.RandomState) -> Draws:
        """Chooses each mask's pictures, and draws points of it in each; arguments and errors: see :meth:`regions`."""
        require_agreement(self.projector, force=self.force, flag=self.flag)
        unseen = int((counts.max(axis=0) == 0).sum())
        if unseen == counts.shape[1]:
            raise DataError("no mask is seen in any picture; check that masks, cloud and pictures are of one scene")
        if unseen:
            logger.warning(
                "%s seen in no picture (%.0f%%) of %s: 0 stands in place of features",
                some_of(unseen, counts.shape[1], "mask", "is", "are"),
                100 * unseen / counts.shape[1],
                self.projector.views.colour[0].parent,
            )
        best = best_views(counts, self.settings.top_k)
        return draw_points(best, counts, self.settings.rounds, self.settings.points, rng)

    def find(
        self, draws: Draws, predictor: Predictor | None, views: Sequence[int], *, bar: bool = True
    ) -> Iterator[Region]:
        """Finds the masks in some of the pictures of ``draws``."""
        what = "boxes" if predictor is None else "SAM"
        order = tqdm(views, desc=what, unit="picture", disable=None if bar else True)
        return find_regions(self.projector, draws, predictor, order)

    def features(
        self, regions: Sequence[Region], crop: Crop, encode: Callable[[torch.Tensor], torch.Tensor]
    ) -> NDArray[np.float64]:
        """Returns the mean of the unit features of each mask's crops, (M, D), 0 for a mask without a region.

        Args:
            regions: by :meth:`regions`.
            crop: what of a picture CLIP gets to see.
            encode: pixels (B, 3, S, S) on the CPU -> features (B, D).
        """
        return self.mean(*self.crop_features(regions, crop, encode))

    def crop_features(
        self,
        regions: Sequence[Region],
        crop: Crop,
        encode: Callable[[torch.Tensor], torch.Tensor],
        pieces: range | None = None,
        *,
        bar: bool = True,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Mask, rank and level of crops (C, 3), and their unit features (C, D); for arguments see :meth:`features`.

        Args:
            pieces: which of the crops, in the order of the regions' pictures; None: all.
            bar: whether a terminal sees one.
        """
        pieces = range(len(regions) * crop.count) if pieces is None else pieces
        places, found = list[tuple[int, int, int]](), list[torch.Tensor]()
        for batch in _batches(self._pixels(regions, crop, pieces, bar), self.settings.batch_size):
            with torch.no_grad():
                pixels = torch.stack([pixels for _, pixels in batch])
                found.append(unit(encode(pixels).float(), dim=-1).cpu())
            places += [place for place, _ in batch]
        return np.array(places), torch.cat(found).numpy()

    def mean(self, places: NDArray[np.int64], features: NDArray[np.float32]) -> NDArray[np.float64]:
        """The mean of each mask's features, (M, D), of what :meth:`crop_features` gives."""
        result = np.zeros((self.projector.masks.shape[1], features.shape[1]))
        order = np.lexsort(places.T[::-1])
        masks, starts = np.unique(places[order, 0], return_index=True)
        for mask, rows in zip(masks.tolist(), np.split(order, starts[1:]), strict=True):
            result[mask] = torch.from_numpy(features[rows]).mean(dim=0).numpy()
        return result

    def _pixels(
        self, regions: Sequence[Region], crop: Crop, pieces: range, bar: bool
    ) -> Iterator[tuple[tuple[int, int, int], torch.Tensor]]:
        """Mask, rank and level of each crop, and its pixels."""
        by_view: dict[int, list[Region]] = {}
        for region in regions:
            by_view.setdefault(region.view, []).append(region)
        ordered = [region for own in by_view.values() for region in own]
        wanted = ordered[pieces.start // crop.count : -(-pieces.stop // crop.count)]
        number = pieces.start // crop.count * crop.count
        with tqdm(
            total=len({region.view for region in wanted}), desc="CLIP", unit="picture", disable=None if bar else True
        ) as progress:
            for view, own in itertools.groupby(wanted, lambda region: region.view):
                image = self.projector.views.read_colour(view)
                for region in own:
                    for level, pixels in enumerate(crop(image, region)):
                        if number in pieces:
                            yield (region.mask, region.rank, level), pixels
                        number += 1
                progress.update()


class LevelCrops:
    """OpenMask3D's crops: the region's box and larger ones around it, background kept, CLIP's own preprocessing."""

    def __init__(
        self, preprocess: Callable[[Image.Image], torch.Tensor], settings: FeatureSettings, save: Path | None = None
    ):
        """Prepares; ``save``, a folder, keeps each crop as ``crop<mask>_<view>_<level>.png``, as upstream does."""
        self.preprocess, self.settings, self.save = preprocess, settings, save
        self.count = settings.levels

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

    count = 1

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
