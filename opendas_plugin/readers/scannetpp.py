"""ScanNet++'s offices: segments from the mesh's annotation, and the 3D ground truth of the validation scenes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from opendas_plugin.data.reading import ImageReading
from opendas_plugin.errors import ConfigError, DataError
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split
from opendas_plugin.scenes.scannetpp import ScanNetPPScene, Source, choose_offices, read_scene_list
from opendas_plugin.scenes.scannetpp_segments import Limits, raw_names, read_scene, split_names
from opendas_plugin.scenes.scannetpp_truth import write_truth

OFFICES = {"train": 14, "val": 16}
"""As many scenes as the paper takes."""


@dataclass(frozen=True, kw_only=True)
class ScanNetPP:
    """ScanNet++'s offices: segments from the mesh's annotation, and 3D ground truth of the validation scenes."""

    root: Path
    """Folder that holds data and splits."""
    train_scenes: Path | None = None
    """File with the scenes to learn from, one a line; default: the 14 of the official training list with the most kinds
    of office things."""
    val_scenes: Path | None = None
    """File with the scenes to judge by; default: 16 of the official validation list, chosen alike."""
    source: Source = "iphone"
    """The phone's pictures, or the dslr's, straightened."""
    every: int = 20
    """Takes every n-th picture."""
    min_side: int = 50
    """Sides of an object's box at least, in pixels."""
    min_visible: float = 0.1
    """Share of an object's vertices that a picture shows at least."""
    views: int = 3
    """Pictures of one object at most, those that show most of it."""
    cache: Path | None = None
    """Folder that keeps which object each pixel shows, for a further run; default: OUTPUT.cache."""

    def __post_init__(self) -> None:
        for name in ("every", "min_side", "views"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be 1 or more, got {getattr(self, name)}")
        if not 0 <= self.min_visible <= 1:
            raise ConfigError(f"`min_visible` must lie between 0 and 1, got {self.min_visible}")


def read(options: ScanNetPP, context: Context) -> Dataset:
    """Reads the scenes, one after the other; of each object the pictures that show most of it are taken."""
    scenes = _chosen(options)
    chosen = {split: [scene.name for scene in found] for split, found in scenes.items()}
    names, novel = split_names(scenes["train"], scenes["val"])
    limits = Limits(
        options.source, options.every, context.min_area, options.min_side, options.min_visible, options.views
    )
    parts: dict[str, list[ImageReading]] = {"train": [], "val": []}
    for split, images in parts.items():
        for scene in tqdm(scenes[split], desc=f"{split} scenes", unit="scene", disable=None):
            images += read_scene(
                scene,
                names,
                limits,
                straightened=context.folder / "images",
                cache=options.cache or context.cache,
                each=context.each,
            )
    write_truth(context.folder / "ground_truth", scenes["val"], tuple(names.values()))
    return Dataset(
        tuple(names.values()),
        Split(parts["train"]),
        Split(parts["val"]),
        raw_names(scenes["train"], names),
        novel=novel,
        info={"scenes": chosen, "limits": asdict(limits)},
    )


def office_names(options: ScanNetPP) -> tuple[str, ...]:
    """The names of the scenes that would be read, from their annotation alone."""
    scenes = _chosen(options)
    return tuple(split_names(scenes["train"], scenes["val"])[0].values())


def _chosen(options: ScanNetPP) -> dict[str, list[ScanNetPPScene]]:
    """The scenes to learn from and to judge by.

    Raises:
        DataError: one is in both lists.
    """
    chosen = {
        "train": _scenes(options.train_scenes) or choose_offices(options.root, "train", OFFICES["train"]),
        "val": _scenes(options.val_scenes) or choose_offices(options.root, "val", OFFICES["val"]),
    }
    shared = set(chosen["train"]) & set(chosen["val"])
    if shared:
        raise DataError(f"the scene {sorted(shared)[0]} is in both lists; a scene trains or validates")
    return {split: [ScanNetPPScene(options.root, name) for name in names] for split, names in chosen.items()}


def _scenes(path: Path | None) -> list[str] | None:
    return None if path is None else read_scene_list(path)


def look(folder: Path) -> Sighting | None:
    """Data beside splits, with a scene that has scans."""
    for scans in (folder / "data").glob("*/scans"):
        if (folder / "splits").is_dir():
            return Sighting(
                f"splits lies beside data/{scans.parent.name}/scans, as ScanNet++ has it", {"root": folder}, 9
            )
    return None


READER = Reader(
    "scannetpp",
    ScanNetPP,
    read,
    own_validation=lambda options: True,
    resumable=False,
    extras=("images", "ground_truth"),
    look=look,
    looks_for="ScanNet++'s splits beside data/*/scans",
)
