"""The real OpenMask3D at ``OPENMASK3D_ROOT``, on a small room, with a small random SAM and CLIP.

``OPENMASK3D_PYTHON`` names an interpreter with what it imports (clip, segment_anything, hydra, open3d, plyfile ...),
if it is not the one that runs the tests.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from opendas_plugin.model.openai_format import save_openai_clip
from tests.integrations.openmask3d.conftest import (
    EVALUATION,
    FEATURES,
    METHODS,
    ROOT,
    SCANNET200,
    WEIGHTS,
    adapter_of,
    read,
    scans_arguments,
    scene_arguments,
)
from tests.integrations.openmask3d.test_methods import by_hand
from tests.integrations.ovseg.conftest import adapted, clip_state

OPENMASK3D = Path(os.environ.get("OPENMASK3D_ROOT", "/nonexistent"))
PYTHON = os.environ.get("OPENMASK3D_PYTHON", sys.executable)
RUN_STOCK = """
import os, runpy, sys
import numpy
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
numpy.random.seed(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
RUN_OURS = """
import sys
import numpy
from integrations.openmask3d.launcher import main
numpy.random.seed(0)
sys.exit(main(sys.argv[1:]))
"""
SMALL_SAM = """
import importlib.abc, importlib.util, sys


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "segment_anything":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            from segment_anything.build_sam import _build_sam

            module.sam_model_registry["tiny"] = lambda checkpoint=None: _build_sam(32, 2, 2, [1], checkpoint)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
"""
MAKE_SAM = """
import sys, torch, segment_anything
torch.manual_seed(0)
state = segment_anything.sam_model_registry["tiny"]().state_dict()
torch.save(state, sys.argv[1] + "/sam_shy.pth")  # no score above 0: nothing is found
state["mask_decoder.iou_prediction_head.layers.2.bias"] += 0.2
torch.save(state, sys.argv[1] + "/sam.pth")
"""
READ_TEXTS = """
import sys, numpy
from pathlib import Path
host, output, *names = sys.argv[1:]
sys.path[0:0] = [host + "/openmask3d/evaluation", host]
from integrations.openmask3d import launcher
from integrations.openmask3d.install import install

clips, texts = install([]), []


def read(names):
    launcher._accept_any_width(names, clips)
    texts.append(names["InstSegEvaluator"]("scannet200", "ViT-L/14@336px", "a {} in a scene").text_query_embeddings)
    raise InterruptedError


for clips.always in names:
    try:
        launcher.run_script(Path(host, "openmask3d/evaluation/run_eval_close_vocab_inst_seg.py"), read)
    except InterruptedError:
        pass
numpy.save(output, texts)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("OPENMASK3D_ROOT" not in os.environ, reason="OPENMASK3D_ROOT names no checkout of OpenMask3D"),
]


@pytest.fixture(scope="module")
def room(room):
    """The scene with a CLIP of width 768, adapters on it, and a small SAM."""
    torch.save(clip_state(embed_dim=768), room / "wide_state.pt")
    save_openai_clip(str(room / "wide_state.pt"), room / "wide.pt")
    adapted(room / "wide.pt", visual_tokens=0, text_tokens=0).save_pretrained(room / "wide_identity")
    adapted(room / "wide.pt").save_pretrained(room / "wide_both")
    (room / "site").mkdir()
    (room / "site" / "sitecustomize.py").write_text(SMALL_SAM)
    run(room, "-c", MAKE_SAM, room)
    return room


def run(room, *arguments, expect=0, **variables):
    paths = [room / "site", ROOT, ROOT / "integrations" / "openmask3d", OPENMASK3D]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    command = [PYTHON, "-W", "ignore", *map(str, arguments)]
    done = subprocess.run(command, cwd=OPENMASK3D / "openmask3d", env=environment, capture_output=True, text=True)
    assert done.returncode == expect, done.stdout + done.stderr[-3000:]
    return done.stdout + done.stderr


def arguments(room, output, clip, *more, scans=None):
    small = ("external.sam_model_type=tiny", "openmask3d.top_k=2", "openmask3d.num_random_rounds=2")
    more = (
        "openmask3d.frequency=1",
        "data.camera.intrinsic_resolution=[60,80]",
        *small,
        f"hydra.run.dir={output}",
        *more,
    )
    if scans is not None:
        return scans_arguments(room, scans, output, clip, *more)
    return scene_arguments(room, output, clip, *more)


def evaluation(room, output, classes=(4, 5, 7)):
    """The flags of an evaluation of the room, of which it writes ground truth, the boxes' classes, and list."""
    masks = torch.load(room / "room_masks.pt", weights_only=False)[:, :3] > 0
    truth = np.full(len(masks), 2001)  # all else; the first class, chair, must be there
    for number, (mask, class_id) in enumerate(zip(masks.T, classes, strict=True), 1):
        truth[mask] = 1000 * class_id + number
    np.savetxt(output / "room.txt", truth, fmt="%d")
    (output / "scenes.txt").write_text("room\n")
    flags = ["--gt_dir", output, "--mask_pred_dir", room, "--mask_features_dir", output]
    return [*flags, "--scene_list_file", output / "scenes.txt"]


def unchanged():
    done = subprocess.run(["git", "status", "--short"], cwd=OPENMASK3D, capture_output=True, text=True, check=True)
    return done.stdout == ""


def test_identity_features_are_the_untouched_hosts(room, tmp_path):
    stock = arguments(room, tmp_path / "stock", room / "wide.pt")
    (tmp_path / "stock").mkdir()
    run(room, "-c", RUN_STOCK, FEATURES, *stock, TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")
    for name in ("identity", "both"):
        ours = arguments(room, tmp_path / name, f"opendas:{room / f'wide_{name}'}", "+opendas.seed=0")
        run(room, "-m", "integrations.openmask3d", FEATURES, *ours)
    np.testing.assert_allclose(read(tmp_path / "identity"), read(tmp_path / "stock"), atol=1e-6, rtol=0)
    assert np.abs(read(tmp_path / "both") - read(tmp_path / "stock")).max() > 1e-3
    assert not read(tmp_path / "both")[4].any()
    assert unchanged()


def test_all_scans_in_one_run(room, scans, tmp_path):
    stock = arguments(room, tmp_path / "stock", room / "wide.pt", scans=scans)
    run(room, "-c", RUN_STOCK, SCANNET200, *stock, TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")
    for name in ("identity", "both"):
        ours = arguments(room, tmp_path / name, f"opendas:{room / f'wide_{name}'}", scans=scans)
        run(room, "-c", RUN_OURS, SCANNET200, *ours)
    for scene in ("scene0000_00", "scene0011_01"):
        plain, identity, both = (read(tmp_path / name, scene) for name in ("stock", "identity", "both"))
        np.testing.assert_allclose(identity, plain, atol=1e-6, rtol=0)
        assert np.abs(both - plain).max() > 1e-3
    assert unchanged()


def test_sam_may_find_nothing(room, tmp_path):
    for name in ("host", "ours"):
        more = (f"external.sam_checkpoint={room / 'sam_shy.pth'}", f"+opendas.extractor={name}", "+opendas.seed=0")
        overrides = arguments(room, tmp_path / name, room / "wide_state.pt", *more)
        run(room, "-m", "integrations.openmask3d", FEATURES, *overrides)
    np.testing.assert_allclose(read(tmp_path / "ours"), read(tmp_path / "host"), atol=1e-6, rtol=0)
    paths = [tmp_path / name / "room_openmask3d_features.json" for name in ("ours", "host")]
    ours, host = (json.loads(path.read_text()) for path in paths)
    assert {"color/0.jpg", "depth/0.png", "sam"} <= host["inputs"]["files"].keys()
    assert host["inputs"] == ours["inputs"], "OpenMask3D's own extractor leaves the scene's stamps, too"
    assert unchanged()


def test_the_hydra_plugin_alone_is_enough(room, tmp_path):
    more = ("+opendas.predictor=boxes", "+opendas.crops=adapter")
    run(room, FEATURES, *arguments(room, tmp_path / "plugin", f"opendas:{room / 'both'}", *more))
    overrides = arguments(room, tmp_path / "launcher", f"opendas:{room / 'both'}", *more)
    run(room, "-m", "integrations.openmask3d", FEATURES, *overrides)
    np.testing.assert_array_equal(read(tmp_path / "plugin"), read(tmp_path / "launcher"))
    assert read(tmp_path / "plugin").shape == (5, 48)


def test_texts_of_the_hosts_200_sentences(room, tmp_path):
    names = (room / "wide.pt", *(f"opendas:{room / f'wide_{name}'}" for name in ("identity", "both")))
    run(room, "-c", READ_TEXTS, OPENMASK3D, tmp_path / "texts.npy", *names)
    stock, identity, both = np.load(tmp_path / "texts.npy")
    assert stock.shape == (200, 768)
    np.testing.assert_allclose(identity, stock, atol=1e-6, rtol=0)
    assert np.abs(both - stock).max() > 1e-2


def test_the_hosts_evaluation_runs_and_refuses_mixed_pairs(room, tmp_path):
    overrides = arguments(room, tmp_path, f"opendas:{room / 'both'}", "+opendas.predictor=boxes")
    run(room, "-m", "integrations.openmask3d", FEATURES, *overrides)
    program = ["-m", "integrations.openmask3d", EVALUATION, *evaluation(room, tmp_path), "--clip-model"]
    assert "average" in run(room, *program, f"opendas:{room / 'both'}")
    assert "must come from the same CLIP" in run(room, *program, f"opendas:{room / 'identity'}", expect=1)
    assert unchanged()


@pytest.mark.parametrize("method", METHODS)
def test_adapters_of_every_method(room, tmp_path, method):
    """Features are the means over the crops that were kept, by hand; texts those of the adapted CLIP."""
    clip = adapter_of(method, room / "wide_state.pt", tmp_path / "adapter").eval()
    name = f"opendas:{tmp_path / 'adapter'}"
    more = ("+opendas.seed=0", "output.save_crops=true")
    run(room, "-m", "integrations.openmask3d", FEATURES, *arguments(room, tmp_path, name, *more))
    np.testing.assert_allclose(read(tmp_path)[:4], by_hand(clip, tmp_path / "crops"), atol=1e-5, rtol=0)
    run(room, "-c", READ_TEXTS, OPENMASK3D, tmp_path / "texts.npy", name)
    (texts,) = np.load(tmp_path / "texts.npy")
    with torch.no_grad():
        chair = clip.encode_text(clip.tokenize(["a chair in a scene"]), normalize=True).numpy()[0]
    np.testing.assert_allclose(np.abs(texts - chair).max(axis=1).min(), 0, atol=1e-5)
    if method in WEIGHTS:
        torch.save({**torch.load(room / "wide_state.pt"), **clip.merged_weights()}, tmp_path / "merged.pt")
        (tmp_path / "stock").mkdir()
        stock = arguments(room, tmp_path / "stock", tmp_path / "merged.pt")
        run(room, "-c", RUN_STOCK, FEATURES, *stock, TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")
        np.testing.assert_allclose(read(tmp_path), read(tmp_path / "stock"), atol=2e-4, rtol=0)  # half precision
    named = read(tmp_path)[:3] @ texts.T
    program = ["-m", "integrations.openmask3d", EVALUATION]
    flags = evaluation(room, tmp_path, [class_ids()[place] for place in named.argmax(axis=1)])
    flags += ["--sentence_structure", "a {} in a scene"]
    table = scores(run(room, *program, *flags, "--clip-model", name))
    assert float(table["average"][2]) > 0.3, "the truth has the names that the features say, by hand"
    refused = run(room, *program, *flags, "--clip-model", room / "wide_state.pt", expect=1)
    assert re.search("must come from the same CLIP|take the CLIP that computed them", refused)  # rpo's are wider
    if method in WEIGHTS:
        flags += ["--mask_features_dir", tmp_path / "stock"]
        assert scores(run(room, *program, *flags, "--clip-model", tmp_path / "merged.pt")) == table
    assert unchanged()


def class_ids():
    """The ids of ScanNet200's classes in the host's order."""
    text = (OPENMASK3D / "openmask3d" / "evaluation" / "scannet_constants.py").read_text()
    (values,) = [ast.literal_eval(n.value) for n in ast.parse(text).body
                 if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "VALID_CLASS_IDS_200"]  # fmt: skip
    return values


def scores(output):
    """The rows of the host's tables: name -> figures."""
    rows = [line.split(":", 1) for line in output.splitlines() if re.match(r"[\w ]+:( +[\d.na]+)+ *$", line)]
    return {name.strip(): figures.split() for name, figures in rows if name.strip() != "what"}
