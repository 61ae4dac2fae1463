"""The real OVSeg at ``OVSEG_ROOT``: what the stand-in says of it is true, and its scripts run with an adapter.

``OVSEG_PYTHON`` names an interpreter with detectron2, if it is not the one that runs the tests.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.runs import export
from tests.integrations.ovseg.conftest import CHECKOUT, STAND_IN, build, save

ROOT = Path(__file__).parents[3]
OVSEG = Path(os.environ.get("OVSEG_ROOT", "/nonexistent"))
PYTHON = os.environ.get("OVSEG_PYTHON", sys.executable)
CONFIG = "configs/ovseg_R101c_vitB_bs32_120k.yaml"
NAMES = ("wall", "desk")
METHODS = ("opendas_plus", "lora", "ln_bias", "wise_ft_image", "maple")

pytestmark = pytest.mark.skipif("OVSEG_ROOT" not in os.environ, reason="OVSEG_ROOT names no checkout of OVSeg")


def run(*arguments, python=PYTHON, paths=(), fails=False, **variables):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        **{name: str(value) for name, value in variables.items()},
    }
    command = [str(python), "-W", "ignore", *map(str, arguments)]
    done = subprocess.run(command, cwd=OVSEG, env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_the_stand_in_is_like_the_host(clip_file, tmp_path):
    hosts = {
        "host": (PYTHON, [OVSEG, OVSEG / "third_party" / "CLIP"]),
        "stand-in": (sys.executable, [CHECKOUT, CHECKOUT / "third_party" / "CLIP", STAND_IN / "packages"]),
    }
    facts, arrays = {}, {}
    for name, (python, paths) in hosts.items():
        (tmp_path / name).mkdir()
        run(STAND_IN / "facts.py", clip_file, tmp_path / name, python=python, paths=paths)
        facts[name] = json.loads((tmp_path / name / "facts.json").read_text())
        arrays[name] = np.load(tmp_path / name / "arrays.npz")
    assert facts["stand-in"] == facts["host"]
    for key, expected in arrays["host"].items():
        if expected.dtype == np.float32:
            np.testing.assert_allclose(arrays["stand-in"][key], expected, atol=1e-4, rtol=1e-5, err_msg=key)
        else:
            np.testing.assert_array_equal(arrays["stand-in"][key], expected, err_msg=key)


@pytest.fixture(scope="module")
def toy(clip_file, tmp_path_factory):
    """Three images, weights, and the config keys that make OVSeg small."""
    folder = tmp_path_factory.mktemp("toy")
    run(STAND_IN / "toy.py", clip_file, folder, paths=[OVSEG, OVSEG / "third_party" / "CLIP"])
    return folder


@pytest.fixture(scope="module")
def evaluate(toy):
    """Runs a script of OVSeg, by the launcher or alone; returns its sem_seg tensors, predictions and log."""

    def evaluate(
        name, *flags, launcher=True, front=(), opts=(), script="train_net.py", names=NAMES, fails=False, config=CONFIG
    ):
        output = toy / name
        output.mkdir()
        front = [*front, "--config-file", config]
        opts = [*json.loads((toy / "opts.json").read_text()), *opts]
        variables = {"DETECTRON2_DATASETS": toy, "XDG_CACHE_HOME": toy / "cache", "CAPTURE": output}
        program = ["-m", "integrations.ovseg", script] if launcher else [script]
        paths = [STAND_IN / "capture", ROOT] if launcher else [STAND_IN / "capture", OVSEG / "third_party" / "CLIP"]
        if not launcher:
            variables["ALIASES"] = 1
        if script == "train_net.py":
            arguments = ["--eval-only", *front, *opts, "OUTPUT_DIR", output]
        else:
            images = sorted((toy / "ADEChallengeData2016" / "images" / "validation").glob("*"))
            demo = ["--input", images[0], "--output", output / "picture.jpg", "--class-names", *names]
            arguments = [*front, *demo, "--opts", *opts, "MODEL.META_ARCHITECTURE", "OVSegDEMO"]
        log = run(*program, *arguments, *flags, paths=paths, fails=fails, **variables)
        predictions = output / "inference" / "sem_seg_predictions.json"
        rows = json.loads(predictions.read_text()) if predictions.exists() else []
        tensors = {path.stem: torch.load(path) for path in output.glob("*.pt")}
        return tensors, sorted(json.dumps(row, sort_keys=True) for row in rows), log

    return evaluate


def complaints(log):
    words = ("not found in the checkpoint", "unexpected", "skip loading", "not used by the model")
    return [line for line in log.lower().splitlines() if any(word in line for word in words)]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train_net.py", "demo.py"])
def test_backends(evaluate, identity, adapter, toy, script):
    name = script.partition(".")[0]
    opendas = ["--clip-backend", "opendas", "--opendas-adapter"]
    alone, alone_rows, alone_log = evaluate(f"{name}-alone", launcher=False, script=script)
    assert len(alone) == (3 if script == "train_net.py" else 1)
    stock, stock_rows, _ = evaluate(f"{name}-stock", script=script)
    assert same(stock, alone) and stock_rows == alone_rows
    identical, identical_rows, _ = evaluate(f"{name}-identity", *opendas, identity, script=script)
    assert same(identical, alone) and identical_rows == alone_rows
    front = ["--opendas-adapter", adapter, "--clip-backend=opendas"]
    prompted, rows, log = evaluate(f"{name}-prompted", front=front, script=script)
    assert not any(torch.allclose(prompted[key], alone[key], atol=1e-3) for key in alone)
    assert complaints(log) == complaints(alone_log)
    if script == "train_net.py":
        assert f"PROMPT_CHECKPOINT: {adapter}" in (toy / f"{name}-prompted" / "config.yaml").read_text()
        two, two_rows, _ = evaluate("two", *opendas, adapter, front=["--num-gpus", "2", "--dist-url", "auto"])
        assert same(two, prompted) and two_rows == rows
    status = subprocess.run(["git", "status", "--porcelain"], cwd=OVSEG, capture_output=True, text=True)
    assert status.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train_net.py", "demo.py"])
def test_images_without_a_valid_mask_pass(evaluate, adapter, script):
    opts = ["MODEL.CLIP_ADAPTER.MASK_THR", "0.9999"]
    for backend in ([], ["--clip-backend", "opendas", "--opendas-adapter", adapter]):
        tensors, _, log = evaluate(f"no-mask-{script}-{len(backend)}", *backend, opts=opts, script=script)
        assert log.count("no valid mask") == 1
        assert all(tensor.isfinite().all() for tensor in tensors.values())


@pytest.mark.slow
def test_base(host, evaluate, adapter, toy, other_clip_file):
    """Weights that hold another CLIP, as OVSeg's released ones do."""
    checkpoint = torch.load(toy / "weights.pth")
    other = build(host, other_clip_file).clip_adapter.clip_model.state_dict()
    other.pop("visual.mask_embedding")
    checkpoint["model"].update({f"clip_adapter.clip_model.{key}": value for key, value in other.items()})
    torch.save(checkpoint, toy / "adapted.pth")
    opendas = ["--clip-backend", "opendas", "--opendas-adapter", adapter]
    opts = ["MODEL.WEIGHTS", toy / "adapted.pth"]
    plain, _, _ = evaluate("base-plain", *opendas)
    weights, _, log = evaluate("base-weights", *opendas, "--opendas-base", "weights", opts=opts)
    assert log.count("--opendas-base clip keeps") == 1
    clip, _, log = evaluate("base-clip", *opendas, "--opendas-base", "clip", opts=opts)
    assert "--opendas-base clip keeps" not in log
    assert same(clip, plain) and not same(weights, plain)


