"""Free texts asked of a 3D scene."""

from __future__ import annotations

import logging
import re
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.runs.models import ClipRun
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import function_of
from opendas_plugin.scenes.agreement import require_agreement
from opendas_plugin.scenes.folder import find_cloud, open_scene
from opendas_plugin.scenes.pointcloud import read_ply, write_ply
from opendas_plugin.scenes.views import Intrinsics, Projector
from opendas_plugin.wording import some_of

if TYPE_CHECKING:
    from opendas_plugin.eval.queries import Answer


logger = logging.getLogger(__name__)
_THRESHOLD = 0.2  # metres between a visible point and the depth map's surface, as OpenMask3D has it


@dataclass(frozen=True)
class Query(ClipRun["list[Answer]"]):
    """Finds the masks of a scene that fit a text, and writes coloured clouds, a picture and their scores.

    Several texts are asked at once, each with a folder of its own in the output. The result is an answer a text.
    """

    _: KW_ONLY
    scene: Path
    """Folder with color/, depth/, pose/, intrinsic/ and one .ply, as OpenMask3D reads it."""
    features: Path
    """The masks' features, a .npy file with its .json beside, computed by the same model."""
    text: tuple[str, ...]
    """What to look for, as whole texts: "a photo of a desk.", or just "a desk"."""
    output: Path
    """Folder for query.png, query.ply (the best masks), heat.ply (all masks by cosine), query.json and run.json."""
    masks: Path | None = None
    """Mask file; default: the one *_masks.pt in the scene's folder."""
    best: int = 5
    """How many masks are coloured; the first five have a colour and a row in the picture each."""
    depth_scale: float = 1000.0
    """What a metre is in the depth maps."""
    every: int = 1
    """Takes every n-th picture."""
    intrinsics: Intrinsics = "correct"
    """How the intrinsics, those of the colour pictures, are fitted to depth maps of another size."""
    force: bool = False
    """Go on although the points do not fit the depth maps; `opendas-openmask3d check` shows what is wrong."""

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.text
        if isinstance(given, str):
            object.__setattr__(self, "text", (given,))

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if self.best < 1:
            raise ConfigError(f"`best` must be 1 or more, got {self.best}")
        for text in self.text or ("",):
            if not text.strip():
                raise ConfigError(f"`text` must say what to look for, such as 'a desk'; got {text!r}")
        super().check()
        if self.masks is None:
            self.mask_file()

    def work(self, record: RunRecord) -> list[Answer]:
        """Looks, writes what was found and returns it."""
        from opendas_plugin.classifier import TextClassifier
        from opendas_plugin.eval.queries import answer, colour_masks, heat
        from opendas_plugin.eval.query_pictures import draw_answer
        from opendas_plugin.scenes.feature_records import check_pair, scene_inputs
        from opendas_plugin.scenes.mask_arrays import read_masks, sparse_masks
        from opendas_plugin.scenes.mask_features import read_features

        self.say()
        views = open_scene(self.scene, self.depth_scale, every=self.every, scaling=self.intrinsics)
        points, colours = read_ply(find_cloud(self.scene))
        masks = sparse_masks(read_masks(self.mask_file()), len(points))
        features = read_features(self.features, masks.shape[1])
        clip = self.clip()
        check_pair(self.features, features, self.source(clip), masks, scene_inputs(views, points))
        unseen = int((~features.any(axis=1)).sum())
        if unseen == len(features):
            raise DataError(f"{self.features} holds zeros alone: no picture shows any mask")
        if unseen:
            share = f"({unseen / len(features):.0%})"
            logger.warning(
                "%s seen in no picture and never found",
                some_of(unseen, len(features), "mask", f"{share} is", f"{share} are"),
            )
        answers = answer(TextClassifier(clip, self.text, "{}"), features, masks, self.best)
        chosen = sorted({match.mask for found in answers for match in found.best})
        projector = Projector(views, points, masks[:, chosen], _THRESHOLD)
        counts = projector.counts(tqdm(range(len(views)), desc="pictures", unit="picture", disable=None))
        require_agreement(projector, force=self.force)
        columns = {mask: column for column, mask in enumerate(chosen)}
        best_view = {mask: int(counts[:, column].argmax()) for mask, column in columns.items()}
        for folder, found in zip(self.folders(), answers, strict=True):
            painted = colour_masks(colours, masks[:, [match.mask for match in found.best]].toarray())
            heated = heat(masks, found)
            picture = draw_answer(projector, best_view, columns, found, painted, heated)
            with atomic_file(folder / "query.png") as temporary:
                picture.save(temporary, "PNG")
            write_ply(folder / "query.ply", points, painted)
            write_ply(folder / "heat.ply", points, heated)
            rows = [asdict(match) for match in found.best]
            low, high = found.span
            about = {"text": found.text, "lowest_cosine": low, "highest_cosine": high}
            write_json(folder / "query.json", {**about, "best": rows})
        record.write(self.output)
        return answers

    def folders(self) -> list[Path]:
        """The folder of each text's files: the output itself where there is one text alone."""
        if len(self.text) == 1:
            return [self.output]
        words = [re.sub(r"\W+", "_", text).strip("_")[:60] for text in self.text]
        return [self.output / f"{number}_{word}" for number, word in enumerate(words, 1)]

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
