"""``check``: whether the pictures, depth maps, poses, intrinsics and cloud of a scene fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from integrations.openmask3d.settings import FeatureSettings
from opendas_plugin.commands.common import command_line, parse
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.files import atomic_file
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run
from opendas_plugin.scenes.agreement import find_fault
from opendas_plugin.scenes.folder import find_cloud, open_scene
from opendas_plugin.scenes.pointcloud import read_ply
from opendas_plugin.scenes.views import Intrinsics, Projector

PROGRAM = "opendas-openmask3d"


@dataclass(frozen=True)
class Checked:
    """What was found: a table of the pictures, and what does not fit, with the likely cause; None: all fits."""

    table: str
    fault: str | None


@dataclass(frozen=True)
class Check(Run[Checked]):
    """Looks whether a scene's pictures, depth maps, poses, intrinsics and cloud fit each other.

    Prints for each picture which part of the points in it is shown, hidden, and in front of the depth map's surface,
    where none can be, then what is likely wrong, and draws the worst picture. Fails where something is.
    """

    _: KW_ONLY
    scene: Path
    """Folder with color/, depth/, pose/ (0.txt and on), intrinsic/intrinsic_color.txt and one .ply."""
    masks: Path | None = None
    """Mask file, of which those that no picture shows are counted; default: the *_masks.pt in the scene's folder."""
    output: Path = Path("check.png")
    """The picture to write."""
    depth_scale: float = 1000.0
    """What a metre is in the depth maps."""
    every: int = 1
    """Takes every n-th picture."""
    intrinsics: Intrinsics = "correct"
    """How the intrinsics, those of the colour pictures, are fitted to depth maps of another size."""
    threshold: float = FeatureSettings.threshold
    """How far, in metres, a shown point may lie from the depth map's surface."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        if not self.threshold > 0:
            raise ConfigError(f"`threshold` must be above 0, got {self.threshold}")

    def work(self, record: RunRecord) -> Checked:
        """Looks, and draws the worst picture."""
        from opendas_plugin.eval.fits import draw_fit, fit_table
        from opendas_plugin.scenes.mask_arrays import read_masks, sparse_masks

        views = open_scene(self.scene, self.depth_scale, every=self.every, scaling=self.intrinsics)
        points, _ = read_ply(find_cloud(self.scene))
        masks = self.masks or next(iter(sorted(self.scene.glob("*_masks.pt"))), None)
        owners = np.ones((len(points), 1)) if masks is None else read_masks(masks)
        projector = Projector(views, points, sparse_masks(owners, len(points)), self.threshold)
        counts = projector.counts(tqdm(range(len(views)), desc="points", unit="picture", disable=None))
        lines = [fit_table([path.name for path in views.colour], projector.fits)]
        if masks is not None:
            unseen = int((counts.max(axis=0) == 0).sum())
            share = 100 * unseen / counts.shape[1]
            lines.append(f"masks that no picture shows: {unseen} of {counts.shape[1]} ({share:.0f}%)")
        worst = int(np.argmax([fit.in_front / max(fit.known, 1) + (fit.known > 0) for fit in projector.fits]))
        with atomic_file(self.output) as temporary:
            draw_fit(projector, worst).save(temporary, "PNG")
        lines.append(f"drew {views.colour[worst].name} into {self.output}")
        return Checked("\n".join(lines), find_fault(projector))


def check(argv: Sequence[str]) -> None:
    """Checks as the flags say."""
    prog = f"{PROGRAM} check"
    found = parse(Check, argv, prog=prog)(command_line(prog, argv))
    print(found.table)
    if found.fault is not None:
        raise DataError(found.fault)
    print("the points fit the depth maps")