@pytest.fixture(scope="module")
def adapters(clip_file, tmp_path_factory):
    """An adapter of each method."""
    folder = tmp_path_factory.mktemp("methods")
    return {method: save(folder / method, clip_file, method) for method in METHODS}


@pytest.fixture(scope="module")
def stock(evaluate):
    return evaluate("methods-stock")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_patch_alone_gives_the_features_of_opendas_plugin(adapters, clip_file, tmp_path, method):
    run(
        Path(__file__).parent / "host_features.py",
        OVSEG,
        clip_file,
        adapters[method],
        tmp_path / "out.npz",
        paths=[ROOT],
    )
    found, clip = np.load(tmp_path / "out.npz"), OpenDASCLIP.from_pretrained(adapters[method])
    pixels = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    ids = clip.tokenize(["a photo of a desk.", "There is a wall in the scene"])
    with torch.no_grad():
        np.testing.assert_allclose(found["image"], clip.encode_image(pixels), atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(found["text"], clip.encode_text(ids), atol=1e-4, rtol=1e-4)
    assert np.array_equal(found["regions"], found["host_regions"]) and found["valid"].tolist() == [True, True, False]
    np.testing.assert_allclose(found["one"], found["logits"][:1], atol=1e-3)
    assert np.abs(found["logits"] - found["stock_logits"]).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS if name != "maple"])
