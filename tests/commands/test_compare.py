"""compare.py as a user meets it: rows, tables, figures, and going on after a kill."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from opendas_plugin import methods
from opendas_plugin.commands.compare import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.intervals import difference, interval
from opendas_plugin.eval.pooling import FoldPredictions
from opendas_plugin.runs.comparison import host_summaries
from opendas_plugin.runs.comparison_runs import COST
from tests.reports.reading import read_page

RECIPE = """
backbone: office-tiny
batch_size: 8
visual: {epochs: 1}
text: {epochs: 1}
joint: {epochs: 1}
workers: 0
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(domain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    (folder / "quick.yaml").write_text(RECIPE)
    flags = ["--data", str(domain), "--output", str(folder / "out"), "--recipe", str(folder / "quick.yaml")]
    flags += ["--seeds", "2", "--device", "cpu", "--jobs", "2", "--methods", "zero_shot", "vpt", "opendas"]
    assert main(flags) == 0
    return folder / "out", flags


def rows(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_every_row_is_there_with_every_seed(finished) -> None:
    out, _ = finished
    _, *lines = rows(out / "table1.csv")
    assert [line[0] for line in lines if "*" not in line[0]] == [
        "zero_shot", "vpt", "opendas, visual stage alone", "opendas",
    ]  # fmt: skip
    assert len([line for line in lines if line[0].endswith(" *")]) == 7
    runs = rows(out / "runs.csv")
    assert [(line[0], line[2]) for line in runs[1:]][:3] == [("zero_shot", ""), ("vpt", "0"), ("vpt", "1")]
    summary = json.loads((out / "runs" / "vpt" / "seed1" / "after" / "summary.json").read_text())
    assert float(runs[3][4]) == summary["w_f1"]
    mean = sum(float(line[4]) for line in runs[2:4]) / 2
    assert float(next(line for line in lines if line[0] == "vpt")[2]) == pytest.approx(mean, abs=1e-5)
    assert {path.name for path in out.iterdir()} >= {
        "table1.md", "table1.tex", "table2.csv", "apart.md", "differences.md", "comparison.md", "scores.png",
        "predictions.png", "run.json",
    }  # fmt: skip


def test_there_is_one_page_of_all_and_none_of_the_runs(finished) -> None:
    out, _ = finished
    page = read_page(out / "report.html")
    tables = ("Base and novel names", "Difference to opendas", "Worst mistakes: opendas, seed 0")
    for words in (*tables, "zero_shot, vpt, opendas", "opendas-compare"):
        assert words in page.text, words
    assert [path for path in (out / "runs").rglob("*") if path.suffix in (".html", ".png")] == []


def test_a_row_of_a_stage_says_what_is_learnt_by_then(domain, tmp_path) -> None:
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(RECIPE)
    flags = ["--data", str(domain), "--output", str(tmp_path / "out"), "--recipe", str(recipe), "--seeds", "1"]
    assert main([*flags, "--device", "cpu", "--methods", "ln_bias_plus"]) == 0
    lines = {
        line[0]: int(line[1].replace(",", ""))
        for line in rows(tmp_path / "out" / "table1.csv")[1:]
        if "*" not in line[0]
    }
    assert list(lines) == [
        "ln_bias_plus, joint stage alone", "ln_bias_plus, up to the visual stage", "ln_bias_plus",
    ]  # fmt: skip
    joint, visual, all_of_it = lines.values()
    assert joint < visual == all_of_it == methods.parameter_count("ln_bias_plus", "office-tiny")
    text_biases = 3 * 128 * (3 + 1 + 4 + 1)  # of 3 layers: query, key and value, out, and the two of the MLP
    assert joint == methods.parameter_count("ln_bias", "office-tiny") - text_biases


def test_figures_and_differences_have_intervals_over_the_validation_images(finished, domain) -> None:
    out, _ = finished
    blocks = load_domain(domain)
    groups = np.unique([segment.group for segment in blocks.val], return_inverse=True)[1]
    labels = [blocks.vocabulary.index[segment.label] for segment in blocks.val]
    novel = np.array([name in blocks.vocabulary.novel for name in blocks.vocabulary.names])

    def folds(row, folder, seeds=(0, 1)):
        files = [out / "runs" / row / f"seed{seed}" / folder / "predictions.jsonl" for seed in seeds]
        lines = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
        said, own = (
            [[blocks.vocabulary.index[line[key]] for line in run] for run in lines]
            for key in ("prediction", "own_kind")
        )
        return [FoldPredictions(said, novel, own, [[line["base_score"] for line in run] for run in lines])]

    for name, metric, title in (("table1", "n_f1", "N-F1"), ("apart", "openworld_auc", "OpenworldAUC")):
        header, *lines = rows(out / f"{name}.csv")
        place = header.index(title)
        for row, expected in (("vpt", folds("vpt", "after")), ("zero_shot", folds("zero_shot", "before", (0,)))):
            found = next(line for line in lines if line[0] == row)
            cell = interval(metric, labels, groups, expected)
            numbers = [float(found[place + k]) for k in (0, 2, 3)]
            assert numbers == pytest.approx([cell.value, cell.low, cell.high], abs=1e-5)
    header, *lines = rows(out / "differences.csv")
    assert header[-1] == "against opendas" and lines[0][0] == "zero_shot"
    cell = difference("w_f1", labels, groups, folds("vpt", "after"), folds("opendas", "after"))
    found = next(line for line in lines if line[0] == "vpt")
    place = header.index("W-F1")
    assert [float(found[place + k]) for k in (0, 2, 3)] == pytest.approx([cell.value, cell.low, cell.high], abs=1e-5)
    assert f"W-F1 {cell.sign}" in found[-1]


def test_predictions_of_other_segments_are_refused(finished, tmp_path, capsys) -> None:
    out, flags = finished
    shutil.copytree(out, tmp_path / "out")
    path = tmp_path / "out" / "runs" / "vpt" / "seed1" / "after" / "predictions.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert main([str(tmp_path / "out") if flag == str(out) else flag for flag in flags]) == 1
    assert "predictions.jsonl is of other segments or names than the domain's" in capsys.readouterr().err


def test_what_pipelines_score_joins_as_a_table(finished, tmp_path, capsys) -> None:
    out, flags = finished
    (tmp_path / "summary.json").write_text('{"miou": 12.5, "macc": 30.0}')
    assert main([*flags, "--hosts", f"OVSeg here={tmp_path / 'summary.json'}"]) == 0
    assert "| OVSeg here | 12.5 | 30.0 | - | - | - |" in (out / "table3.md").read_text()
    assert main([*flags, "--hosts", "no title"]) == 2
    assert "expected --hosts as TITLE=SUMMARY.json" in capsys.readouterr().err


def test_summaries_of_one_row_are_of_one_evaluation(tmp_path) -> None:
    first = {"miou": 12.5, "protocol": "ovseg", "n_images": 3, "n_pixels": 900, "ignore": [255]}
    rows = [f"OVSeg={tmp_path / name}" for name in ("a.json", "b.json")]
    (tmp_path / "a.json").write_text(json.dumps(first))
    for change, said in (
        ({"miou": 13.5}, None),
        ({"protocol": "detectron2"}, 'protocol was "ovseg", now "detectron2"'),
        ({"n_images": 4}, "n_images was 3, now 4"),
        ({"n_pixels": 901}, "n_pixels was 900, now 901"),
    ):
        (tmp_path / "b.json").write_text(json.dumps({**first, **change}))
        if said is None:
            assert len(host_summaries(rows)["OVSeg"]) == 2
        else:
            with pytest.raises(ConfigError, match=f"not seeds of one evaluation.*{said}"):
                host_summaries(rows)
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"no summary\.json"):
        host_summaries(rows)


def test_zero_shot_is_scored_once_and_is_the_start_of_all(finished) -> None:
    out, _ = finished
    reports = {path.read_bytes() for path in out.glob("runs/*/*/before/summary.json")}
    assert len(reports) == 1 and len(list(out.glob("runs/zero_shot/*"))) == 1


def test_what_is_done_is_not_done_again_and_what_was_killed_is(finished, tmp_path) -> None:
    out, flags = finished
    shutil.copytree(out, tmp_path / "out")
    again = [str(tmp_path / "out") if flag == str(out) else flag for flag in flags]
    run = tmp_path / "out" / "runs" / "vpt" / "seed1"
    (run / COST).unlink()  # as a kill leaves it
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob(f"runs/*/*/{COST}")}
    assert main(again) == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps} and (run / COST).exists()
    same = "runs/vpt/seed1/adapter/adapter.safetensors"
    assert (tmp_path / "out" / same).read_bytes() == (out / same).read_bytes()


