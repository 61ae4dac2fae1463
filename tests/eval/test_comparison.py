"""Tables and figures of a comparison, against values worked by hand."""

from __future__ import annotations

import csv
import statistics

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.eval import plots
from opendas_plugin.eval.comparison import (
    System,
    accuracy_table,
    base_and_novel_table,
    difference_table,
    host_table,
    paired_difference,
)
from opendas_plugin.eval.overlays import choose_images, name_colours, name_notes, overlay_figure, paint
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


def test_differences_are_taken_seed_by_seed() -> None:
    difference = paired_difference(VPT, OURS, "w_f1")  # 40 - 44 and 42 - 45; our third seed has no partner
    assert difference.mean == -3.5
    assert difference.std == pytest.approx(statistics.stdev([-4, -3]) / 2**0.5)
    assert paired_difference(VPT, OURS, "n_f1") == Figure(-10.0)  # only one seed has both
    assert paired_difference(PLAIN, VPT, "b_f1").mean == pytest.approx((29 - 41 + 29 - 45) / 2)
    assert paired_difference(VPT, PLAIN, "b_f1").mean == -paired_difference(PLAIN, VPT, "b_f1").mean
    none = System("none", 0, {0: score(1.0, 1.0, None)})
    assert paired_difference(none, none, "n_f1") is None


def test_the_tables_hold_what_the_papers_do_and_mark_what_is_quoted() -> None:
    table = base_and_novel_table([PLAIN, VPT], "rooms")
    lines = table.markdown().splitlines()
    assert "| vpt | 786,432 | 41.0 ± 1.4 | 43.0 ± 2.8 | 20.5 ± 0.7 | 11 ± 1 | 500 ± 1 |" in lines  # half to even
    assert "| zero_shot | 0 | 30.0 | 29.0 | 31.0 | - | - |" in lines
    assert "| opendas * | 233K | 40.2 | 51.5 | 23.0 | - | - |" in lines
    assert lines[-1].startswith("\\* quoted from the paper")
    assert "*" not in base_and_novel_table([VPT], "rooms", quoted=False).markdown()
    assert accuracy_table([VPT], "rooms").rows[0] == ("vpt", "786,432", Figure(50.0, 0.0), Figure.of([40.0, 42.0]))
    assert [row[0] for row in difference_table([PLAIN, VPT, OURS], VPT, "rooms").rows] == ["zero_shot", "opendas"]


def test_rows_with_other_crops_than_the_first_are_marked() -> None:
    def row(title: str, crops: CropPolicy) -> System:
        return System(title, 1, {0: {**score(30.0, 29.0, 31.0), "crop": crops.to_dict()}})

    usual, other = row("zero_shot", CropPolicy("mean", 0.3)), row("opendas@paper", CropPolicy())
    for table in (base_and_novel_table([usual, other], "x", quoted=False), accuracy_table([usual, other], "x")):
        assert [line[0] for line in table.rows] == ["zero_shot", "opendas@paper (keep 0.1 squash crops)"]
        assert "other ones than zero_shot (mean 0.3 squash)" in table.notes[0]
    table = difference_table([usual, other], other, "x")
    assert [line[0] for line in table.rows] == ["zero_shot (mean 0.3 squash crops)"]
    assert difference_table([usual, usual], usual, "x").notes == ()


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
