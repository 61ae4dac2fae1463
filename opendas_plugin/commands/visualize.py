"""``visualize.py``: a free text asked of a 3D scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from opendas_plugin.commands.backbones import DEFAULT_BACKBONE
from opendas_plugin.commands.common import Options, RunRecord, UsageError, parse_subcommand, pick_device, run_command
from opendas_plugin.errors import DataError
from opendas_plugin.eval.queries import Match, best_masks, colour_masks, picture_matches
from opendas_plugin.files import atomic_file, write_json
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.scenes.folder import find_cloud, open_scene
from opendas_plugin.scenes.mask_features import (
    PREFIX,
    FeatureSource,
    check_pair,
    read_features,
    read_masks,
    sparse_masks,
)
from opendas_plugin.scenes.pointcloud import read_ply, write_ply
from opendas_plugin.scenes.views import Intrinsics

PROGRAM = "opendas-visualize"


@dataclass(frozen=True, kw_only=True)
class Query(Options):
    """Finds the masks of a scene that fit a text, and writes a coloured cloud, a picture and their scores."""

    scene: Path
    """Folder with color/, depth/, pose/, intrinsic/ and one .ply, as OpenMask3D reads it."""
    features: Path
    """The masks' features, a .npy file with its .json beside."""
    text: str
    """What to look for, as a whole text: "a photo of a desk.", or just "a door frame"."""
    output: Path
    """Folder for query.ply, query.png, query.json and run.json."""
    masks: Path | None = None
    """Mask file; default: the one *_masks.pt in the scene's folder."""
    adapter: str | None = None
    """The adapter that computed the features: a folder, or an id on the Hugging Face hub."""
    backbone: str = DEFAULT_BACKBONE
    """The plain CLIP that computed them, where no adapter did."""
    pretrained: str | None = None
    """open_clip tag or weight file. With --adapter: where the adapter's weight file lies now."""
    best: int = 5
    """How many masks are coloured; the first three are in the picture."""
    depth_scale: float = 1000.0
    """What a metre is in the depth maps."""
    every: int = 1
    """Takes every n-th picture."""
    intrinsics: Intrinsics = "correct"
    """How the intrinsics, those of the colour pictures, are fitted to depth maps of another size."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(visualize, argv)


def visualize(argv: Sequence[str]) -> None:
    """Reads the sub-command from ``argv`` and runs it."""
    options = parse_subcommand({"query": Query}, argv, prog=PROGRAM, description="Shows what an adapter sees.")
    record = RunRecord(PROGRAM, argv, options)
    query(options)
    record.write(options.output)


def query(options: Query) -> list[Match]:
    """Looks as ``options`` say, writes what was found and prints it."""
    if options.best < 1:
        raise UsageError(f"--best must be 1 or more, got {options.best}")
    views = open_scene(options.scene, options.depth_scale, every=options.every, scaling=options.intrinsics)
    points, colours = read_ply(find_cloud(options.scene))
    masks = sparse_masks(read_masks(options.masks or find_masks(options.scene)), len(points))
    features = read_features(options.features, masks.shape[1])
    clip = find_clip(options)
    check_pair(options.features, features, FeatureSource(source_name(options), clip))
    found = best_masks(clip, options.text, features, options.best)
    if not found:
        raise DataError(f"{options.features} holds zeros alone: no picture shows any mask")
    chosen = masks[:, [match.mask for match in found]].toarray()
    painted = colour_masks(colours, chosen)
    order = tqdm(range(len(views)), desc="pictures", unit="picture", disable=None)
    picture = picture_matches(views, points, painted, chosen[:, :3], order)
    with atomic_file(options.output / "query.png") as temporary:
        picture.save(temporary, "PNG")
    write_ply(options.output / "query.ply", points, painted)
    sizes = chosen.sum(axis=0).tolist()
    rows = [{"mask": m.mask, "cosine": m.cosine, "points": n} for m, n in zip(found, sizes, strict=True)]
    write_json(options.output / "query.json", {"text": options.text, "best": rows})
    for row in rows:
        print(f"mask {row['mask']:4d}   cosine {row['cosine']:.4f}   {row['points']} points")
    return found


def find_masks(scene: Path) -> Path:
    """The one mask file of a scene's folder.

    Raises:
        UsageError: there is none, or more than one.
    """
    files = sorted(scene.glob("*_masks.pt"))
    if len(files) != 1:
        raise UsageError(f"{scene} holds {len(files)} files *_masks.pt; name one with --masks")
    return files[0]


def find_clip(options: Query) -> OpenDASCLIP:
    """The CLIP that encodes the text."""
    device = pick_device(options.device)
    if options.adapter is None:
        return OpenDASCLIP.from_backbone(options.backbone, options.pretrained, device=device)
    return OpenDASCLIP.from_pretrained(options.adapter, options.pretrained, device=device)


def source_name(options: Query) -> str:
    """The name under which the features' record knows such a CLIP."""
    return options.backbone if options.adapter is None else PREFIX + options.adapter
