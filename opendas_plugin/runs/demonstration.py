"""A page on this machine: a photo, its masks, names typed in, plain CLIP beside an adapter; and a scene's queries."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from opendas_plugin.data.sam import SamSettings
from opendas_plugin.errors import ConfigError
from opendas_plugin.model.devices import pick_device
from opendas_plugin.runs.demo_page import ADDRESS, Query, require_gradio, serve
from opendas_plugin.runs.mask_sources import SAM, SUPERPIXELS, open_source
from opendas_plugin.runs.models import ModelRun
from opendas_plugin.runs.queries import query
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import function_of
from opendas_plugin.vocabulary import read_names

if TYPE_CHECKING:
    from opendas_plugin.runs.showing import Showing

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Demo(ModelRun[None]):
    """Shows a page on this machine alone (127.0.0.1): name the masks of a photo by any words, by plain CLIP and by an
    adapter side by side, and ask a 3D scene for things. Needs the extra `demo`.
    """

    _: KW_ONLY
    names: tuple[str, ...] = ("door", "door frame", "desk", "office chair", "monitor", "window", "wall", "floor")
    """The names that stand in the field at first: a,b,c, or a file with one a line."""
    masks: str = SUPERPIXELS
    """Where masks come from: superpixels (pieces of one colour, which know nothing of objects), or sam: and a folder or
    hub id of SAM or SAM 2."""
    superpixels: int = 60
    """Superpixels a photo, about."""
    sam: SamSettings = field(default_factory=SamSettings)
    """Which of SAM's masks are kept."""
    scene: Path | None = None
    """Folder of a scene to ask, as OpenMask3D reads it, with one *_masks.pt; its features are the adapter's."""
    features: Path | None = None
    """The features of the scene's masks (opendas-openmask3d features)."""
    scene_masks: Path | None = None
    """Mask file of the scene; default: the one *_masks.pt in its folder."""
    port: int = 7860
    """Of the server."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        super().check()
        if self.masks != SUPERPIXELS and not self.masks.startswith(SAM):
            raise ConfigError(f"`masks` is {SUPERPIXELS}, or {SAM} and a checkpoint, got {self.masks!r}")
        if (self.scene is None) != (self.features is None):
            raise ConfigError("`scene` and `features` go together; give both, or none")
        if not 1 <= self.port <= 65535 or self.superpixels < 1:
            raise ConfigError(
                f"`port` is from 1 to 65535 and `superpixels` 1 or more, got {self.port} and {self.superpixels}"
            )
        self.sam.check()

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        found = {"sam": "without `masks` of SAM"}
        if self.masks != SUPERPIXELS:
            found = {"superpixels": f"with other `masks` than {SUPERPIXELS}"}
        return {**super().unused(), **found, **({} if self.scene else {"scene_masks": "without a `scene`"})}

    def work(self, record: RunRecord) -> None:
        """Serves the page until it is interrupted."""
        require_gradio()
        self.say(self.backbone_seed)
        names = read_names(self.names[0] if len(self.names) == 1 else self.names)
        with tempfile.TemporaryDirectory(prefix="opendas-demo-") as folder:
            showing, asks = self.showing(names), self.query(Path(folder))
            logger.info("http://%s:%d shows the page; Ctrl-C ends it", ADDRESS, self.port)
            serve(showing, ", ".join(names), asks, self.port)

    def showing(self, names: list[str]) -> Showing:
        """What names photos: plain CLIP, and the adapter where there is one."""
        from opendas_plugin.labeller import Labeller
        from opendas_plugin.runs.showing import Showing

        device = str(pick_device(self.device))
        source = open_source(self.masks, {}, Path(), count=self.superpixels, sam=self.sam, exif=None, device=device)
        own = self.labeller(names)
        if self.adapter is None or self.zero_shot:
            return Showing({"plain CLIP": own}, source)
        plain = Labeller(
            own.clip.plain(), names, template=own.text.template, crops=own.crops, batch_size=own.batch_size
        )
        return Showing({"plain CLIP": plain, "with the adapter": own}, source)

    def query(self, folder: Path) -> Query | None:
        """What asks the scene, with its pictures below a folder; None without a scene."""
        scene, features = self.scene, self.features
        if scene is None or features is None:
            return None
        model = {name: getattr(self, name) for name in ("adapter", "backbone", "pretrained", "tokenizer", "device")}

        def ask(text: str) -> tuple[Path, list[tuple[int, int, float, int]]]:
            output = folder / str(len(list(folder.iterdir())))
            [found] = query(
                scene=scene, features=features, masks=self.scene_masks, text=(text,), output=output, **model
            )
            return output / "query.png", [(m.rank, m.mask, round(m.cosine, 3), m.points) for m in found.best]

        return ask


demo = function_of(Demo, "demo")
