"""``prepare_data.py scannetpp`` and ``openmask3d``: ScanNet++'s offices in 2D and 3D."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from opendas_plugin.commands.common import Options, RunRecord, UsageError
from opendas_plugin.commands.prepare_files import Prepare, check_ranges, read_names
from opendas_plugin.data.domain import build_domain, describe, domain_folder, write_domain
from opendas_plugin.errors import DataError
from opendas_plugin.files import atomic_folder
from opendas_plugin.scenes.openmask3d_layout import export_masks, export_scene
from opendas_plugin.scenes.scannetpp import Scene, Source, Split, choose_offices, read_scene_list
from opendas_plugin.scenes.scannetpp_segments import Limits, read_scenes, split_names
from opendas_plugin.scenes.scannetpp_truth import write_truth

OFFICES = {"train": 14, "val": 16}
"""As many scenes as the paper takes."""
EXTRAS = ("images", "ground_truth")


@dataclass(frozen=True, kw_only=True)
class ScanNetPP(Prepare):
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


@dataclass(frozen=True, kw_only=True)
class OpenMask3D(Options):
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


def prepare_scannetpp(options: ScanNetPP, record: RunRecord) -> str:
    """Reads the scenes and writes the domain, all of it or nothing; says what was kept and dropped."""
    check_flags(options)
    chosen = {"train": scene_names(options, "train"), "val": scene_names(options, "val")}
    shared = set(chosen["train"]) & set(chosen["val"])
    if shared:
        raise DataError(f"the scene {sorted(shared)[0]} is in both lists; a scene trains or validates")
    scenes = {split: [Scene(options.root, name) for name in names] for split, names in chosen.items()}
    names, novel = split_names(scenes["train"], scenes["val"])
    if options.novel is not None:
        novel = tuple(read_names(options.novel))
    limits = Limits(
        options.source, options.every, options.min_area, options.min_side, options.min_visible, options.views
    )
    cache = options.cache or options.output.with_name(f"{options.output.name}.cache")
    with domain_folder(options.output, EXTRAS) as folder:
        readings = {
            split: read_scenes(
                scenes[split],
                names,
                limits,
                straightened=folder / "images",
                cache=cache,
                workers=options.workers,
                progress=f"{split} scenes",
            )
            for split in scenes
        }
        domain = build_domain(
            options.output.name,
            readings["train"],
            readings["val"],
            novel=novel if options.novel_fraction is None else None,
            novel_fraction=options.novel_fraction,
            seed=options.seed,
            template=options.template,
        )
        domain.info.update(scenes=chosen, limits=asdict(limits))
        write_domain(folder, domain)
        write_truth(folder / "ground_truth", scenes["val"], domain.vocabulary.names)
        record.write(folder)
    return f"scenes: {len(chosen['train'])} to learn from, {len(chosen['val'])} to judge by\n{describe(domain)}"


def check_flags(options: ScanNetPP) -> None:
    """Raises UsageError for flags that are out of range or have no meaning here."""
    check_ranges(options)
    if options.val_fraction is not None:
        raise UsageError("--val-fraction splits images, but scenes are given by lists; leave it out")
    if options.resume:
        raise UsageError("scannetpp goes on by its cache; leave --resume out")
    for flag in ("every", "min_side", "views"):
        if getattr(options, flag) < 1:
            raise UsageError(f"--{flag.replace('_', '-')} must be 1 or more, got {getattr(options, flag)}")
    if not 0 <= options.min_visible <= 1:
        raise UsageError(f"--min-visible must lie between 0 and 1, got {options.min_visible}")


def scene_names(options: ScanNetPP, split: Split) -> list[str]:
    """The scenes of a split: those of its list, or chosen by what they hold."""
    given = options.train_scenes if split == "train" else options.val_scenes
    return choose_offices(options.root, split, OFFICES[split]) if given is None else read_scene_list(given)


def export_openmask3d(options: OpenMask3D, record: RunRecord) -> str:
    """Writes each scene's folder, whole or not at all; says where they are."""
    if options.every < 1 or options.width < 16:
        raise UsageError("--every must be 1 or more, and --width 16 or more")
    lines = []
    for name in read_scene_list(options.scenes):
        scene, folder = Scene(options.root, name), options.output / name
        if options.proposals is not None:
            array = options.proposals / f"{name}.npy"
            masks = options.output / "masks" / f"{name}_masks.pt"
            export_masks(scene, masks, array if array.is_file() else options.proposals)
        if folder.exists():
            lines.append(f"{folder}: is there, left as it is")
            continue
        with atomic_folder(folder) as temporary:
            count = export_scene(scene, temporary, source=options.source, every=options.every, width=options.width)
        lines.append(f"{folder}: {count} pictures")
    record.write(options.output)
    return "\n".join(lines)
