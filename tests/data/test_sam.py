"""SAM's masks through transformers, with tiny models of random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from opendas_plugin.commands.segment import main
from tests.commands.segmenting import flags, make_photos
from tests.data.tiny_sams import EVERY, make_sam, make_sam2

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_sam(tmp_path_factory.mktemp("sam"))


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    return make_sam2(tmp_path_factory.mktemp("sam2"))


@pytest.mark.parametrize("version", ["checkpoint", "second"])
def test_masks_are_those_of_the_pipeline_without_the_empty_ones(version, request, tmp_path):
    checkpoint = request.getfixturevalue(version)
    photos = make_photos(tmp_path / "photos", ["a.png", "b.png"])
    assert main(flags(photos, tmp_path / "out", "--masks", f"sam:{checkpoint}", *EVERY)) == 0
    sam = transformers.pipeline("mask-generation", model=str(checkpoint), device="cpu")
    for name in ("a", "b"):
        found = sam(str(photos / f"{name}.png"), pred_iou_thresh=-10, stability_score_thresh=0, points_per_crop=4)
        theirs = [np.asarray(mask) for mask in found["masks"]]
        ours = np.load(tmp_path / "out" / "detections" / f"{name}.npz")["mask"]
        assert len(ours) and np.array_equal(ours, [mask for mask in theirs if mask.any()])


def test_where_no_mask_passes_the_thresholds_the_photo_is_counted(checkpoint, tmp_path, caplog):
    photos = make_photos(tmp_path / "photos", ["a.png"])
    given = ("--masks", f"sam:{checkpoint}", "--sam.points-per-side", "2")
    assert main(flags(photos, tmp_path / "out", *given)) == 0
    assert "1 of 1 photo has no mask" in caplog.text
    assert json.loads((tmp_path / "out" / "instances.json").read_text())["annotations"] == []


def test_other_thresholds_and_weights_are_refused(checkpoint, tmp_path, capsys):
    photos = make_photos(tmp_path / "photos", ["a.png"])
    argv = flags(photos, tmp_path / "out", "--masks", f"sam:{checkpoint}")
    assert main([*argv, "--sam.points-per-side", "2"]) == 0
    assert main([*argv, "--sam.points-per-side", "3"]) == 1
    assert "--sam.points-per-side was 2, now 3" in capsys.readouterr().err


def test_a_folder_of_another_model_is_one_sentence(tmp_path, capsys):
    photos = make_photos(tmp_path / "photos", ["a.png"])
    transformers.BertConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1).save_pretrained(
        tmp_path / "bert"
    )
    assert main(flags(photos, tmp_path / "out", "--masks", f"sam:{tmp_path / 'bert'}")) == 1
    assert "cannot be loaded as SAM or SAM 2" in capsys.readouterr().err.splitlines()[-1]
