"""Tables and figures of a comparison, against values worked by hand."""

from __future__ import annotations

import csv
import statistics
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.eval import plots
from opendas_plugin.eval.comparison import (
    System,
    accuracy_table,
    apart_table,
    base_and_novel_table,
    difference_table,
    host_table,
    score_of,
)
from opendas_plugin.eval.evidence import Evidence, group_numbers
from opendas_plugin.eval.overlays import choose_images, name_colours, name_notes, overlay_figure, paint
from opendas_plugin.eval.pooling import FoldPredictions
from opendas_plugin.eval.tables import Figure, Table


def score(w, b, n=None, acc=50.0):
    return {"w_f1": w, "b_f1": b, "n_f1": n, "acc": acc, "macro_f1": w}


PLAIN = System("zero_shot", 0, {None: score(30.0, 29.0, 31.0)})
VPT = System("vpt", 786432, {0: score(40.0, 41.0, 20.0), 1: score(42.0, 45.0, 21.0)}, (10.0, 12.0), (500.0, 501.0))
OURS = System("opendas", 233472, {0: score(44.0, 46.0, 30.0), 1: score(45.0, 47.0, None), 2: score(1.0, 1.0, 1.0)})


def test_a_figure_is_mean_and_sample_deviation() -> None:
    values = [40.0, 42.0, 47.0]
    figure = Figure.of(values)
    assert (figure.mean, figure.std) == (statistics.mean(values), statistics.stdev(values))
    assert figure.text() == "43.0 ± 3.6"
    assert Figure.of([1234.5], digits=0).text() == "1,234"


@pytest.fixture(scope="module")
def evidence():
    """What three rows say of 300 segments in 12 rooms: of base names opendas names most right, of novel ones none."""
    rng = np.random.default_rng(0)
    labels, novel = rng.integers(0, 20, 300), np.arange(20) < 5

    def said(right, seeds):
        shape = (seeds, len(labels))
        return np.where(rng.random(shape) < right, labels, rng.integers(0, 20, shape))

    rates = {
        "zero_shot": (0.4, [None]),
        "vpt": (0.5, [0, 1]),
        "opendas": (np.where(novel[labels], 0.4, 0.9), [0, 1, 2]),
    }
    answers = {
        title: {seed: FoldPredictions(row, novel) for seed, row in zip(seeds, said(right, len(seeds)), strict=True)}
        for title, (right, seeds) in rates.items()
    }
    return Evidence(labels, rng.integers(0, 12, 300), answers)


def systems_of(evidence):
    """The rows with the scores that scikit-learn finds in the evidence."""
    systems = []
    for title, seeds in evidence.answers.items():
        scores = {}
        for seed, found in seeds.items():
            w, b, n = (
                100 * f1_score(evidence.labels, found.predictions[0], labels=k, average="weighted", zero_division=0)
                for k in (np.arange(20), np.arange(5, 20), np.arange(5))
            )
            scores[seed] = score(w, b, n, 100 * np.mean(evidence.labels == found.predictions[0]))
        systems.append(System(title, 0, scores))
    return systems


def test_differences_are_taken_over_the_seeds_that_both_rows_have(evidence) -> None:
    plain, vpt, opendas = systems_of(evidence)
    table = difference_table([plain, vpt, opendas], vpt, "rooms", evidence)
    assert table.columns == ("method", "Acc", "W-F1", "B-F1", "N-F1", "against vpt")
    for row, system in zip(table.rows, (plain, opendas), strict=True):
        for cell, metric in zip(row[1:5], ("acc", "w_f1", "b_f1", "n_f1"), strict=True):
            pairs = [(system.scores.get(seed, system.scores.get(None)), vpt.scores[seed]) for seed in (0, 1)]
            assert cell.mean == pytest.approx(np.mean([mine[metric] - theirs[metric] for mine, theirs in pairs]))
            assert cell.ends[0] < cell.mean < cell.ends[1]


def test_above_and_below_are_said_where_the_interval_leaves_zero_out(evidence) -> None:
    rows = systems_of(evidence)
    table = difference_table(rows, rows[1], "rooms", evidence)
    assert [row[-1] for row in table.rows][1] == "Acc >, W-F1 >, B-F1 >, N-F1 open"
    for row in table.rows:
        for cell, said in zip(row[1:5], row[-1].split(", "), strict=True):
            low, high = cell.ends
            assert said.split()[-1] == (">" if low > 0 else "<" if high < 0 else "open")
    assert "where the 95% interval of the difference, in brackets, does not hold 0" in table.notes[-1]


