"""ScanNet++ scenes as OpenMask3D reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.errors import ConfigError
from opendas_plugin.files import atomic_folder
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of
from opendas_plugin.scenes.openmask3d_layout import export_masks, export_scene
from opendas_plugin.scenes.scannetpp import ScanNetPPScene, Source, read_scene_list


@dataclass(frozen=True, kw_only=True)
class OpenMask3D(Run[dict[Path, int | None]]):
    """ScanNet++ scenes as OpenMask3D reads them: pictures, depth, poses, points, and masks from proposals."""

    root: Path
    """Folder that holds data."""
    output: Path
    """Folder for a folder of each scene, and masks/; scenes that are there are left as they are."""
    scenes: Path
    """File with the scenes, one a line."""
    proposals: Path | None = None
    """Folder with class-agnostic masks: <scene>.npy (points, masks), or <scene>.txt in ScanNet++'s format."""
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
        """Writes each scene's folder, whole or not at all: folder -> number of pictures; None: it was there."""
        found = {}
        for name in read_scene_list(self.scenes):
            found[self.output / name] = self._write(ScanNetPPScene(self.root, name))
        record.write(self.output)
        return found

    def _write(self, scene: ScanNetPPScene) -> int | None:
        if self.proposals is not None:
            array = self.proposals / f"{scene.name}.npy"
            masks = self.output / "masks" / f"{scene.name}_masks.pt"
            export_masks(scene, masks, array if array.is_file() else self.proposals)
        folder = self.output / scene.name
        if folder.exists():
            return None
        with atomic_folder(folder) as temporary:
            return export_scene(scene, temporary, source=self.source, every=self.every, width=self.width)


prepare_openmask3d = function_of(OpenMask3D, "prepare_openmask3d")
