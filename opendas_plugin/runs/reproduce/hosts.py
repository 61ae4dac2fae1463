"""Step ``hosts``: the paper's Table 3, from OVSeg and OpenMask3D checkouts and released weights that the user has.

The hosts are driven by their plug-ins' commands, each in a process of its own, since nothing in this package imports
them. A host whose parts were not given is left out, and the page says what it needs.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opendas_plugin.data.images import picture_size
from opendas_plugin.errors import ConfigError
from opendas_plugin.files import read_json, write_text
from opendas_plugin.runs.instance3d import evaluate_instance3d
from opendas_plugin.runs.openmask3d_scenes import prepare_openmask3d
from opendas_plugin.runs.reproduce.place import Place, title_of
from opendas_plugin.runs.reproduce.published import HOSTS
from opendas_plugin.runs.reproduce.results import Result, beside
from opendas_plugin.runs.reproduce.sources import AbsentError
from opendas_plugin.runs.reproduce.store import Done
from opendas_plugin.runs.reproduce.training_rows import reason
from opendas_plugin.stamps import Inputs

logger = logging.getLogger(__name__)

STEP = "hosts"
OVSEG_CONFIG = ("--config-file", "configs/ovseg_swinB_vitL_bs32_120k.yaml")
"""The paper's, unless the user gives another."""
OVSEG_SIZE = 224
_LAST = 300  # characters of a host's own last words


@dataclass(frozen=True)
class Hosts:
    """What the user has of the hosts.

    Args:
        ovseg: OVSeg's checkout.
        ovseg_arguments: further arguments of its train_net.py, such as MODEL.WEIGHTS FILE.
        proposals: folder of class-agnostic 3D masks of the validation scenes, from OpenMask3D's own network or another.
        openmask3d: OpenMask3D's checkout; None: our extractor, whose features equal its own.
        sam: weight file of SAM ViT-H; None: boxes stand in, and the row is no longer the paper's.
    """

    ovseg: Path | None = None
    ovseg_arguments: tuple[str, ...] = ()
    proposals: Path | None = None
    openmask3d: Path | None = None
    sam: Path | None = None


def inputs(place: Place) -> Inputs:
    """What the step is made from."""
    hosts: Hosts = place.hosts
    files = {f"{name}/adapter": adapter_of(place, name) / "adapter.safetensors" for name in ("ade20k", "scannetpp")}
    given = {"ovseg": str(hosts.ovseg), "openmask3d": str(hosts.openmask3d), "proposals": str(hosts.proposals)}
    own = place.inputs([], [], **given, arguments=list(hosts.ovseg_arguments), sam=str(hosts.sam))
    return Inputs({**own.files, **{name: path for name, path in files.items() if path.is_file()}}, own.values)


def run(place: Place) -> Done:
    """Runs what there is.

    Raises:
        AbsentError: nothing of either host was given.
    """
    rows, notes = [], []
    for part in (_ovseg, _openmask3d):
        try:
            found, said = part(place)
            rows += found
            notes += said
        except AbsentError as error:
            notes.append(f"Left out: {error}.")
    if not rows:
        raise AbsentError("; ".join(note.removeprefix("Left out: ").rstrip(".") for note in notes))
    return Done(rows, notes)


def adapter_of(place: Place, step: str, method: str = "opendas") -> Path:
    """The adapter that a step has trained, of its first seed."""
    return place.folder(step) / "rows" / "runs" / method / "seed0" / "adapter"


def _ovseg(place: Place) -> tuple[list[Result], list[str]]:
    hosts: Hosts = place.hosts
    if hosts.ovseg is None:
        raise AbsentError(
            "OVSeg needs its checkout (`ovseg`) and its released weights (`ovseg_arguments` MODEL.WEIGHTS FILE); "
            "integrations/ovseg/README.md leads there"
        )
    adapter = _trained(place, "ade20k", "OVSeg")
    size = read_json(adapter / "adapter_config.json").get("crop_policy", {}).get("size")
    if size != OVSEG_SIZE and not place.tier.is_rehearsal:
        raise AbsentError(
            f"OVSeg cuts regions of {OVSEG_SIZE} pixels, and the adapter of the step ade20k is of {size}, which the "
            "anchor chose; skip the anchor in another output for this row"
        )
    root = Path(os.environ.get("DETECTRON2_DATASETS", place.root))
    if not (root / "ADEChallengeData2016" / "annotations_detectron2" / "validation").is_dir():
        raise AbsentError(
            "OVSeg needs ADEChallengeData2016/annotations_detectron2: run its datasets/prepare_ade20k_sem_seg.py with "
            "DETECTRON2_DATASETS set to the data's folder"
        )
    output = place.folder(STEP) / "ovseg"
    config = () if "--config-file" in hosts.ovseg_arguments else OVSEG_CONFIG
    command = ["integrations.ovseg", "evaluate", "--opendas-adapter", adapter.resolve(), "--output", output.resolve(),
               "--ovseg-root", hosts.ovseg.resolve(), *config, *hosts.ovseg_arguments]  # fmt: skip
    call(command, "OVSeg", {"DETECTRON2_DATASETS": str(root.resolve())})
    summaries = read_json(output / "summary.json")
    about = {"backbone": title_of(place.trained), "crops": str(place.anchored.crops)}
    rows = [
        _row("OVSeg", "ADE20K-150", summaries["stock"], ("miou", "macc"), about, _of_tier(place)),
        _row("OVSeg + OpenDAS", "ADE20K-150", summaries["adapted"], ("miou", "macc"), about, reason(place)),
    ]
    return rows, [
        "OVSeg's checkpoint has a CLIP of its own inside; `--opendas-base` says which one the adapter sits on."
    ]


