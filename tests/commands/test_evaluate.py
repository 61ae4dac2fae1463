"""evaluate.py classification as its user meets it: what it prints and writes, and how it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opendas_plugin.commands.evaluate import main
from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.vocabulary import Vocabulary
from tests.conftest import RANDOM

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}  # the checkout's package, whether it is installed or not


@pytest.fixture(scope="module")
def adapter(tiny_backbone, tmp_path_factory):
    """An untrained adapter with a template and a crop policy that are not the defaults."""
    folder = tmp_path_factory.mktemp("run") / "adapter"
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig())
    crop = CropPolicy("mean", 0.4, "center", 32)
    clip.save_pretrained(folder, template="a blurred picture of a {}.", crop_policy=crop)
    return folder


@pytest.fixture
def call(domain, tiny_backbone, tmp_path, capsys):
    """Runs the command on the blocks; returns exit code, stdout, stderr and the output folder."""

    def run(*flags, data=domain, output=tmp_path / "out", backbone=tiny_backbone):
        chosen = [] if backbone is None else ["--backbone", backbone, *RANDOM]
        code = main(["classification", "--data", str(data), "--output", str(output), *chosen, *map(str, flags)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err, Path(output)

    return run


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def one_line(stderr):
    """Whether the error is one readable line; other lines are log messages before it."""
    *_, last = stderr.splitlines()
    return last.startswith("error: ") and "Traceback" not in stderr


def test_zero_shot_prints_a_table_and_writes_report_and_run_json(call, domain):
    code, out, _, folder = call()
    assert code == 0
    assert out.splitlines()[0] == "backbone test-tiny with random weights of seed 0, crops keep 0.1 squash"
    assert out.splitlines()[2].startswith("zero-shot")
    summary = summary_of(folder)
    assert summary["split"] == "val"
    assert summary["n_segments"] == len(load_domain(domain).val)
    assert summary["adapter"] is None
    assert f"{summary['acc']:.1f}" in out
    run = json.loads((folder / "run.json").read_text())
    assert run["command"].startswith("opendas-evaluate classification --data")
    expected = {"backbone": "test-tiny", "template": "a photo of a {}.", "background": "keep", "batch_size": 64}
    assert {key: run["config"][key] for key in expected} == expected


def test_adapter_brings_its_template_and_crop_policy_and_flags_override_them(call, adapter, tmp_path, caplog):
    code, out, _, folder = call("--adapter", adapter, backbone=None)
    assert code == 0
    assert out.splitlines()[2].startswith("adapted")
    summary = summary_of(folder)
    assert summary["template"] == "a blurred picture of a {}."
    assert summary["crop"] == {"background": "mean", "expand": 0.4, "resize": "center", "size": 32}

    flags = ("--template", "a {}.", "--expand", "0", "--background", "keep")
    code, _, _, folder = call("--adapter", adapter, *flags, backbone=None, output=tmp_path / "other")
    assert code == 0
    assert summary_of(folder)["template"] == "a {}."
    assert summary_of(folder)["crop"] == {"background": "keep", "expand": 0.0, "resize": "center", "size": 32}
    assert "trained with the crop policy" in caplog.text


def test_split_train_scores_the_training_segments(call, domain):
    code, out, _, folder = call("--split", "train")
    assert code == 0
    assert summary_of(folder)["n_segments"] == len(load_domain(domain).train)
    assert summary_of(folder)["n_f1"] is None
    assert " - " in out


def test_base_from_counts_the_names_of_another_vocabulary_as_base(call, tmp_path):
    other = Vocabulary(names=("Red_Blocks", "a violet block", "ladder"))
    other.save(tmp_path / "other.json")
    code, _, _, folder = call("--base-from", tmp_path / "other.json")
    assert code == 0
    rows = (folder / "per_class.csv").read_text().splitlines()[1:]
    kinds = {row.split(",")[0]: row.split(",")[1] for row in rows}
    assert {name for name, kind in kinds.items() if kind == "base"} == {"red block", "violet block"}


def test_the_zero_shot_row_beside_an_adapter_has_its_backbone_template_and_crops(call, adapter, tmp_path, caplog):
    flags = [
        "--template",
        "a blurred picture of a {}.",
        "--background",
        "mean",
        "--expand",
        "0.4",
        "--resize",
        "center",
    ]
    _, _, _, by_hand = call(*flags, output=tmp_path / "by hand")
    code, out, _, folder = call("--adapter", adapter, "--zero-shot", backbone=None)
    assert code == 0
    assert out.splitlines()[0] == "backbone test-tiny with random weights of seed 0, crops mean 0.4 center"
    assert out.splitlines()[2].startswith("zero-shot")
    assert summary_of(folder) == summary_of(by_hand)
    assert (folder / "predictions.jsonl").read_bytes() == (by_hand / "predictions.jsonl").read_bytes()
    assert "another is used" not in caplog.text
    _, out, _, _ = call("--adapter", adapter, "--zero-shot", "--background", "keep", backbone=None)
    assert "crops keep 0.4 center" in out, "unless told otherwise"
    code, _, err, _ = call("--zero-shot")
    assert (code, "--zero-shot needs the --adapter" in err) == (2, True)


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("--split", "test"), 2, None),
        (("--batch-size", "0"), 2, "--batch-size"),
        (("--ensemble", "--template", "a {}."), 2, "leave --adapter and --template out"),
        (("--adapter", "runs/none", "--backbone", "ViT-B-32"), 2, "not both"),
        (("--adapter", "/no/such/adapter"), 1, "/no/such/adapter"),
        (("--backbone", "ViT-Z-99"), 1, "ViT-Z-99"),
        (("--device", "toaster"), 1, "toaster"),
        (("--template", "no place for a name"), 1, "{}"),
        (("--base-from", "/no/such/vocabulary.json"), 1, "/no/such/vocabulary.json"),
    ],
)
def test_bad_flags_are_one_line_and_write_no_report(call, flags, code, says):
    backbone = None if {"--adapter", "--backbone"} & set(flags) else "test-tiny"
    result, out, err, folder = call(*flags, backbone=backbone)
    assert result == code
    assert out == ""
    assert not folder.exists()
    if says is not None:
        assert one_line(err)
        assert says in err


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: shutil.rmtree(data), "does not exist"),
        (lambda data: (data / "val.jsonl").write_text(""), "no segment is left for validation"),
        (lambda data: (data / "val.jsonl").write_text("{}\nnot json\n"), "val.jsonl, line 1"),
        (lambda data: (data / "images" / "val0.png").unlink(), "val0.png"),
        (lambda data: (data / "images" / "val0.png").write_bytes(b"\x89PNG cut off"), "val0.png"),
    ],
)
def test_bad_data_is_one_line_and_writes_no_report(call, domain, tmp_path, damage, says):
    data = tmp_path / "data"
    shutil.copytree(domain, data)
    damage(data)
    code, out, err, folder = call(data=data)
    assert code == 1
    assert out == ""
    assert one_line(err)
    assert says in err
    assert not (folder / "summary.json").exists()


def test_an_output_that_cannot_be_written_is_refused_before_any_work(call, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, _, err, _ = call(output=tmp_path / "file" / "out")
    assert code == 1
    assert one_line(err)
    assert "could not write" in err
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_failed_run_leaves_an_older_report_as_it_was(call, tmp_path):
    _, _, _, folder = call()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert call("--adapter", tmp_path / "none", backbone=None)[0] == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_door_from_a_shell(domain, tmp_path):
    door = [sys.executable, str(ROOT / "tools" / "evaluate.py"), "classification"]
    flags = ["--data", str(domain), "--output", str(tmp_path / "out"), "--adapter", str(tmp_path / "none")]
    result = subprocess.run([*door, *flags], capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_coops_protocol_scores_base_and_novel_names_apart(call, domain, tmp_path):
    """By hand from what the joint protocol stores: the best name among those of the segment's own kind."""
    assert call(output=tmp_path / "joint")[0] == 0
    code, out, _, folder = call("--protocol", "coop")
    assert code == 0
    summary, joint = summary_of(folder), summary_of(tmp_path / "joint")
    lines = [json.loads(line) for line in (tmp_path / "joint" / "predictions.jsonl").read_text().splitlines()]
    novel = set(load_domain(domain).vocabulary.novel)
    for field, kind in (("base_acc", False), ("novel_acc", True)):
        right = [line["own_kind"] == line["label"] for line in lines if (line["label"] in novel) == kind]
        assert summary[field] == pytest.approx(100 * sum(right) / len(right))
    assert (summary["base_acc"], summary["novel_acc"]) == (joint["base_only"]["acc"], joint["novel_only"]["acc"])
    base, new = summary["base_acc"], summary["novel_acc"]
    assert summary["harmonic_acc"] == pytest.approx(2 * base * new / (base + new) if base and new else 0)
    assert (summary["protocol"], joint["protocol"]) == ("coop", "joint")
    assert out.splitlines()[1].split() == ["base", "Acc", "novel", "Acc", "H", "segments"]
    given = [json.loads(line)["prediction"] for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert given == [line["own_kind"] for line in lines]


def test_coops_protocol_without_novel_names_is_refused(call, domain, tmp_path):
    shutil.copytree(domain, tmp_path / "closed")
    lines = (tmp_path / "closed" / "val.jsonl").read_text().splitlines()
    names = load_domain(domain).vocabulary
    kept = [line for line in lines if json.loads(line)["label"] in names.base]
    (tmp_path / "closed" / "val.jsonl").write_text("\n".join(kept) + "\n")
    Vocabulary(names.base).save(tmp_path / "closed" / "vocabulary.json")
    code, _, err, folder = call("--protocol", "coop", data=tmp_path / "closed")
    assert code == 1 and one_line(err)
    assert "none of the 3 names is novel" in err and not (folder / "summary.json").exists()