def test_rows_that_were_trained_with_other_names_or_seeds_have_no_difference(evidence) -> None:
    one = next(iter(evidence.answers["vpt"].values()))
    other = {"other names": {0: replace(one, novel=~one.novel)}, "other seeds": {7: one}, "vpt": {0: one}}
    changed = replace(evidence, answers=other)
    systems = [System(title, 0, {}) for title in other]
    table = difference_table(systems, systems[-1], "rooms", changed)
    assert [row[1:] for row in table.rows] == 2 * [(None, None, None, None, "")]


def test_figures_have_the_interval_over_all_seeds_beside_their_deviation(evidence) -> None:
    rows = systems_of(evidence)
    table = base_and_novel_table(rows, "rooms", quoted=False, evidence=evidence)
    for row, system in zip(table.rows, rows, strict=True):
        expected = evidence.interval(system.title, "n_f1")
        assert row[4].mean == pytest.approx(expected.value)
        assert row[4].ends == (expected.low, expected.high)
        assert (row[4].std is None) == (system.title == "zero_shot")
    assert "95% interval over groups" in table.notes[0]
    both = accuracy_table(rows, "rooms", evidence).rows[2][3], table.rows[2][2]
    assert both[0] == both[1]
    assert apart_table(rows, "rooms", evidence).rows[0][2:] == (None, None, None, None)  # summaries of before


def test_groups_are_numbered_and_images_take_their_place_where_there_is_one_alone(domain) -> None:
    val = load_domain(domain).val
    assert len(set(group_numbers(val).tolist())) == 3
    rooms = [replace(segment, group=group) for segment, group in zip(val, 5 * "aba", strict=True)]
    assert group_numbers(rooms).tolist() == [int(group == "b") for group in 5 * "aba"]
    one = [replace(segment, group="all") for segment in val]
    assert group_numbers(one).tolist() == group_numbers(val).tolist()


def test_the_tables_hold_what_the_papers_do_and_mark_what_is_quoted() -> None:
    table = base_and_novel_table([PLAIN, VPT], "rooms")
    lines = table.markdown().splitlines()
    assert "| vpt | 786,432 | 41.0 ± 1.4 | 43.0 ± 2.8 | 20.5 ± 0.7 | 11 ± 1 | 500 ± 1 |" in lines  # half to even
    assert "| zero_shot | 0 | 30.0 | 29.0 | 31.0 | - | - |" in lines
    assert "| opendas * | 233K | 40.2 | 51.5 | 23.0 | - | - |" in lines
    assert lines[-1].startswith("\\* quoted from the paper")
    assert "*" not in base_and_novel_table([VPT], "rooms", quoted=False).markdown()
    assert accuracy_table([VPT], "rooms").rows[0] == ("vpt", "786,432", Figure(50.0, 0.0), Figure.of([40.0, 42.0]))


def test_rows_with_other_crops_than_the_first_are_marked() -> None:
    def row(title: str, crops: CropPolicy) -> System:
        return System(title, 1, {0: {**score(30.0, 29.0, 31.0), "crop": crops.to_dict()}})

    usual, other = row("zero_shot", CropPolicy("mean", 0.3)), row("opendas@paper", CropPolicy())
    for table in (base_and_novel_table([usual, other], "x", quoted=False), accuracy_table([usual, other], "x")):
        assert [line[0] for line in table.rows] == ["zero_shot", "opendas@paper (keep 0.1 squash crops)"]
        assert "other ones than zero_shot (mean 0.3 squash)" in table.notes[0]
    nothing = Evidence(np.zeros(0, int), np.zeros(0, int), {})
    table = difference_table([usual, other], other, "x", nothing)
    assert [line[0] for line in table.rows] == ["zero_shot (mean 0.3 squash crops)"]
    assert len(difference_table([usual, usual], usual, "x", nothing).notes) == 1


def test_the_table_of_pipelines_takes_what_each_was_scored_by() -> None:
    table = host_table({"semantic": [{"miou": 10.0, "macc": 20.0}, {"miou": 12.0, "macc": 20.0}], "3D": [{"ap": 3.0}]})
    lines = table.markdown().splitlines()
    assert "| semantic | 11.0 ± 1.4 | 20.0 ± 0.0 | - | - | - |" in lines
    assert "| 3D | - | - | 3.0 | - | - |" in lines
    assert "| OpenMask3D + OpenDAS, ScanNet++ Offices * | - | - | 12.2 | - | 24.0 |" in lines