def test_weights_give_what_the_merged_checkpoint_gives_in_ovseg_alone(evaluate, adapters, toy, stock, method):
    checkpoint = torch.load(toy / "weights.pth")
    prefix, merged = "clip_adapter.clip_model.", OpenDASCLIP.from_pretrained(adapters[method]).merged_weights()
    assert all(prefix + name in checkpoint["model"] for name in merged)
    checkpoint["model"].update({prefix + name: value for name, value in merged.items()})
    torch.save(checkpoint, toy / f"{method}.pth")
    by_hand, hand_rows, hand_log = evaluate(f"{method}-by-hand", launcher=False,
                                            opts=["MODEL.WEIGHTS", toy / f"{method}.pth"])  # fmt: skip
    flags = ["--clip-backend", "opendas", "--opendas-adapter", adapters[method]]
    ours, rows, log = evaluate(f"{method}-flag", *flags)
    assert rows == hand_rows and complaints(log) == complaints(hand_log)
    for name, expected in by_hand.items():
        torch.testing.assert_close(ours[name], expected, atol=1e-6, rtol=1e-3)
        assert not torch.allclose(ours[name], stock[0][name], atol=1e-3)


@pytest.mark.slow
def test_maple_changes_the_numbers(evaluate, adapters, stock):
    ours, _, _ = evaluate("maple-flag", "--clip-backend", "opendas", "--opendas-adapter", adapters["maple"])
    assert not any(torch.allclose(ours[name], stock[0][name], atol=1e-3) for name in ours)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--clip-backend", "opendas"]], ids=["stock", "opendas"])
def test_a_file_that_the_checkpoint_overwrites_is_refused(evaluate, adapters, adapter, tmp_path, flags):
    export(to="openai-clip", adapter=str(adapters["lora"]), output=tmp_path / "clip.pt")
    flags = [*flags, "--opendas-adapter", adapter] if flags else []
    opts = ["MODEL.CLIP_ADAPTER.CLIP_MODEL_NAME", tmp_path / "clip.pt"]
    _, _, log = evaluate(f"overwritten-{len(flags)}", *flags, opts=opts, fails=True)
    last = log.strip().splitlines()[-1]
    assert last.startswith("error: MODEL.WEIGHTS holds a CLIP that overwrites the one of") and "clip.pt" in last


@pytest.mark.slow
def test_a_backbone_out_of_the_checkpoint_is_the_clip_that_runs(evaluate, host, toy, other_clip_file, tmp_path):
    """The hash of an adapter on a whole checkpoint of OVSeg is that of its CLIP: no warning of another one."""
    checkpoint = torch.load(toy / "weights.pth")
    for name, value in torch.load(other_clip_file).items():
        checkpoint["model"][f"clip_adapter.clip_model.{name}"] = value + 1e-5  # not of half precision
    torch.save(checkpoint, tmp_path / "ovseg.pth")
    save(tmp_path / "adapter", tmp_path / "ovseg.pth", "ln_bias")
    opts = ["MODEL.WEIGHTS", tmp_path / "ovseg.pth"]
    flags = ["--clip-backend", "opendas", "--opendas-adapter", tmp_path / "adapter", "--opendas-base", "weights"]
    _, _, log = evaluate("own-backbone", *flags, opts=opts)
    assert "was learnt on" not in log.replace("learnt on /", "") and "--opendas-base clip keeps" not in log


@pytest.mark.slow
def test_the_demo_as_its_users_call_it(evaluate, toy):
    tidy, _, log = evaluate("demo-commas", script="demo.py", names=["wall,", "desk"])
    plain, _, _ = evaluate("demo-plain", script="demo.py")
    assert same(tidy, plain) and "is read as ['wall', 'desk']" in log and "random weights" not in log
    _, _, log = evaluate("demo-random", script="demo.py", opts=["MODEL.WEIGHTS", ""])
    assert log.count("OVSeg's mask head has random weights") == 1
    off = ["MODEL.CLIP_ADAPTER.CLIP_ENSEMBLE", "False"]
    _, _, log = evaluate("demo-off-alone", script="demo.py", opts=off, launcher=False, fails=True)
    assert "UnboundLocalError" in log
    mended, _, log = evaluate("demo-off", script="demo.py", opts=off)
    assert "its own branch alone names the masks" in log and mended["demo"].isfinite().all()


@pytest.mark.slow
def test_an_older_runs_configuration_does_not_bring_its_adapters_name(evaluate, adapters, toy):
    lora = ["--clip-backend", "opendas", "--opendas-adapter", adapters["lora"]]
    evaluate("older", *lora)
    assert f"PROMPT_CHECKPOINT: {adapters['lora']}" in (toy / "older" / "config.yaml").read_text()
    evaluate("newer", config=toy / "older" / "config.yaml")
    assert "PROMPT_CHECKPOINT: ''" in (toy / "newer" / "config.yaml").read_text()


