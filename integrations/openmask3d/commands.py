"""``features`` and ``scene``: mask features of any scene in OpenMask3D's layout, and such a scene from RGB-D frames."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from tqdm import tqdm

from integrations.openmask3d.predictors import Kind, load_predictor
from integrations.openmask3d.settings import FeatureSettings
from opendas_plugin.commands.common import command_line, parse, say_once
from opendas_plugin.crops import CropPolicy
from opendas_plugin.errors import ConfigError, MissingFileError
from opendas_plugin.eval.learnt import check_learnt
from opendas_plugin.files import atomic_folder
from opendas_plugin.model.config import PREFIX
from opendas_plugin.model.devices import pick_device
from opendas_plugin.runs.parts import Parts
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run
from opendas_plugin.scenes.agreement import require_agreement
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.folder import find_cloud, find_pictures, open_scene, read_intrinsic
from opendas_plugin.scenes.pointcloud import fuse, geometric_masks, read_ply, write_ply
from opendas_plugin.scenes.views import Intrinsics, Projector, Views
from opendas_plugin.stamps import Inputs
from opendas_plugin.train.distributed import World, join
from opendas_plugin.version import __version__
from opendas_plugin.wording import counted

if TYPE_CHECKING:
    import torch

    from integrations.openmask3d.features import Crop


PROGRAM = "opendas-openmask3d"


@dataclass(frozen=True)
class Features(Run[str]):
    """Computes a CLIP feature for each 3D mask of a scene, as OpenMask3D does, without a checkout of it.

    Under torchrun several processes share the pictures and the crops.
    """

    _: KW_ONLY
    scene: Path
    """Folder with color/, depth/, pose/ (0.txt and on), intrinsic/intrinsic_color.txt and one .ply."""
    masks: Path
    """Mask file: OpenMask3D's <scene>_masks.pt, or .npy; (points, masks)."""
    output: Path
    """The .npy file to write; a .json of the same stem says what computed it."""
    clip: str = "office-tiny"
    """opendas:ADAPTER (a folder needs no opendas:), MODEL/TAG such as ViT-L-14/openai, a file in OpenAI's format, or
    office-tiny."""
    predictor: Kind = "boxes"
    """What finds a mask in a picture; boxes: no network, the box around its visible points."""
    sam_type: str = "vit_h"
    """Model type of segment-anything, or config file of SAM 2."""
    sam_checkpoint: Path | None = None
    """Weight file of SAM or SAM 2."""
    crops: Literal["upstream", "adapter"] = "upstream"
    """upstream: OpenMask3D's levels. adapter: one crop a picture, as the adapter was trained on."""
    depth_scale: float = 1000.0
    """What a metre is in the depth maps."""
    every: int = 1
    """Takes every n-th picture."""
    intrinsics: Intrinsics = "correct"
    """How the intrinsics, those of the colour pictures, are fitted to depth maps of another size."""
    how: FeatureSettings = field(default_factory=FeatureSettings)
    """Pictures a mask, crops a picture, and so on."""
    seed: int = 0
    """Of the points that SAM is given."""
    resume: bool = False
    """Do nothing where the output is there and was computed just so, of the same pictures, poses, masks and cloud."""
    force: bool = False
    """Go on although the points do not fit the depth maps; `opendas-openmask3d check` shows what is wrong."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        from opendas_plugin.model.loading import clip_name

        if self.output.suffix != ".npy":
            raise ConfigError(f"`output` should be a .npy file, got {self.output}")
        if self.crops == "adapter" and not clip_name(self.clip).startswith(PREFIX):
            raise ConfigError("`crops` adapter needs `clip` opendas:ADAPTER")

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        return dict.fromkeys(("sam_type", "sam_checkpoint"), "without SAM") if self.predictor == "boxes" else {}

    def work(self, record: RunRecord) -> str:
        """Computes the features; returns what was written, in all but the first of several processes nothing."""
        with join(pick_device(self.device)) as (world, device):
            return self._compute(record, world, device)

    def _compute(self, record: RunRecord, world: World, device: torch.device) -> str:
        from integrations.openmask3d.features import Extraction, LevelCrops, PolicyCrops
        from integrations.openmask3d.sharing import Sharing
        from opendas_plugin.model.loading import clip_name, load
        from opendas_plugin.scenes.feature_records import describe, scene_inputs
        from opendas_plugin.scenes.mask_arrays import read_masks
        from opendas_plugin.scenes.mask_features import finished_features, save_features

        views = open_scene(self.scene, self.depth_scale, every=self.every, scaling=self.intrinsics)
        points, _ = read_ply(find_cloud(self.scene))
        extraction = Extraction(views, points, read_masks(self.masks), self.how, force=self.force)
        model, preprocess = load(self.clip, device)
        check_learnt(model.config.training, views.colour)
        source = FeatureSource(clip_name(self.clip), model)
        names = ("crops", "predictor", "seed", "intrinsics", "depth_scale", "every", "sam_type")
        settings = asdict(self.how) | {name: getattr(self, name) for name in names}
        described = describe(source, extraction.projector.masks, settings)
        inputs = scene_inputs(views, points, sam=self.sam_checkpoint)
        if self.resume and world.broadcast(lambda: finished_features(self.output, described, inputs)) is not None:
            return f"{self.output} is complete and stays" if world.writes else ""
        described["inputs"] = inputs.record()
        predictor = load_predictor(self.predictor, self.sam_type, self.sam_checkpoint, device)
        crop: Crop = LevelCrops(preprocess, self.how)
        if self.crops == "adapter":
            policy = (source.crops or CropPolicy()).at(model.image_size)
            crop = PolicyCrops(policy, model.pixels)
        rng = np.random.RandomState(self.seed)
        values = {**inputs.values, **described, "version": __version__}
        del values["inputs"]
        parts = Parts(self.output.with_suffix(".parts"), Inputs(inputs.files, values), "computation")
        how = (predictor, rng, crop, lambda pixels: model.encode_image(pixels.to(device)))
        if world.size == 1 and not parts.are_there:
            regions = extraction.regions(predictor, rng)
            found = extraction.features(regions, *how[2:])
        elif (shared := Sharing(world, parts).features(extraction, *how)) is None:
            return ""
        else:
            found = shared
        save_features(self.output, found, described)
        record.write(self.output.parent, f"{self.output.stem}.run.json")
        parts.discard()
        return (
            f"wrote {self.output}: {counted(len(found), 'mask')}, {int((~found.any(axis=1)).sum())} of them in no "
            "picture"
        )


@dataclass(frozen=True)
class MakeScene(Run[str]):
    """Makes a scene in OpenMask3D's layout of RGB-D frames: a fused cloud, and masks from geometry alone."""

    _: KW_ONLY
    frames: Path
    """Folder of the frames' files, three each that differ in their endings."""
    intrinsics: Path
    """File with the camera's 3x3 or 4x4 matrix, for the colour pictures."""
    output: Path
    """The scene's folder, new or of an earlier run; its name is the scene's."""
    colour_suffix: str = ".color.jpg"
    """Ending of the colour pictures."""
    depth_suffix: str = ".depth.png"
    """Ending of the depth maps, 16-bit, of the colour pictures' shape; their size may be another."""
    pose_suffix: str = ".pose.txt"
    """Ending of the poses, 4x4 camera to world, metres."""
    depth_scale: float = 1000.0
    """What a metre is in the depth maps."""
    every: int = 1
    """Takes every n-th frame."""
    voxel: float = 0.02
    """Distance of the fused points, metres."""
    farthest: float = 4.0
    """Depth beyond this many metres is not fused."""
    force: bool = False
    """Go on although the points do not fit the depth maps; `opendas-openmask3d check` shows what is wrong."""

    def work(self, record: RunRecord) -> str:
        """Makes the scene; returns what was written."""
        from opendas_plugin.scenes.mask_arrays import save_masks, sparse_masks

        stems = sorted(path.name.removesuffix(self.pose_suffix) for path in self.frames.glob(f"*{self.pose_suffix}"))
        if not stems:
            raise MissingFileError(f"{self.frames} holds no poses *{self.pose_suffix}; check `frames`, `pose_suffix`")
        with atomic_folder(self.output) as folder:
            views = copy_frames(self, stems[:: self.every], folder)
            points, colours = fuse(
                views,
                tqdm(range(len(views)), desc="fuse", unit="picture", disable=None),
                voxel=self.voxel,
                farthest=self.farthest,
            )
            masks = geometric_masks(points)
            fitted = Projector(views, points, sparse_masks(masks, len(points)), FeatureSettings().threshold)
            fitted.counts(range(len(views)))
            require_agreement(fitted, force=self.force)
            write_ply(folder / f"{self.output.name}.ply", points, colours)
            save_masks(folder / f"{self.output.name}_masks.pt", masks)
            record.write(folder)
        found = [counted(len(views), "picture"), counted(len(points), "point"), counted(masks.shape[1], "mask")]
        return f"wrote {self.output}: {', '.join(found)}"


