"""ScanNet++ scenes as OpenMask3D reads them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.errors import ConfigError
from opendas_plugin.files import atomic_folder, read_json, write_json
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of
from opendas_plugin.scenes.colmap import read_views
from opendas_plugin.scenes.scannetpp import ScanNetPPScene, Source, read_scene_list
from opendas_plugin.scenes.scannetpp_views import source_files
from opendas_plugin.stamps import Inputs
from opendas_plugin.train.distributed import join
from opendas_plugin.version import __version__

INPUTS = "inputs.json"
"""What a scene's folder was made from."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OpenMask3D(Run[dict[Path, int | None]]):
    """ScanNet++ scenes as OpenMask3D reads them: pictures, depth, poses, points, and masks from proposals.

    Under torchrun several processes share the scenes.
    """

    root: Path
    """Folder that holds data."""
    output: Path
    """Folder for a folder of each scene, and masks/; scenes that are there are left as they are, if they were made of
    the same files with the same settings."""
    scenes: Path
    """File with the scenes, one a line."""
    proposals: Path | None = None
    """Folder with class-agnostic masks (points, masks): <scene>.npy, .npz or _masks.pt, or <scene>.txt in ScanNet++'s
    format."""
    source: Source = "iphone"
    """The phone's pictures, or the dslr's, straightened."""
    every: int = 20
    """Takes every n-th picture."""
    width: int = 640
    """Of pictures and depth, in pixels."""

    def check(self) -> None:
        """Looks at the ranges.

        Raises:
            ConfigError: a number is too small.
        """
        if self.every < 1 or self.width < 16:
            raise ConfigError("`every` must be 1 or more, and `width` 16 or more")

    def work(self, record: RunRecord) -> dict[Path, int | None]:
        """Writes each scene's folder, whole or not at all: folder -> number of pictures; None: it was there.

        In all but the first of several processes the result is empty.

        Raises:
            ConfigError: a folder that is there was made from other files, or with other settings.
        """
        import torch

        scenes = [ScanNetPPScene(self.root, name) for name in read_scene_list(self.scenes)]
        with join(torch.device("cpu")) as (world, _):
            there = world.broadcast(lambda: {scene.name: self._is_there(scene) for scene in scenes})
            own = scenes[world.share(len(scenes))]
            done = {self.output / scene.name: self._write(scene, there[scene.name]) for scene in own}
            found = {folder: count for part in world.gather(done) for folder, count in part.items()}
            if not world.writes:
                return {}
            record.write(self.output)
        return found

    def _is_there(self, scene: ScanNetPPScene) -> bool:
        folder = self.output / scene.name
        if not folder.exists():
            return False
        if not (folder / INPUTS).is_file():
            logger.warning("%s is left as it is; it does not say what it was made from", folder)
            return True
        known = read_json(folder / INPUTS, f"remove {folder} to have it made again")
        if difference := self._inputs(scene).difference(known):
            raise ConfigError(
                f"{folder} is there and was made from something else: {difference}; remove it, or choose another output"
            )
        return True

    def _inputs(self, scene: ScanNetPPScene) -> Inputs:
        settings = {"scene": scene.name, "`source`": self.source, "`every`": self.every, "`width`": self.width}
        names = [view.name for view in read_views(scene.poses(self.source))[:: self.every]]
        pictures = {f"the picture {name}": scene.pictures(self.source) / name for name in names}
        return Inputs({**source_files(scene, self.source), **pictures}, {**settings, "version": __version__})

    def _write(self, scene: ScanNetPPScene, is_there: bool) -> int | None:
        from opendas_plugin.scenes.openmask3d_layout import export_masks, export_scene

        if self.proposals is not None:
            files = [self.proposals / f"{scene.name}{ending}" for ending in (".npy", ".npz", "_masks.pt")]
            found = next((file for file in files if file.is_file()), self.proposals)
            export_masks(scene, self.output / "masks" / f"{scene.name}_masks.pt", found)
        if is_there:
            return None
        with atomic_folder(self.output / scene.name) as temporary:
            write_json(temporary / INPUTS, self._inputs(scene).record())
            return export_scene(scene, temporary, source=self.source, every=self.every, width=self.width)


prepare_openmask3d = function_of(OpenMask3D, "prepare_openmask3d")
