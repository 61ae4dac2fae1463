"""``prepare_data.py proposals``: masks without classes for the pictures of a domain, or the clouds of office rooms."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.commands.common import Options, RunRecord
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.proposals import labelled_pictures, office_pictures, write_proposals
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError
from opendas_plugin.scenes.proposals3d import write_proposals_3d


@dataclass(frozen=True, kw_only=True)
class Proposals(Options):
    """Masks without classes: spoilt ground truth and an over-segmentation, and oracle masks beside."""

    data: Path
    """Folder that prepare_data.py wrote."""
    output: Path
    """Folder to write, with quality.json; see docs/metric-protocols.md."""
    of: Literal["pictures", "clouds"] = "pictures"
    """Masks of the pictures (COCO run-length codes), or of office point clouds (OpenMask3D's files; needs open3d)."""
    part: Literal["val", "train"] = "val"
    """Whose pictures or clouds: those to score on, or those to learn from (train_prompts.py --proposals)."""
    seed: int = 0
    """Seed of what is split, merged and eroded."""


def prepare_proposals(options: Proposals, record: RunRecord) -> str:
    """Makes the masks and says how good they are."""
    domain = load_domain(options.data)
    segments = domain.val if options.part == "val" else domain.train
    scenes = sorted({segment.group for segment in segments})
    office = (options.data / "scenes" / scenes[0]).is_dir()
    if options.of == "clouds":
        if not office:
            raise DataError(f"{options.data} has no clouds; expected a domain that prepare_data.py office wrote")
        quality = write_proposals_3d(options.data, scenes, options.output, seed=options.seed)
        lines = [describe_quality(quality)]
    else:
        images = options.data / "scenes" if office else common_folder(segments)
        pictures = (
            office_pictures(options.data, scenes) if office else labelled_pictures(segments, domain.vocabulary, images)
        )
        quality = write_proposals(pictures, options.output, seed=options.seed)
        lines = [describe_quality(quality), f"--images {images}"]
    record.write(options.output)
    return "\n".join(lines)


def common_folder(segments: Sequence[Segment]) -> Path:
    """The folder that all pictures lie in."""
    return Path(os.path.commonpath([segment.image.resolve().parent for segment in segments]))


def describe_quality(quality: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each kind of masks."""
    return "\n".join(
        f"{kind}: {facts['masks']} masks, mean IoU with the ground truth {facts['mean_iou']:.3f}, "
        f"{100 * facts['below_0.25']:.1f}% of them below 0.25"
        for kind, facts in quality.items()
    )
