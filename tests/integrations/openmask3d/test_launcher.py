"""The launcher on a stand-in for OpenMask3D: plain names as the host, adapters in both towers, mixed pairs refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from opendas_plugin.scenes.mask_arrays import save_masks
from tests.integrations.openmask3d.conftest import (
    CHECKOUT,
    EVALUATION,
    FEATURES,
    SCANNET200,
    launch,
    read,
    scans_arguments,
    scene_arguments,
)


@pytest.fixture(scope="module")
def runs(room, tmp_path_factory):
    """Features by plain CLIP, by the identity adapter and by one with learnt tokens, and their logs."""
    folder = tmp_path_factory.mktemp("runs")
    logs = {}
    for name, clip in {
        "plain": room / "clip.pt",
        "jit": room / "jit.pt",
        "identity": f"opendas:{room / 'identity'}",
        "both": f"opendas:{room / 'both'}",
    }.items():
        logs[name] = launch(FEATURES, *scene_arguments(room, folder / name, clip, "+opendas.seed=0"))
    return folder, logs


def test_an_identity_adapter_has_the_hosts_features(runs):
    folder, _ = runs
    np.testing.assert_allclose(read(folder / "identity"), read(folder / "plain"), atol=1e-6, rtol=0)


def test_another_adapter_has_others(runs):
    folder, _ = runs
    difference = np.abs(read(folder / "both") - read(folder / "plain"))
    assert (difference[:4].max(axis=1) > 1e-3).all()


def test_a_mask_that_is_never_seen_stays_zero(runs):
    folder, logs = runs
    assert not read(folder / "both")[4].any()
    assert np.isfinite(read(folder / "both")).all()
    assert "1 of 5 masks is seen in no picture" in logs["both"]


def test_each_fix_is_named_once_and_where_it_acts(runs):
    _, logs = runs
    for text in ("clip.load cannot read state dicts", "the output folder", "torch.load refuses"):
        assert logs["plain"].count(text) == 1
    assert "clip.load cannot read" not in logs["jit"]


def test_files_of_both_kinds_are_read_alike(runs):
    folder, _ = runs
    np.testing.assert_allclose(read(folder / "jit"), read(folder / "plain"), atol=2e-2)  # half precision in the archive


def test_the_record_says_what_computed_the_features(runs, room):
    folder, _ = runs
    record = json.loads((folder / "both" / "room_openmask3d_features.json").read_text())
    assert record["clip"]["adapter"] == str(room / "both")
    assert record["clip"]["template"] == "a {} in an office"
    assert record["clip"]["width"] == 48
    assert record["settings"]["crops"] == "upstream"
    assert record["masks"]["count"] == 5
    identity = json.loads((folder / "identity" / "room_openmask3d_features.json").read_text())
    assert identity["clip"]["sha256"] != record["clip"]["sha256"]


def test_the_hosts_own_features_replace_an_earlier_record(room, runs, tmp_path):
    launch(FEATURES, *scene_arguments(room, tmp_path, f"opendas:{room / 'both'}", "+opendas.predictor=boxes"))
    launch(FEATURES, *scene_arguments(room, tmp_path, room / "clip.pt"))
    record = json.loads((tmp_path / "room_openmask3d_features.json").read_text())
    assert record["clip"]["adapter"] is None
    assert record["settings"]["extractor"] == "host"


def test_the_checkout_stays_as_it_is(runs):
    assert not list(CHECKOUT.rglob("*.npy")) + list(CHECKOUT.rglob("*.pt"))


@pytest.mark.parametrize("extractor", ["host", "ours"])
def test_sam_may_find_nothing(room, tmp_path, extractor):
    more = (f"external.sam_checkpoint={room / 'sam_empty.pth'}", f"+opendas.extractor={extractor}")
    log = launch(FEATURES, *scene_arguments(room, tmp_path, room / "clip.pt", *more))
    assert ("SAM finds nothing" in log) == (extractor == "host")
    launch(
        FEATURES, *scene_arguments(room, tmp_path / "boxes", f"opendas:{room / 'identity'}", "+opendas.predictor=boxes")
    )
    np.testing.assert_allclose(read(tmp_path), read(tmp_path / "boxes"), atol=1e-6)


def test_without_fixes_the_host_is_left_as_it_is(room, tmp_path):
    log = launch("--no-host-fixes", FEATURES, *scene_arguments(room, tmp_path, room / "jit.pt"), expect=1)
    assert "host fix" not in log
    assert "weights_only" in log.lower() or "Weights only" in log


def test_crops_may_be_the_adapters(room, runs, tmp_path):
    more = ("+opendas.crops=adapter", "+opendas.seed=0")
    launch(FEATURES, *scene_arguments(room, tmp_path, f"opendas:{room / 'both'}", *more))
    assert np.abs(read(tmp_path) - read(runs[0] / "both"))[:4].max() > 1e-3


def test_crops_are_kept_and_the_models_take_turns_where_the_host_says_so(room, runs, tmp_path):
    more = ("+opendas.seed=0", "output.save_crops=true", "gpu.optimize_gpu_usage=true")
    launch(FEATURES, *scene_arguments(room, tmp_path, f"opendas:{room / 'both'}", *more))
    np.testing.assert_array_equal(read(tmp_path), read(runs[0] / "both"))
    assert len(list((tmp_path / "crops").glob("crop*.png"))) == 4 * 3 * 3  # masks, pictures, levels


def test_a_complete_scene_is_left_out_when_resuming(room, runs, tmp_path):
    arguments = scene_arguments(room, tmp_path, f"opendas:{room / 'both'}", "+opendas.seed=0", "+opendas.resume=true")
    assert "is complete and stays" not in launch(FEATURES, *arguments)
    assert "is complete and stays" in launch(FEATURES, *arguments)
    np.testing.assert_array_equal(read(tmp_path), read(runs[0] / "both"))
    assert "is complete and stays" not in launch(FEATURES, *arguments, "+opendas.seed=1")
    (tmp_path / "room_openmask3d_features.npy").write_bytes(b"half a file")
    assert "is complete and stays" not in launch(FEATURES, *arguments, "+opendas.seed=1")


@pytest.fixture(scope="module")
def scan_runs(room, scans, tmp_path_factory):
    """Features of both scans by plain CLIP and by adapters."""
    folder = tmp_path_factory.mktemp("scan_runs")
    clips = {"plain": room / "clip.pt", "identity": f"opendas:{room / 'identity'}", "both": f"opendas:{room / 'both'}"}
    for name, clip in clips.items():
        launch(SCANNET200, *scans_arguments(room, scans, folder / name, clip, "+opendas.seed=0"))
    return folder


@pytest.mark.parametrize(("scene", "masks"), [("scene0000_00", 5), ("scene0011_01", 4)])
def test_all_scans_have_the_hosts_features(scan_runs, room, scene, masks):
    plain, identity, both = (read(scan_runs / name, scene) for name in ("plain", "identity", "both"))
    assert plain.shape == (masks, 48)
    np.testing.assert_allclose(identity, plain, atol=1e-6, rtol=0)
    assert np.abs(both - plain).max() > 1e-3
    record = json.loads((scan_runs / "both" / f"{scene}_openmask3d_features.json").read_text())
    assert record["clip"]["adapter"] == str(room / "both")
    assert record["masks"]["count"] == masks


def test_of_all_scans_only_those_are_computed_that_are_not_complete(room, scans, scan_runs, tmp_path):
    shutil.copytree(scan_runs / "both", tmp_path / "both")
    (tmp_path / "both" / "scene0000_00_openmask3d_features.npy").unlink()
    more = ("+opendas.seed=0", "+opendas.resume=true")
    log = launch(SCANNET200, *scans_arguments(room, scans, tmp_path / "both", f"opendas:{room / 'both'}", *more))
    assert log.count("is complete and stays") == 1
    for scene in ("scene0000_00", "scene0011_01"):
        np.testing.assert_array_equal(read(tmp_path / "both", scene), read(scan_runs / "both", scene))


def evaluate(runs, room, features, *flags, **more):
    folder, _ = runs
    output = folder / f"{features}.npz"
    arguments = ["--mask_pred_dir", room, "--mask_features_dir", folder / features, "--output", output]
    return launch(EVALUATION, *arguments, *flags, **more), output


def test_texts_are_of_the_adapter_and_of_its_template(runs, room):
    log, output = evaluate(runs, room, "both", "--clip-model", f"opendas:{room / 'both'}")
    adapted = np.load(output)
    assert adapted["sentence"] == "a {} in an office"
    assert adapted["texts"].shape == (3, 48)
    assert "'a {} in an office'" in log
    _, output = evaluate(runs, room, "plain", "--clip-model", room / "clip.pt")
    plain = np.load(output)
    assert plain["sentence"] == "a {} in a scene"
    flags = ("--clip-model", f"opendas:{room / 'identity'}", "--sentence_structure", "a {} in a scene")
    _, output = evaluate(runs, room, "identity", *flags)
    np.testing.assert_allclose(np.load(output)["texts"], plain["texts"], atol=1e-6)
    assert np.abs(adapted["texts"] - plain["texts"]).max() > 1e-2


def test_features_and_texts_of_two_clips_are_refused(runs, room, tmp_path):
    log, _ = evaluate(runs, room, "both", "--clip-model", f"opendas:{room / 'identity'}", expect=1)
    assert one_error(log).startswith(f"error: {runs[0] / 'both'}")
    assert "must come from the same CLIP" in log
    log, _ = evaluate(runs, room, "both", "--clip-model", room / "clip.pt", expect=1)
    assert "must come from the same CLIP" in one_error(log)
    log, _ = evaluate(runs, room, "plain", "--clip-model", f"opendas:{room / 'both'}", expect=1)
    assert "was computed with plain CLIP" in one_error(log)


def one_error(log):
    """The one line that starts with error."""
    (line,) = [line for line in log.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in log
    return line


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.camera.poses_path=/nowhere", "/nowhere holds no poses"),
        ("data.depths.depth_scale=5000", "check depth_scale"),
        ("data.masks.masks_path={room}/none_masks.pt", "holds no masks"),
        ("external.clip_model=opendas:/nowhere", "there is no adapter /nowhere"),
        ("external.clip_model={room}/damaged.pt", "could not be read as weights"),
        ("+opendas.crop=adapter", "expected one of opendas.extractor"),
        ("+opendas.crops=mine", "expected upstream or adapter"),
        ("data.camera.poses_path={room}/padded", "0.txt is missing"),
    ],
)
def test_bad_input_is_one_sentence_before_the_work(room, tmp_path, override, message):
    save_masks(room / "none_masks.pt", np.zeros((3020, 0)))
    (room / "damaged.pt").write_bytes(b"PK")
    (room / "padded").mkdir(exist_ok=True)
    (room / "padded" / "0000.txt").write_text((room / "pose" / "0.txt").read_text())
    arguments = scene_arguments(room, tmp_path, f"opendas:{room / 'identity'}", override.format(room=room))
    log = launch(FEATURES, *arguments, expect=1)
    assert message in one_error(log)
    assert not list(tmp_path.glob("*.npy"))


def test_bad_usage(room, tmp_path):
    assert "usage" in launch(expect=2)
    assert "--clip-model" in launch("--help")
    assert "/nowhere.py does not exist" in launch("/nowhere.py", expect=1)
    (tmp_path / "script.py").write_text("")
    assert "lies in no checkout of OpenMask3D" in launch(tmp_path / "script.py", expect=1)
    assert "external.clip_model=NAME" in launch("--clip-model", "x", FEATURES, expect=2)


def test_a_missing_sam_is_one_sentence_that_names_the_boxes(room, tmp_path):
    none = f"external.sam_checkpoint={tmp_path / 'none.pth'}"
    log = launch(FEATURES, *scene_arguments(room, tmp_path, f"opendas:{room / 'both'}", none), expect=1)
    assert "choose +opendas.predictor=boxes, the box" in one_error(log)
    log = launch(FEATURES, *scene_arguments(room, tmp_path, room / "clip.pt", none), expect=1)
    assert "choose +opendas.predictor=boxes +opendas.extractor=ours" in one_error(log)
    more = (none, "+opendas.predictor=boxes", "+opendas.extractor=ours")
    launch(FEATURES, *scene_arguments(room, tmp_path, room / "clip.pt", *more))
    assert read(tmp_path).any()


@pytest.mark.parametrize("override", ["predictor=boxes", "crops=upstream", "resume=true", "batch_size=3"])
def test_an_override_without_effect_is_refused(room, tmp_path, override):
    log = launch(FEATURES, *scene_arguments(room, tmp_path, room / "clip.pt", f"+opendas.{override}"), expect=1)
    assert f"+opendas.{override.partition('=')[0]} has no effect in OpenMask3D's own extractor" in one_error(log)


def test_an_adapters_folder_needs_no_opendas_before_it(room, runs, tmp_path):
    launch(FEATURES, *scene_arguments(room, tmp_path, room / "both", "+opendas.seed=0"))
    np.testing.assert_array_equal(read(tmp_path), read(runs[0] / "both"))
    _, output = evaluate(runs, room, "both", "--clip-model", room / "both")
    assert np.load(output)["sentence"] == "a {} in an office"


@pytest.mark.parametrize(
    "masks",
    [lambda m: m.to_sparse().bfloat16(), lambda m: (m.bool(), torch.ones(5))],
    ids=["sparse", "with scores"],
)
def test_masks_of_every_kind_give_the_same_features_and_evaluation(room, runs, tmp_path, masks):
    folder = tmp_path / "other"
    folder.mkdir()
    numpys = torch.from_numpy(torch.load(room / "room_masks.pt", weights_only=False).astype(np.float32))
    torch.save(masks(numpys), folder / "room_masks.pt")
    path = f"data.masks.masks_path={folder / 'room_masks.pt'}"
    for clip in ("plain", "both"):
        name = room / "clip.pt" if clip == "plain" else f"opendas:{room / 'both'}"
        launch(FEATURES, *scene_arguments(room, tmp_path / clip, name, "+opendas.seed=0", path))
        np.testing.assert_array_equal(read(tmp_path / clip), read(runs[0] / clip))
    _, output = evaluate(runs, folder, "plain", "--clip-model", room / "clip.pt")
    assert np.isfinite(np.load(output)["scores"]).all()


def test_the_hosts_own_features_know_their_scene_as_ours_do(room, runs):
    records = [
        json.loads((runs[0] / name / "room_openmask3d_features.json").read_text())["inputs"]
        for name in ("plain", "both")
    ]
    assert {"color/0.jpg", "depth/5.png", "sam"} <= records[0]["files"].keys()
    assert records[0] == records[1]
    record = json.loads((runs[0] / "plain" / "room_openmask3d_features.json").read_text())
    assert record["settings"]["topk"] == 3


def test_the_evaluation_refuses_features_of_other_masks(room, runs, tmp_path):
    masks = torch.load(room / "room_masks.pt", weights_only=False)
    save_masks(tmp_path / "room_masks.pt", masks[:, ::-1])
    for features, clip in (("plain", room / "clip.pt"), ("both", room / "both")):
        log, _ = evaluate(runs, tmp_path, features, "--clip-model", clip, expect=1)
        assert "holds the features of other masks" in one_error(log)


def test_pictures_may_end_in_upper_case_and_lose_their_poses(room, runs, tmp_path):
    scene = tmp_path / "scene"
    for name in ("color", "depth", "pose"):
        shutil.copytree(room / name, scene / name)
    for path in (scene / "color").iterdir():
        path.rename(path.with_suffix(".JPG"))
    places = (
        f"data.images.images_path={scene / 'color'}",
        f"data.depths.depths_path={scene / 'depth'}",
        f"data.camera.poses_path={scene / 'pose'}",
    )
    arguments = scene_arguments(room, tmp_path, f"opendas:{room / 'both'}", "+opendas.seed=0", *places)
    launch(FEATURES, *arguments)
    np.testing.assert_array_equal(read(tmp_path), read(runs[0] / "both"))
    np.savetxt(scene / "pose" / "1.txt", np.full((4, 4), -np.inf))
    assert "1 of 6 pictures has no pose (infinite values: lost tracking) and shows nothing: 1" in launch(
        FEATURES, *arguments
    )
    assert np.abs(read(tmp_path) - read(runs[0] / "both")).max() > 1e-3
