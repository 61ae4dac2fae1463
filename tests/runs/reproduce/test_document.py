"""reproduction.json: what is in it, what is refused, and several people's on one page."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from opendas_plugin.commands.reproduce import main
from opendas_plugin.eval.classification import harmonic_mean
from opendas_plugin.reports.page import write_page
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reproduce.document import Document
from opendas_plugin.runs.reproduce.holds import holds
from opendas_plugin.runs.reproduce.page import html_page, markdown
from opendas_plugin.runs.reproduce.published import CROSS, RIVALS
from opendas_plugin.runs.reproduce.results import Measured, Result, pack_confusion, unpack_confusion
from opendas_plugin.runs.reproduce.store import Done
from tests.reports.reading import read_page

PAPER = "OpenDAS, Table 1"


def document(shift=0.0, *, rehearsal=False, tier="full", why=""):
    """Plain CLIP is the paper's to a point, OpenDAS is six points short."""
    rows = [
        Result(
            title, "KITTI-360", {"w_f1": Measured(ours + shift, ours - 3, ours + 3, paper, PAPER)}, {"seeds": 1}, why
        )
        for title, ours, paper in (("zero_shot", 24.0, 23.4), ("opendas", 41.1, 47.1))
    ]
    made = {"tier": tier, "rehearsal": rehearsal, "device": "cpu", "versions": {}, "started": f"{shift}"}
    return Document(made, {"kitti360": Done(rows, ["a note"], {}, 12.0, 3.5)}, {"hosts": "no checkout"})


def save(path, content):
    path.write_text(json.dumps(content.to_json()))
    return str(path)


def test_a_step_of_an_earlier_call_keeps_the_device_and_versions_that_made_it():
    """The file is sent in: a CPU's name would have stood beside what a GPU took."""
    found = document()
    step = found.steps["kitti360"]
    with_gpu = {"versions": {"torch": "2.4"}, "git": "abc", "device": "cuda", "gpu": "H200"}
    found.add("kitti360", dataclasses.replace(step, made=with_gpu))
    again = Document.from_json(json.loads(json.dumps(found.to_json())), "a file")
    assert again.steps["kitti360"].made == with_gpu
    assert "Made by an earlier call, on H200; torch 2.4; commit abc." in markdown(again)
    found.add("kitti360", dataclasses.replace(step, made=found.made_with))
    assert "earlier call" not in markdown(found)


def test_the_html_page_says_what_the_markdown_says(tmp_path):
    found = document(why="on fewer segments")
    write_page(html_page(found, RunRecord(None, command="opendas-reproduce all")), tmp_path / "report.html")
    page = read_page(tmp_path / "report.html")
    for words in (
        *holds(found),
        "a note",
        "hosts is left out: no checkout",
        "(-6.0)",
        "[38.1, 44.1]",
        "opendas-reproduce all",
    ):
        assert words in page.text, words
    assert "**" not in page.text and "*Paper*" not in page.text


def test_the_sentences_say_what_is_the_papers_and_which_way_it_goes():
    first, second, third, last = holds(document())
    assert first.startswith(
        "Of 2 figures that have a published one of the same kind, 1 is within 2 points of it, and of 1 "
    )
    assert second == "Not within 2 points: opendas on KITTI-360, W-F1 41.1 for 47.1."
    assert third == "opendas, on KITTI-360: +17.1 points of W-F1 over plain CLIP here (the paper: +23.7)."
    assert last == "Not looked at: hosts."


def test_rows_of_another_kind_confirm_nothing():
    assert holds(document(why="ViT-B-16"))[0].startswith("No row is of the paper's own kind")
    page = markdown(document(why="ViT-B-16"))
    assert "| opendas | KITTI-360 | W-F1 | 41.1 [38.1, 44.1] | 47.1 | (-6.0) |" in page
    assert "not of the paper's kind: ViT-B-16" in page
    assert "| opendas | KITTI-360 | W-F1 | 41.1 [38.1, 44.1] | 47.1 | -6.0 |" in markdown(document())
    assert "Nothing of the paper: this is a rehearsal" in holds(document(rehearsal=True))[0]


def test_it_is_read_back_as_it_was(tmp_path):
    content = json.loads((tmp_path / "a.json").read_text()) if save(tmp_path / "a.json", document()) else None
    again = Document.from_json(content, "a.json")
    assert markdown(again) == markdown(document())
    counts = np.random.default_rng(0).integers(0, 3, (5, 5))
    packed = json.loads(json.dumps(pack_confusion(counts, list("abcde"))))
    assert (unpack_confusion(packed) == counts).all()


def test_a_merge_has_everybodys_figures_their_mean_and_their_spread(tmp_path, capsys):
    files = [save(tmp_path / f"{n}.json", document(shift)) for n, shift in enumerate((0.0, 1.0, 5.0))]
    assert main(["--merge", *files, "--output", str(tmp_path / "out")]) == 0
    page = capsys.readouterr().out
    assert "| opendas | KITTI-360 | W-F1 | full, seeds 1 | 41.1 | 42.1 | 46.1 | 43.1 | 47.1 | -4.0 |" in page
    assert "2 figures were measured by more than one in the same way; they agree to 5.0 points" in page
    rows = json.loads((tmp_path / "out" / "merged.json").read_text())["rows"]
    assert [row["lowest"] for row in rows] == [24.0, 41.1] and [row["highest"] for row in rows] == [29.0, 46.1]
    assert (tmp_path / "out" / "merged.md").read_text() == page.rstrip("\n") + "\n"


def test_a_merge_keeps_tiers_apart(tmp_path, capsys):
    files = [save(tmp_path / "a.json", document()), save(tmp_path / "b.json", document(tier="quick"))]
    assert main(["--merge", *files, "--output", str(tmp_path / "out")]) == 0
    assert "No figure was measured by more than one in the same way" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one, "are the same reproduction; give each once"),
        (lambda one: {**one, "made": {**one["made"], "tier": "quick"}}, "has been changed since it was written"),
        (lambda one: {**one, "format": 2}, "has the format 2 and this version reads 1"),
        (lambda one: [one], "is no reproduction.json of opendas-reproduce"),
        (lambda one: document(rehearsal=True).to_json(), "is a rehearsal on random weights, and others are not"),
    ],
)
def test_what_cannot_be_merged_is_one_sentence(change, message, tmp_path, capsys):
    first = save(tmp_path / "a.json", document())
    (tmp_path / "b.json").write_text(json.dumps(change(document().to_json())))
    assert main(["--merge", first, str(tmp_path / "b.json"), "--output", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error
    assert not (tmp_path / "out").exists()


def test_one_file_alone_is_nothing_to_merge(tmp_path):
    assert main(["--merge", save(tmp_path / "a.json", document())]) == 2


def test_the_published_figures_agree_with_themselves():
    """H is the harmonic mean of base and new; W-F1 lies between B-F1 and N-F1 where they come from one matrix."""
    for rows in RIVALS.values():
        for figures in rows.values():
            base, new, h = (figures[name].value for name in ("base_acc", "novel_acc", "harmonic_acc"))
            assert harmonic_mean(base, new) == pytest.approx(h, abs=0.02)
    for rows in CROSS.values():
        for method in ("rpo", "maple", "opendas"):
            w, b, n = (rows[method][name].value for name in ("w_f1", "b_f1", "n_f1"))
            assert min(b, n) <= w <= max(b, n)
