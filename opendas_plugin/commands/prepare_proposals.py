"""``prepare_data.py proposals``: masks without classes for the office domain's validation rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.commands.common import Options, RunRecord
from opendas_plugin.data.registry import load_domain
from opendas_plugin.errors import DataError
from opendas_plugin.office.proposals import write_proposals
from opendas_plugin.office.proposals3d import write_proposals_3d


@dataclass(frozen=True, kw_only=True)
class Proposals(Options):
    """Masks without classes for the office domain: spoilt ground truth and an over-segmentation, and oracle masks."""

    data: Path
    """Folder that prepare_data.py office wrote; masks are made for its validation rooms."""
    output: Path
    """Folder to write, with quality.json; see docs/metric-protocols.md."""
    of: Literal["pictures", "clouds"] = "pictures"
    """Masks of the pictures (COCO run-length codes), or of the point clouds (OpenMask3D's files; needs open3d)."""
    seed: int = 0
    """Seed of what is split, merged and eroded."""


def prepare_proposals(options: Proposals, record: RunRecord) -> str:
    """Makes the masks and says how good they are."""
    scenes = sorted({segment.group for segment in load_domain(options.data).val})
    if not (options.data / "scenes" / scenes[0]).is_dir():
        raise DataError(f"{options.data} has no scenes/; expected a domain that prepare_data.py office wrote")
    write = write_proposals if options.of == "pictures" else write_proposals_3d
    quality = write(options.data, scenes, options.output, seed=options.seed)
    record.write(options.output)
    return describe_quality(quality)


def describe_quality(quality: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each kind of masks."""
    return "\n".join(
        f"{kind}: {facts['masks']} masks, mean IoU with the ground truth {facts['mean_iou']:.3f}, "
        f"{100 * facts['below_0.25']:.1f}% of them below 0.25"
        for kind, facts in quality.items()
    )
