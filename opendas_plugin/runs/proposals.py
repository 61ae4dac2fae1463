"""Masks without classes for the pictures of a domain, or for the clouds of its scenes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.proposals import labelled_pictures, write_proposals
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of
from opendas_plugin.scenes.pictures import scene_pictures


@dataclass(frozen=True)
class Proposed:
    """What proposals were made.

    Attributes:
        quality: kind of masks -> how many there are, and how well they overlap with the ground truth.
        images: the folder that file names of masks are in; None: they are of clouds.
    """

    quality: dict[str, Any]
    images: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Proposals(Run[Proposed]):
    """Masks without classes: spoilt ground truth and an over-segmentation, and oracle masks beside."""

    data: Path
    """Folder that opendas-prepare wrote."""
    output: Path
    """Folder to write, with quality.json; see docs/metric-protocols.md."""
    images_root: Path | None = None
    """Where the folder that all pictures lie under is now, if they have moved since they were prepared."""
    of: Literal["pictures", "clouds"] = "pictures"
    """Masks of the pictures (COCO run-length codes), or of the scenes' clouds (OpenMask3D's files; needs open3d)."""
    part: Literal["val", "train"] = "val"
    """Whose pictures or clouds: those to score on, or those to learn from (opendas-train --proposals)."""
    seed: int = 0
    """Seed of what is split, merged and eroded."""

    def work(self, record: RunRecord) -> Proposed:
        """Makes the masks and measures how good they are."""
        from opendas_plugin.scenes.proposals3d import write_proposals_3d

        domain = load_domain(self.data, self.images_root)
        segments = domain.val if self.part == "val" else domain.train
        scenes = sorted({segment.group for segment in segments})
        folders = self.data / "scenes"
        has_scenes = (folders / scenes[0]).is_dir()
        if self.of == "clouds":
            if not has_scenes:
                raise DataError(f"{self.data} has no clouds; expected scenes, as `opendas-prepare office` writes them")
            found = Proposed(write_proposals_3d(self.data, scenes, self.output, seed=self.seed))
        else:
            images = folders if has_scenes else _common_folder(segments)
            pictures = (
                scene_pictures(folders, scenes)
                if has_scenes
                else labelled_pictures(segments, domain.vocabulary, images)
            )
            found = Proposed(write_proposals(pictures, self.output, seed=self.seed), images)
        record.write(self.output)
        return found


def _common_folder(segments: Sequence[Segment]) -> Path:
    """The folder that all pictures lie in."""
    return Path(os.path.commonpath([segment.image.resolve().parent for segment in segments]))


prepare_proposals = function_of(Proposals, "prepare_proposals")