@pytest.mark.slow
def test_the_comparison_of_every_method_and_stale_files(adapters, toy, tmp_path):
    """Each has its table; OVSeg alone runs once, until one of its files is another."""
    opts, out = json.loads((toy / "opts.json").read_text()), tmp_path / "out"
    weights = tmp_path / "weights.pth"
    weights.write_bytes((toy / "weights.pth").read_bytes())
    opts[opts.index("MODEL.WEIGHTS") + 1] = str(weights)

    def compare(method):
        command = ["-m", "integrations.ovseg", "evaluate", "--opendas-adapter", adapters[method], "--output", out]
        log = run(
            *command, "--config-file", CONFIG, *opts, paths=[ROOT], DETECTRON2_DATASETS=toy, XDG_CACHE_HOME=tmp_path
        )
        assert (out / "table.txt").read_text() in log
        return log, (out / "adapted" / "inference" / "sem_seg_predictions.json").read_text()

    predictions = set()
    for number, method in enumerate(METHODS):
        log, predicted = compare(method)
        assert ("OVSeg: the predictions are there" in log) == (number > 0)
        predictions.add(predicted)
    assert len(predictions) == len(METHODS)
    checkpoint = torch.load(weights)
    checkpoint["model"]["clip_adapter.non_object_embedding"].neg_()
    torch.save(checkpoint, weights)
    log, _ = compare(METHODS[-1])
    assert log.count(f"the predictions are made anew: {weights} has changed") == 2


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True], ids=["ade20k", "own"])
def test_the_comparisons_scores_are_those_of_ovseg(adapter, toy, tmp_path, own):
    folder = toy / "ADEChallengeData2016"
    described = {"name": "own", "images": f"{folder}/images/validation", "classes": [f"class {i}" for i in range(150)]}
    described["labels"] = f"{folder}/annotations_detectron2/validation"
    (tmp_path / "own.json").write_text(json.dumps(described))
    flags = ["--opendas-dataset", tmp_path / "own.json"] if own else []
    opts = json.loads((toy / "opts.json").read_text())
    out = tmp_path / "out"
    command = ["-m", "integrations.ovseg", "evaluate", "--opendas-adapter", adapter, "--output", out, *flags]
    run(*command, "--config-file", CONFIG, *opts, paths=[ROOT], DETECTRON2_DATASETS=toy, XDG_CACHE_HOME=tmp_path)
    ours = json.loads((out / "summary.json").read_text())
    for name in ("stock", "adapted"):
        ovsegs = torch.load(out / name / "inference" / "sem_seg_evaluation.pth", weights_only=False)
        for key, theirs in {"miou": "mIoU", "macc": "mACC", "fwiou": "fwIoU", "pacc": "pACC"}.items():
            assert ours[name][key] == pytest.approx(ovsegs[theirs], abs=1e-9)
        assert ours[name]["pacc"] > 0


@pytest.mark.slow
def test_the_readmes_example_with_sam(adapters, clip_file, toy, tmp_path):
    """As it stands there, with files of this test, a small random SAM, and its scores not looked at."""
    readme = (ROOT / "integrations" / "ovseg" / "README.md").read_text()
    (code,) = [part for part in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "segment_anything" in part]
    picture = next((toy / "ADEChallengeData2016" / "images" / "validation").glob("*.jpg"))
    sam = '["vit_b"](), points_per_side=2, pred_iou_thresh=-1e9, stability_score_thresh=-1.0, box_nms_thresh=2.0'
    for old, new in {
        '"ov-seg"': repr(str(OVSEG)),
        '"ovseg_swinbase_vitL14_ft_mpt.pth"': repr(str(toy / "weights.pth")),
        '"ViT-L/14"': repr(str(clip_file)),
        '"photo.jpg"': repr(str(picture)),
        '["vit_h"](checkpoint="sam_vit_h_4b8939.pth")': sam,
        '"runs/mine/adapter"': repr(str(adapters["opendas_plus"])),
    }.items():
        assert code.count(old) == 1, old
        code = code.replace(old, new)
    (tmp_path / "example.py").write_text(code + "\nassert regions.shape == (int(valid.sum()), 3, 224, 224)\n")
    printed = run(tmp_path / "example.py", paths=[ROOT])
    assert set(printed.split()) & {"wall", "desk", "chair"}