def test_a_table_is_written_in_three_forms(tmp_path) -> None:
    table = Table(
        "One & two", ("method", "F1", "note"), (("a_b", Figure(12.3, 0.45), "7%"), ("c", None, None)), ("#1",)
    )
    table.save(tmp_path / "table")
    with open(tmp_path / "table.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["method", "F1", "F1 std", "note"],
            ["a_b", "12.3", "0.45", "7%"],
            ["c", "", "", ""],
        ]
    latex = (tmp_path / "table.tex").read_text()
    assert r"a\_b & $12.3 \pm 0.5$ & 7\% \\" in latex and r"\caption{One \& two}" in latex and r"\#1" in latex
    assert latex.count("{") == latex.count("}")
    assert (tmp_path / "table.md").read_text().startswith("One & two\n\n| method | F1 | note |\n| --- | ---: | ---: |")


def test_intervals_stand_behind_the_figure_and_in_columns_of_their_own(tmp_path) -> None:
    cells = (Figure(-1234.5, 0.45, ends=(-1300.0, 1.0)), Figure(2.0))
    table = Table("x", ("method", "F1", "against b"), (("a", cells[0], "F1 <"), ("b", cells[1], "")))
    table.save(tmp_path / "table")
    assert "| a | -1,234.5 ± 0.5 [-1,300.0, 1.0] | F1 < |" in (tmp_path / "table.md").read_text()
    assert r"a & $-1{,}234.5 \pm 0.5 [-1{,}300.0, 1.0]$ & F1 $<$ \\" in (tmp_path / "table.tex").read_text()
    with open(tmp_path / "table.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["method", "F1", "F1 std", "F1 low", "F1 high", "against b"],
            ["a", "-1234.5", "0.45", "-1300.0", "1.0", "F1 <"],
            ["b", "2.0", "", "", "", ""],
        ]


def test_scores_that_an_earlier_summary_lacks_are_none() -> None:
    old = {"w_f1": 1.0, "novel_only": None}
    new = {**old, "novel_only": {"acc": 2.0}, "base_only": {"acc": 3.0}, "openworld_auc": 4.0}
    metrics = ("w_f1", "novel_only_acc", "base_only_acc", "openworld_auc")
    assert [score_of(old, metric) for metric in metrics] == [1.0, None, None, None]
    assert [score_of(new, metric) for metric in metrics] == [1.0, 2.0, 3.0, 4.0]


def test_masks_are_painted_in_the_colours_of_their_names_the_smaller_on_top() -> None:
    picture = np.full((4, 4, 3), 100, dtype=np.uint8)
    large, small = np.ones((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    small[0, 0] = True
    painted = paint(picture, [small, large], [(200, 0, 0), (0, 200, 0)])
    assert painted[0, 0].tolist() == [165, 35, 35] and painted[3, 3].tolist() == [35, 165, 35]
    assert len(set(name_colours([str(i) for i in range(60)]).values())) == 60


def test_large_masks_bear_their_names_where_they_are_widest_and_wrong_ones_in_yellow() -> None:
    large, small = np.zeros((40, 60), dtype=bool), np.zeros((40, 60), dtype=bool)
    large[10:31, 20:41] = True
    large[10:12, :] = True  # an arm moves the middle, not the widest place
    small[0, 0] = True
    for right, colour in ((True, "white"), (False, "yellow")):
        (note,) = name_notes([large, small], ["desk", "pen"], [right, right])
        assert note.text == "desk" and note.colour == colour and abs(note.x - 30) <= 1 and abs(note.y - 20) <= 1


def test_the_figure_has_a_row_an_image_and_a_column_a_system(domain, tmp_path) -> None:
    blocks = load_domain(domain)
    assert len(set(choose_images(blocks.val, 2))) == 2 and len(choose_images(blocks.val, 99)) == 3
    given = {"right": [s.label for s in blocks.val], "wrong": ["red block"] * len(blocks.val)}
    assert overlay_figure(tmp_path / "f.png", blocks.val, given, blocks.vocabulary.names, 2) == plots.available()
    if plots.available():
        with Image.open(tmp_path / "f.png") as figure:
            assert figure.width > figure.height