def test_runs_in_turn_give_what_runs_at_once_give(finished, tmp_path) -> None:
    out, flags = finished
    flags = [str(tmp_path) if flag == str(out) else flag for flag in flags[:-1]]  # without opendas
    torch.set_num_threads(1)  # as two of two have
    assert main([*flags, "--jobs", "1", "--seeds", "1"]) == 0
    torch.set_num_threads(2)
    results = {path.relative_to(tmp_path) for path in tmp_path.glob("runs/*/*/*/*")}
    assert results == {path.relative_to(out) for path in out.glob("runs/[vz]*/seed0/*/*")}
    assert [path for path in results if (tmp_path / path).read_bytes() != (out / path).read_bytes()] == []


def test_a_run_that_fails_is_said_in_a_sentence_and_those_that_are_done_stay(domain, tmp_path, capsys) -> None:
    (tmp_path / "quick.yaml").write_text(RECIPE + "vpt: {crops: {size: 100}}")
    out = tmp_path / "out"
    flags = ["--data", str(domain), "--output", str(out), "--recipe", str(tmp_path / "quick.yaml"), "--device", "cpu"]
    assert main([*flags, "--methods", "zero_shot", "vpt"]) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith("error: the backbone takes 224 pixels, got crops of size 100")
    )
    assert [path.parent.parent.name for path in out.glob(f"runs/*/*/{COST}")] == ["zero_shot"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: turn(data / "images" / "train0.png"), "the picture train0.png has changed"),
        (lambda data: turn(data / "images" / "val0.png"), "the picture val0.png has changed"),
        (
            lambda data: shutil.copy(data / "other.json", data / "negatives.json"),
            "the file of related names has changed",
        ),
        (lambda data: None, None),
    ],
)
def test_runs_on_files_that_changed_are_not_mixed_in(finished, domain, tmp_path, capsys, change, message) -> None:
    out, flags = finished
    data = shutil.copytree(domain, tmp_path / "data", copy_function=shutil.copyfile)
    shutil.copy(out / "runs" / "opendas" / "seed0" / "negatives.json", data / "other.json")
    shutil.copytree(out, tmp_path / "out")
    places = {str(out): str(tmp_path / "out"), flags[1]: str(data)}
    change(data)
    assert main([places.get(flag, flag) for flag in flags]) == (0 if message is None else 1)
    assert message is None or message in capsys.readouterr().err


def turn(path: Path) -> None:
    Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path)


def test_runs_of_another_recipe_are_not_mixed_in(finished, tmp_path, capsys) -> None:
    _, flags = finished
    (tmp_path / "other.yaml").write_text(RECIPE.replace("batch_size: 8", "batch_size: 4"))
    other = [str(tmp_path / "other.yaml") if flag.endswith("quick.yaml") else flag for flag in flags]
    assert main(other) == 1
    assert "holds a run with another recipe, or on other data: options." in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_comparison_loses_the_run_in_progress_alone(finished, tmp_path) -> None:
    _, flags = finished
    command = [sys.executable, "tools/compare.py", *flags]
    command[command.index("--output") + 1] = str(tmp_path / "out")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "out").glob(f"runs/vpt/seed0/{COST}")):
        time.sleep(0.05)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob(f"runs/*/*/{COST}")}
    assert len(done) == 2
    assert subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True).returncode == 0
    assert done == {path: path.stat().st_mtime_ns for path in done}
