"""The report's files: what a user, or another program, finds in them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.eval import plots
from opendas_plugin.eval.predict import Predictions
from opendas_plugin.eval.prediction_file import read_predictions
from opendas_plugin.eval.report import (
    compare_reports,
    evaluate_classification,
    format_table,
    read_confusion,
    write_confusion,
    write_report,
)
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP


@pytest.fixture(scope="module")
def report(domain, tiny_backbone, tmp_path_factory):
    """A report on the blocks whose predictions are half right, drawn by a seed."""
    blocks = load_domain(domain)
    vocabulary, rng = blocks.vocabulary, np.random.default_rng(0)
    labels = np.array([vocabulary.index[segment.label] for segment in blocks.val])
    guesses = np.where(rng.random(len(labels)) < 0.5, labels, rng.integers(0, len(vocabulary.names), len(labels)))
    novel, base = (
        rng.choice([vocabulary.index[name] for name in names], len(labels))
        for names in (vocabulary.novel, vocabulary.base)
    )
    folder = tmp_path_factory.mktemp("report")
    predictions = Predictions(labels, guesses, novel, base, np.round(rng.normal(size=len(labels)), 1))
    summary = write_report(folder, blocks.val, predictions, vocabulary, {"split": "val"})
    return folder, summary, vocabulary, blocks.val, novel


def test_summary_has_the_contracts_fields(report):
    folder, summary, _, segments, _ = report
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert {"acc", "w_f1", "b_f1", "n_f1", "n_segments", "protocol", "split", "confusion_matrix"} <= summary.keys()
    assert summary["n_segments"] == len(segments)
    assert (folder / summary["confusion_matrix"]).is_file()


def test_scikit_learn_finds_the_same_scores_in_predictions_jsonl(report):
    folder, summary, vocabulary, segments, _ = report
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [(line["segment"], line["image"]) for line in lines] == [(i, str(s.image)) for i, s in enumerate(segments)]
    truth, guesses = [line["label"] for line in lines], [line["prediction"] for line in lines]
    assert summary["acc"] == pytest.approx(100 * np.mean([t == g for t, g in zip(truth, guesses, strict=True)]))
    for field, names in (("w_f1", vocabulary.names), ("b_f1", vocabulary.base), ("n_f1", vocabulary.novel)):
        expected = f1_score(truth, guesses, labels=list(names), average="weighted", zero_division=0)
        assert summary[field] == pytest.approx(100 * expected), field


def test_novel_only_scores_come_from_their_own_matrix(report):
    folder, summary, vocabulary, segments, novel = report
    confusion, names = read_confusion(folder / summary["novel_only"]["confusion_matrix"])
    assert names == vocabulary.novel
    pairs = [
        (segment.label, vocabulary.names[guess])
        for segment, guess in zip(segments, novel, strict=True)
        if segment.label in vocabulary.novel
    ]
    truth, guesses = zip(*pairs, strict=True)
    assert confusion.sum() == len(pairs)
    expected = f1_score(truth, guesses, labels=list(vocabulary.novel), average="weighted", zero_division=0)
    assert summary["novel_only"]["w_f1"] == pytest.approx(100 * expected)


def test_scores_of_each_kind_apart_are_found_in_predictions_jsonl(report):
    folder, summary, vocabulary, _, _ = report
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    base = [line for line in lines if line["label"] in vocabulary.base]
    novel = [line for line in lines if line["label"] in vocabulary.novel]
    for kind, own in (("base_only", base), ("novel_only", novel)):
        labels, given = [line["label"] for line in own], [line["own_kind"] for line in own]
        assert summary[kind]["acc"] == pytest.approx(100 * accuracy_score(labels, given))
        assert summary[kind]["w_f1"] == pytest.approx(100 * f1_score(labels, given, average="weighted"))
    won = [
        (b["base_score"] > n["base_score"]) + (b["base_score"] == n["base_score"]) / 2
        if b["own_kind"] == b["label"] and n["own_kind"] == n["label"]
        else 0
        for b in base
        for n in novel
    ]
    assert summary["openworld_auc"] == pytest.approx(100 * np.mean(won))
    f1 = f1_score(
        [line["label"] for line in lines],
        [line["prediction"] for line in lines],
        labels=list(vocabulary.novel),
        average="macro",
        zero_division=0,
    )
    assert summary["macro_n_f1"] == pytest.approx(100 * f1)


def test_predictions_are_read_as_they_were_written_and_those_of_earlier_versions_too(report, tmp_path):
    lines = [json.loads(line) for line in (report[0] / "predictions.jsonl").read_text().splitlines()]
    found = read_predictions(report[0] / "predictions.jsonl")
    assert found.labels == tuple(line["label"] for line in lines)
    assert found.own_kind == tuple(line["own_kind"] for line in lines)
    assert found.base_scores == tuple(line["base_score"] for line in lines)
    for line in lines:
        del line["own_kind"], line["base_score"]
    (tmp_path / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    old = read_predictions(tmp_path / "old.jsonl")
    assert (old.predictions, old.own_kind, old.base_scores) == (found.predictions, None, None)


@pytest.mark.parametrize("content", ["{", "[1]", '{"label": "a"}', '"a"'])
def test_files_that_hold_no_predictions_are_refused(content, tmp_path):
    (tmp_path / "odd.jsonl").write_text(content + "\n")
    with pytest.raises(DataError, match=r"odd\.jsonl: expected lines"):
        read_predictions(tmp_path / "odd.jsonl")
    with pytest.raises(MissingFileError, match="run the evaluation first"):
        read_predictions(tmp_path / "none.jsonl")


def test_per_class_csv_has_a_row_a_name(report):
    folder, summary, vocabulary, segments, _ = report
    with open(folder / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(vocabulary.names)
    assert {row["name"] for row in rows if row["kind"] == "novel"} == set(vocabulary.novel)
    assert sum(int(row["segments"]) for row in rows) == len(segments)
    weighted = sum(float(row["f1"]) * int(row["segments"]) for row in rows) / len(segments)
    assert summary["w_f1"] == pytest.approx(weighted, abs=1e-3)


def test_confusion_survives_the_file_whatever_the_names_hold(tmp_path):
    names, confusion = ("a, b", 'the "best"', "tür"), np.arange(9).reshape(3, 3)
    write_confusion(tmp_path / "c.csv", confusion, names)
    loaded, loaded_names = read_confusion(tmp_path / "c.csv")
    assert np.array_equal(loaded, confusion)
    assert loaded_names == names


def test_a_missing_or_foreign_confusion_file_is_refused(tmp_path):
    with pytest.raises(MissingFileError, match="run the evaluation first"):
        read_confusion(tmp_path / "none.csv")
    for content in ("", "x,a,b\na,1,2\n", "x,a\na,many\n"):
        (tmp_path / "odd.csv").write_text(content)
        with pytest.raises(DataError, match="square confusion matrix"):
            read_confusion(tmp_path / "odd.csv")


def test_figures_are_drawn_where_matplotlib_is_installed(report, tmp_path):
    pytest.importorskip("matplotlib")
    folder = report[0]
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert compare_reports(tmp_path / "f1.png", {"before": folder, "after": folder})
    assert (tmp_path / "f1.png").read_bytes().startswith(b"\x89PNG")


def test_table_shows_percent_and_a_dash_for_what_was_not_scored():
    summary = {"acc": 50.0, "w_f1": 41.26, "b_f1": 41.26, "n_f1": None, "macro_f1": 30, "harmonic_f1": None}
    header, row = format_table({"zero-shot": {**summary, "n_segments": 12}}).splitlines()
    assert header.split() == ["Acc", "W-F1", "B-F1", "N-F1", "macro", "F1", "H", "segments"]
    assert row.split() == ["zero-shot", "50.0", "41.3", "41.3", "-", "30.0", "-", "12"]


def test_rows_with_other_crops_are_marked_and_equal_ones_said_once():
    scores = {
        "acc": 1.0,
        "w_f1": 1.0,
        "b_f1": 1.0,
        "n_f1": None,
        "macro_f1": 1.0,
        "harmonic_f1": None,
        "n_segments": 12,
    }
    mean, keep = ({**scores, "backbone": "X", "crop": CropPolicy(kind, 0.3).to_dict()} for kind in ("mean", "keep"))
    caption, _, first, _ = format_table({"before": mean, "after": mean}).splitlines()
    assert (caption, first.split()[0]) == ("backbone X, crops mean 0.3 squash", "before")
    caption, _, first, second = format_table({"before": keep, "after": mean}).splitlines()
    assert caption == "backbone X"
    assert first.startswith("before (keep 0.3 squash crops)") and second.startswith("after (mean 0.3 squash crops)")


def test_evaluation_writes_the_report_of_what_the_model_predicts(domain, tiny_backbone, tmp_path):
    blocks = load_domain(domain)
    clip = OpenDASCLIP.from_backbone(tiny_backbone)
    policy = CropPolicy(size=32)
    labeller = Labeller(clip, blocks.vocabulary, crops=policy)
    summary = evaluate_classification(labeller, blocks.val, blocks.vocabulary, tmp_path, about={"adapter": None})
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["crop"] == policy.to_dict()
    assert summary["template"] == "a photo of a {}."
    assert summary["n_segments"] == len(blocks.val)


def test_a_confusion_figure_shows_the_classes_that_occur_and_sums_up_the_others() -> None:
    confusion = np.zeros((4, 5), dtype=np.int64)
    confusion[0] = [3, 1, 0, 2, 4]
    confusion[2] = [0, 0, 5, 0, 0]
    counts, rows, columns = plots.occupied(confusion, ["wall", "door", "desk", "mug", "nothing"])
    assert rows == ["wall", "desk"] and columns == ["wall", "desk", "nothing", "others"]
    assert counts.tolist() == [[3, 0, 4, 3], [0, 5, 0, 0]]
    assert plots.occupied(confusion[:, :4] * 0 + np.eye(4, dtype=np.int64), list("abcd"))[2] == list("abcd")
