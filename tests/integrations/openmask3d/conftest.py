"""A scene for the stand-in of OpenMask3D (tests/hosts/openmask3d), a small CLIP of width 48, and adapters on it."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

from opendas_plugin import methods
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.openai_format import save_openai_clip
from opendas_plugin.scenes.mask_arrays import save_masks
from opendas_plugin.scenes.pointcloud import write_ply
from tests.integrations.openmask3d.scenes import make_scene
from tests.integrations.ovseg.conftest import adapted, clip_state
from tests.pretend import KIND, pretend

ROOT = Path(__file__).parents[3]
STAND_IN = ROOT / "tests" / "hosts" / "openmask3d"
CHECKOUT = STAND_IN / "checkout" / "openmask3d"
FEATURES = "compute_features_single_scene.py"
SCANNET200 = "compute_features_scannet200.py"
EVALUATION = "evaluation/run_eval_close_vocab_inst_seg.py"


@pytest.fixture(scope="session")
def room(tmp_path_factory):
    """A folder with a scene's files, room_masks.pt, SAMs, clip.pt (a state dict), jit.pt, and adapters."""
    folder = tmp_path_factory.mktemp("room")
    scene = make_scene(folder)
    write_ply(folder / "room.ply", scene.points, np.full((len(scene.points), 3), 128, np.uint8))
    save_masks(folder / "room_masks.pt", scene.masks)
    (folder / "sam.pth").write_text("a SAM")
    (folder / "sam_empty.pth").write_text("an empty one")
    torch.save(clip_state(), folder / "clip.pt")
    save_openai_clip(str(folder / "clip.pt"), folder / "jit.pt")
    adapted(folder / "clip.pt", visual_tokens=0, text_tokens=0).save_pretrained(folder / "identity")
    adapted(folder / "clip.pt").save_pretrained(folder / "both", template="a {} in an office")
    return folder


@pytest.fixture(scope="module")
def scans(room, tmp_path_factory):
    """The room twice, as ScanNet lays its scans out, and masks/, those of the second without the first mask."""
    folder = tmp_path_factory.mktemp("scannet")
    masks = torch.load(room / "room_masks.pt", weights_only=False)
    for scene, own in (("scene0000_00", masks), ("scene0011_01", masks[:, 1:])):
        for name, place in (
            ("pose", "data"),
            ("intrinsic", "data"),
            ("depth", "data_compressed"),
            ("color", "data_compressed"),
        ):
            shutil.copytree(room / name, folder / "scans" / scene / place / name)
        shutil.copy(room / "room.ply", folder / "scans" / scene / f"{scene}_vh_clean_2.ply")
        save_masks(folder / "masks" / f"{scene}_masks.pt", own)
    return folder


METHODS = tuple(name for name in methods.registry.BUILT_IN if name not in ("zero_shot", "cocoop"))
"""All methods whose adapters a pipeline can keep; CoCoOp's texts depend on the picture."""

WEIGHTS = ("opendas_plus", "lora", "ln_bias", "wise_ft_image", "wise_ft_text")
"""Those whose adapters are plain CLIP with other weights."""


def adapter_of(method, clip_file, folder):
    """Saves an adapter of a method, moved away from where it starts; returns its CLIP."""
    found = methods.get(method)
    clip = OpenDASCLIP.from_backbone(str(clip_file), prompts=found.prompts, weights=found.weights)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    clip.save_pretrained(folder, method=method)
    return clip


def launch(*arguments, expect=0):
    """Runs the launcher in the stand-in's checkout, in a fork that has torch imported; returns stdout and stderr."""
    with tempfile.TemporaryFile("w+") as log:
        child = os.fork()
        if child == 0:
            _run_launcher(list(map(str, arguments)), log.fileno())
        _, status = os.waitpid(child, 0)
        log.seek(0)
        text = log.read()
    assert os.waitstatus_to_exitcode(status) == expect, text[-3000:]
    return text


def _run_launcher(arguments, log):
    code = 3
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        torch.set_num_threads(1)  # a fork has none of OpenMP's threads
        for name in [name for name in sys.modules if name.partition(".")[0] in ("clip", "hydra", "openmask3d")]:
            del sys.modules[name]
        logging.root.handlers.clear()
        logging.disable(logging.NOTSET)
        sys.path[:0] = ["", str(ROOT), str(STAND_IN / "packages")]
        os.chdir(CHECKOUT)
        from integrations.openmask3d.launcher import main

        with pretend() if os.environ.get("HOST_DEVICE") == KIND else contextlib.nullcontext():
            code = main(arguments)
    except BaseException:  # noqa: BLE001  (the parent reads it)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def scene_arguments(room, output, clip, *more):
    """The overrides of a feature run."""
    return [
        f"data.masks.masks_path={room / 'room_masks.pt'}",
        f"data.camera.poses_path={room / 'pose'}",
        f"data.camera.intrinsic_path={room / 'intrinsic' / 'intrinsic_color.txt'}",
        f"data.depths.depths_path={room / 'depth'}",
        f"data.images.images_path={room / 'color'}",
        f"data.point_cloud_path={room / 'room.ply'}",
        f"external.sam_checkpoint={room / 'sam.pth'}",
        f"external.clip_model={clip}",
        f"output.output_directory={output}",
        *more,
    ]


def scans_arguments(room, scans, output, clip, *more):
    """The overrides of a feature run over all scans."""
    return [
        f"data.scans_path={scans / 'scans'}",
        f"data.masks.masks_path={scans / 'masks'}",
        f"external.sam_checkpoint={room / 'sam.pth'}",
        f"external.clip_model={clip}",
        f"output.output_directory={output}",
        *more,
    ]


def read(output, scene="room"):
    """The features that a run wrote."""
    return np.load(output / f"{scene}_openmask3d_features.npy")