def features(argv: Sequence[str]) -> None:
    """Computes features as the flags say."""
    prog = f"{PROGRAM} features"
    run = parse(Features, argv, prog=prog)
    say_once()
    if said := run(command_line(prog, argv)):
        print(said)


def scene(argv: Sequence[str]) -> None:
    """Makes a scene as the flags say."""
    prog = f"{PROGRAM} scene"
    print(parse(MakeScene, argv, prog=prog)(command_line(prog, argv)))


def copy_frames(options: MakeScene, stems: Sequence[str], folder: Path) -> Views:
    """Copies the frames' files into OpenMask3D's layout, numbered from 0; returns the pictures there."""
    for name in ("color", "depth", "pose", "intrinsic"):
        (folder / name).mkdir()
    colour = Path(options.colour_suffix).suffix.lower()
    for target, ending, suffix in (
        ("color", colour, options.colour_suffix),
        ("depth", ".png", options.depth_suffix),
        ("pose", ".txt", options.pose_suffix),
    ):
        for number, source in enumerate(find_pictures(options.frames, stems, suffix)):
            shutil.copyfile(source, folder / target / f"{number}{ending}")
    matrix = np.eye(4)
    matrix[:3, :3] = read_intrinsic(options.intrinsics)
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", matrix, fmt="%.9g")
    return open_scene(folder, options.depth_scale)
