"""A free text asked of a 3D scene."""

from __future__ import annotations

import logging
from dataclasses import KW_ONLY, asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from opendas_plugin.classifier import TextClassifier
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.eval.queries import Match, best_masks, colour_masks, picture_matches
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.runs.models import ClipRun
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import function_of
from opendas_plugin.scenes.feature_records import check_pair, scene_inputs
from opendas_plugin.scenes.folder import find_cloud, open_scene
from opendas_plugin.scenes.mask_arrays import read_masks, sparse_masks
from opendas_plugin.scenes.mask_features import read_features
from opendas_plugin.scenes.pointcloud import read_ply, write_ply
from opendas_plugin.scenes.views import Intrinsics

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Query(ClipRun[list[Match]]):
    """Finds the masks of a scene that fit a text, and writes a coloured cloud, a picture and their scores.

    The result is the masks, best first.
    """

    _: KW_ONLY
    scene: Path
    """Folder with color/, depth/, pose/, intrinsic/ and one .ply, as OpenMask3D reads it."""
    features: Path
    """The masks' features, a .npy file with its .json beside, computed by the same model."""
    text: str
    """What to look for, as a whole text: "a photo of a desk.", or just "a door frame"."""
    output: Path
    """Folder for query.ply, query.png, query.json and run.json."""
    masks: Path | None = None
    """Mask file; default: the one *_masks.pt in the scene's folder."""
    best: int = 5
    """How many masks are coloured; the first three are in the picture."""
    depth_scale: float = 1000.0
    """What a metre is in the depth maps."""
    every: int = 1
    """Takes every n-th picture."""
    intrinsics: Intrinsics = "correct"
    """How the intrinsics, those of the colour pictures, are fitted to depth maps of another size."""
    force: bool = False
    """Go on although the points do not fit the depth maps; `opendas-openmask3d check` shows what is wrong."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if self.best < 1:
            raise ConfigError(f"`best` must be 1 or more, got {self.best}")
        super().check()
        if self.masks is None:
            self.mask_file()

    def work(self, record: RunRecord) -> list[Match]:
        """Looks, writes what was found and returns it."""
        views = open_scene(self.scene, self.depth_scale, every=self.every, scaling=self.intrinsics)
        points, colours = read_ply(find_cloud(self.scene))
        masks = sparse_masks(read_masks(self.mask_file()), len(points))
        features = read_features(self.features, masks.shape[1])
        clip = self.clip()
        check_pair(self.features, features, self.source(clip), masks, scene_inputs(views, points))
        unseen = int((~features.any(axis=1)).sum())
        if unseen:
            share = 100 * unseen / len(features)
            logger.warning(
                "%d of %d masks (%.0f%%) are seen in no picture and never found", unseen, len(features), share
            )
        found = best_masks(TextClassifier(clip, [self.text], "{}"), features, self.best)
        if not found:
            raise DataError(f"{self.features} holds zeros alone: no picture shows any mask")
        chosen = masks[:, [match.mask for match in found]].toarray()
        painted = colour_masks(colours, chosen)
        order = tqdm(range(len(views)), desc="pictures", unit="picture", disable=None)
        picture = picture_matches(views, points, painted, chosen[:, :3], order, force=self.force)
        with atomic_file(self.output / "query.png") as temporary:
            picture.save(temporary, "PNG")
        write_ply(self.output / "query.ply", points, painted)
        sizes = chosen.sum(axis=0).tolist()
        found = [replace(match, points=size) for match, size in zip(found, sizes, strict=True)]
        rows = [asdict(match) for match in found]
        write_json(self.output / "query.json", {"text": self.text, "best": rows})
        record.write(self.output)
        return found

    def mask_file(self) -> Path:
        """The mask file: the given one, or the only one of the scene's folder.

        Raises:
            ConfigError: there is none, or more than one.
        """
        if self.masks is not None:
            return self.masks
        files = sorted(self.scene.glob("*_masks.pt"))
        if len(files) != 1:
            raise ConfigError(f"{self.scene} holds {len(files)} files *_masks.pt; name one with `masks`")
        return files[0]


query = function_of(Query, "query")