def _openmask3d(place: Place) -> tuple[list[Result], list[str]]:
    hosts: Hosts = place.hosts
    if hosts.proposals is None:
        raise AbsentError(
            "OpenMask3D needs class-agnostic masks of the validation scenes (`proposals`), from its own network or "
            "another; docs/scannetpp.md says in which forms"
        )
    adapter = _trained(place, "scannetpp", "OpenMask3D")
    folder, truth = place.folder(STEP) / "openmask3d", place.prepared("scannetpp") / "ground_truth"
    scenes = place.domain("scannetpp").info["scenes"]["val"]
    write_text(folder / "scenes.txt", "\n".join(scenes) + "\n")
    options: dict[str, Any] = {"width": 64, "every": 1} if place.tier.is_rehearsal else {}
    prepare_openmask3d(
        root=place.root / "scannetpp", output=folder / "scenes", scenes=folder / "scenes.txt",
        proposals=hosts.proposals, **options,
    )  # fmt: skip
    by = "SAM" if hosts.sam is not None else "boxes"
    about = {"backbone": title_of(place.trained), "scenes": len(scenes), "crops by": by}
    rows = []
    plain = _trained(place, "scannetpp", "OpenMask3D", "zero_shot")  # an adapter without tokens is plain CLIP
    for title, model, part in (("OpenMask3D", plain, "plain"), ("OpenMask3D + OpenDAS", adapter, "adapted")):
        features = folder / f"features-{part}"
        for scene in scenes:
            call(list(_features(place, folder / "scenes", scene, model, features)), f"OpenMask3D on {scene}")
        summary = evaluate_instance3d(
            protocol="scannet", predictions=folder / "scenes" / "masks", features=features,
            ground_truth=truth / "scannet", classes=truth / "classes_scannet.txt",
            instance_classes=truth / "instance_classes.txt", vocabulary=place.prepared("scannetpp") / "vocabulary.json",
            output=folder / f"scores-{part}", adapter=str(model), device=str(place.device),
        )  # fmt: skip
        why = reason(place) or _why_not(place)
        rows.append(_row(title, "ScanNet++ Offices", summary, ("ap", "ap50", "ap25"), about, why))
    extractor = (
        "OpenMask3D's own script" if hosts.openmask3d else "our extractor, whose features are OpenMask3D's to 3e-8"
    )
    return rows, [f"The features of the masks are those of {extractor}."]


def _features(place: Place, root: Path, scene: str, adapter: Path, output: Path) -> Iterator[Any]:
    """The command that computes a scene's features: by OpenMask3D's own script where there is a checkout, else ours."""
    hosts: Hosts = place.hosts
    clip = f"opendas:{adapter.resolve()}"
    masks, room = (root / "masks" / f"{scene}_masks.pt").resolve(), (root / scene).resolve()
    if hosts.openmask3d is None:
        file = output / f"{scene}_openmask3d_features.npy"
        yield from ("integrations.openmask3d", "features", "--scene", room, "--masks", masks, "--clip", clip)
        yield from ("--output", file, "--device", place.device, "--resume")
        if hosts.sam is not None:
            yield from ("--predictor", "sam", "--sam-checkpoint", hosts.sam.resolve())
        return
    cloud = next(room.glob("*.ply"))
    yield from ("integrations.openmask3d", "--openmask3d-root", hosts.openmask3d.resolve())
    yield "compute_features_single_scene.py"
    yield from (f"external.clip_model={clip}", f"data.masks.masks_path={masks}", f"data.point_cloud_path={cloud}")
    yield from (f"data.camera.poses_path={room / 'pose'}", f"data.images.images_path={room / 'color'}")
    height, width = picture_size(next(iter(sorted((room / "color").iterdir()))))
    yield from (f"data.camera.intrinsic_path={room / 'intrinsic' / 'intrinsic_color.txt'}",)
    yield f"data.camera.intrinsic_resolution=[{height},{width}]"
    yield from (f"data.depths.depths_path={room / 'depth'}", f"output.output_directory={output.resolve()}")
    yield from (f"hydra.run.dir={output.resolve() / 'hydra'}", "openmask3d.frequency=1", "+opendas.seed=0")
    yield f"external.sam_checkpoint={hosts.sam.resolve()}" if hosts.sam else "+opendas.predictor=boxes"


def call(command: Sequence[Any], what: str, environment: Mapping[str, str] | None = None) -> None:
    """Runs a command of a plug-in, whose own words are shown where it fails.

    Args:
        command: its module, and its arguments.
        what: runs, for an error.
        environment: variables that it has beside this process's.

    Raises:
        ConfigError: it failed; the message ends with its own last words.
    """
    module, *arguments = map(str, command)
    finished = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["no word"])[-1].removeprefix("error: ")
        raise ConfigError(f"{what} could not be run ({last[:_LAST]}); what is done stays: mend this and run it again")
    logger.info("%s: done", what)


def _trained(place: Place, step: str, host: str, method: str = "opendas") -> Path:
    adapter = adapter_of(place, step, method)
    if not adapter.is_dir():
        raise AbsentError(f"{host} needs the adapter of the step {step}, which is not done")
    return adapter


def _row(
    title: str, data: str, summary: Mapping[str, Any], metrics: Sequence[str], about: Mapping[str, Any], why: str
) -> Result:
    known = HOSTS.get(f"{title}, {data}", {})
    return Result(title, data, beside({metric: summary.get(metric) for metric in metrics}, known), about, why)


def _of_tier(place: Place) -> str:
    return reason(place) if place.tier.is_rehearsal else ""


def _why_not(place: Place) -> str:
    unnamed = "the paper does not name its scenes or its masks"
    return unnamed if place.hosts.sam else f"{unnamed}, and boxes stand in for SAM, whose weights were not given"
