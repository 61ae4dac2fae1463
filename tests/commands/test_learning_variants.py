"""Few shots, masks that are not exact, calibration and interpolation, from the command line."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from opendas_plugin import runs
from opendas_plugin.commands.evaluate import main as evaluate
from opendas_plugin.commands.train_prompts import main as train
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.manifest import read_manifest
from opendas_plugin.model.adapted_clip import OpenDASCLIP


@pytest.fixture
def flags(domain, tiny_backbone, tmp_path) -> list[str]:
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(
        f"backbone: {tiny_backbone}\npretrained: random\nbatch_size: 4\nworkers: 0\nmethod: vpt\nvisual: {{epochs: 2}}"
    )
    return ["--data", str(domain), "--output-dir", str(tmp_path / "run"), "--recipe", str(recipe), "--device", "cpu"]


def adapter_config(run: Path) -> dict:
    return json.loads((run / "adapter" / "adapter_config.json").read_text())


def test_a_few_shots_are_drawn_and_their_list_is_saved(flags, domain, tmp_path) -> None:
    assert train([*flags, "--segments.shots", "2"]) == 0
    kept = read_manifest(tmp_path / "run" / "segments.jsonl")
    assert Counter(segment.label for segment in kept) == dict.fromkeys(load_domain(domain).vocabulary.base, 2)
    whole = {(s.image.resolve(), s.rle["counts"]) for s in load_domain(domain).train}
    assert {(s.image.resolve(), s.rle["counts"]) for s in kept} <= whole
    assert adapter_config(tmp_path / "run")["training"]["segments"] == 6


def test_masks_may_be_jittered_or_proposed(flags, domain, tmp_path, capsys) -> None:
    assert train([*flags, "--segments.mask-jitter", "0.2"]) == 0
    jittered = read_manifest(tmp_path / "run" / "segments.jsonl")
    segments = load_domain(domain).train
    assert [s.label for s in jittered] == [s.label for s in segments]
    assert [s.rle["counts"] for s in jittered] != [s.rle["counts"] for s in segments]

    proposals = [
        {"file_name": segment.image.name, "segmentation": {"size": list(segment.size), "counts": segment.rle["counts"]}}
        for segment in segments[:7]
    ]
    (tmp_path / "proposals.json").write_text(json.dumps(proposals))
    flags[flags.index("--output-dir") + 1] = str(tmp_path / "proposed")
    given = ["--proposals", str(tmp_path / "proposals.json")]
    assert train([*flags, *given]) == 2
    assert "--proposals and --proposal-images go together" in capsys.readouterr().err
    assert train([*flags, *given, "--proposal-images", str(domain / "images")]) == 0
    kept = read_manifest(tmp_path / "proposed" / "segments.jsonl")
    assert [(s.label, s.rle["counts"]) for s in kept] == [(s.label, s.rle["counts"]) for s in segments[:7]]


def test_calibration_is_learnt_from_folds_stored_and_used_where_it_is_asked_for(
    flags, domain, tmp_path, capsys
) -> None:
    assert train([*flags, "--calibration-folds", "2"]) == 1  # of three training names one at most can be spared
    assert "--calibration-folds must be from 2 to half of the 3 training names" in capsys.readouterr().err
    vocabulary = json.loads((domain / "vocabulary.json").read_text())
    wide = tmp_path / "wide"
    wide.mkdir()
    for file in ("images", "domain.json"):
        (wide / file).symlink_to(domain / file)
    (wide / "train.jsonl").write_text((domain / "val.jsonl").read_text())  # all five names are base here
    (wide / "val.jsonl").write_text((domain / "val.jsonl").read_text())
    (wide / "vocabulary.json").write_text(json.dumps(vocabulary | {"novel": []}))
    flags[flags.index("--data") + 1] = str(wide)
    assert train([*flags, "--calibration-folds", "2"]) == 0
    run = tmp_path / "run"
    config = adapter_config(run)
    assert config["training"]["calibration"] == {"folds": 2, "constant": config.get("calibration", 0.0)}
    held = [
        set(json.loads((run / "folds" / k / "after" / "summary.json").read_text())["novel_only"] or ()) for k in "01"
    ]
    assert all(held)
    names = [set(vocabulary["names"]) - set(adapter_config(run / "folds" / k)["base_names"]) for k in "01"]
    assert names[0] | names[1] == set(vocabulary["names"]) and not names[0] & names[1]
    summary = json.loads((run / "after_calibrated" / "summary.json").read_text())
    assert summary["calibration"] == config.get("calibration", 0.0)
    scores = ["classification", "--data", str(wide), "--output", str(tmp_path / "scores"), "--device", "cpu"]
    assert evaluate([*scores, "--adapter", str(run / "adapter"), "--calibrate"]) == 0
    again = json.loads((tmp_path / "scores" / "summary.json").read_text())
    assert again["w_f1"] == summary["w_f1"]
    assert evaluate([*scores, "--calibrate"]) == 2

    later = ["--output-dir", str(tmp_path / "later")]
    assert train([*flags, *later]) == 0
    recipe = flags[flags.index("--recipe") + 1]
    runs.calibrate(wide, tmp_path / "later", 2, recipe=recipe, device="cpu")
    assert adapter_config(tmp_path / "later") == config


def test_an_adapter_carries_its_share_and_all_shares_are_scored_at_once(flags, domain, tmp_path, capsys) -> None:
    assert train([*flags, "--interpolation.visual", "0.5"]) == 0
    run = tmp_path / "run"
    assert OpenDASCLIP.from_pretrained(run / "adapter").config.interpolation.visual == 0.5
    carried = json.loads((run / "after" / "summary.json").read_text())
    sweep = [
        "interpolation",
        "--data",
        str(domain),
        "--output",
        str(tmp_path / "sweep"),
        "--device",
        "cpu",
        "--steps",
        "2",
    ]
    assert evaluate([*sweep, "--adapter", str(run / "adapter"), "--of", "visual"]) == 0
    with open(tmp_path / "sweep" / "interpolation.csv", newline="") as file:
        rows = {row["share"]: row for row in csv.DictReader(file)}
    assert float(rows["0.5"]["w_f1"]) == carried["w_f1"]
    assert float(rows["0.0"]["w_f1"]) == json.loads((run / "before" / "summary.json").read_text())["w_f1"]
    assert evaluate(sweep) == 2
    assert "needs an --adapter" in capsys.readouterr().err
