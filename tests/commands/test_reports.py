"""report.html of every command that leaves one: that it is there, whole, and says what the files beside it say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands import evaluate, segment, train_prompts
from opendas_plugin.data.domain import load_domain
from opendas_plugin.runs import training_report
from opendas_plugin.train.loop import FLUSH_EVERY
from tests.commands.test_train_prompts import flags  # noqa: F401 (a fixture)
from tests.conftest import RANDOM
from tests.reports.reading import read_page


@pytest.fixture(scope="module")
def trained(domain, tiny_backbone, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    recipe = folder / "quick.yaml"
    recipe.write_text(f"base: null\nbackbone: {tiny_backbone}\npretrained: random\nbatch_size: 4\nworkers: 0\n"
                      "visual: {epochs: 1}\ntext: {epochs: 1}\n")  # fmt: skip
    given = ["--data", str(domain), "--output-dir", str(folder / "run"), "--recipe", str(recipe), "--device", "cpu"]
    assert train_prompts.main(given) == 0
    return folder / "run"


def test_the_page_of_a_training_has_its_scores_curves_names_and_command(trained):
    page = read_page(trained / "report.html")
    before, after = (json.loads((trained / name / "summary.json").read_text()) for name in ("before", "after"))
    assert f"{before['acc']:.1f} \u2192 {after['acc']:.1f}" in page.text
    known = json.loads((trained / "adapter" / "adapter_config.json").read_text())["backbone_sha256"][:12]
    parts = ["What was run on what", "Scores", "Confusions", "Every name", "Training", "Warnings", "Worst mistakes"]
    for words in (*parts, "plain CLIP", "after the visual stage", "opendas-train --data", "violet block", known):
        assert words in page.text, words
    assert "not at its end" not in page.text and "failed" not in page.text
    assert page.tags.count("svg") >= 4 and page.tags.count("img") >= 2
    assert [link for link in page.links if link.startswith("#photo-")]


def test_a_run_has_a_page_at_milestones_too_that_come_long_after_the_last(flags, monkeypatch):  # noqa: F811
    pages = []
    monkeypatch.setattr(training_report, "save_page", lambda page, folder: pages.append((page().unfinished, folder)))
    assert train_prompts.main(flags) == 0
    folder = pages[0][1]
    assert pages == [(False, folder)], "a short run has that of its end alone"
    pages.clear()
    shutil.rmtree(folder)
    monkeypatch.setattr(training_report, "PATIENCE", 0.0)
    assert train_prompts.main(flags) == 0
    assert pages == [(True, folder), (True, folder), (False, folder)]


def test_a_run_that_fails_half_way_leaves_a_page_that_says_why(flags, tmp_path, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setattr("opendas_plugin.train.loop.FLUSH_EVERY", min(FLUSH_EVERY, 1))
    assert train_prompts.main([*flags, "--optimiser.lr", "1e30", "--optimiser.warmup-lr", "1e30"]) == 1
    page = read_page(tmp_path / "run" / "report.html")
    assert "The run failed." in page.text and "The loss became" in page.text
    assert "Named by plain CLIP: " in page.text, "whose the figures at the top are"
    capsys.readouterr()
    # the page of a run is not touched by one that is refused its folder
    before = (tmp_path / "run" / "report.html").read_bytes()
    assert train_prompts.main(flags) == 1
    assert (tmp_path / "run" / "report.html").read_bytes() == before


def test_no_page_and_no_figure_where_none_is_asked_for(flags, tmp_path):  # noqa: F811
    assert train_prompts.main([*flags, "--no-report"]) == 0
    assert not [path for path in (tmp_path / "run").rglob("*") if path.suffix in (".html", ".png")]


def test_an_adapters_classification_has_plain_clip_beside_it(trained, domain, tmp_path):
    given = ["--data", str(domain), "--adapter", str(trained / "adapter"), "--device", "cpu"]
    assert evaluate.main(["classification", *given, "--output", str(tmp_path / "own")]) == 0
    assert evaluate.main(["classification", *given, "--zero-shot", "--output", str(tmp_path / "zero")]) == 0
    read = lambda path: json.loads((path / "summary.json").read_text())  # noqa: E731
    assert read(tmp_path / "own" / "plain") == read(tmp_path / "zero")
    page = read_page(tmp_path / "own" / "report.html")
    assert f"{read(tmp_path / 'zero')['acc']:.1f} \u2192 {read(tmp_path / 'own')['acc']:.1f}" in page.text
    assert "No name is novel" not in page.text
    assert not (tmp_path / "zero" / "plain").exists()
    lines = [json.loads(line) for line in (tmp_path / "own" / "predictions.jsonl").read_text().splitlines()]
    for line in lines:
        assert 0 <= line["label_probability"] <= line["probability"] <= 1


def test_masks_that_are_named_and_scored_have_plain_clip_beside_them(trained, domain, tmp_path):
    blocks = load_domain(domain)
    entries = [{"file_name": s.image.name, "segmentation": dict(s.rle)} for s in blocks.val]
    (tmp_path / "masks.json").write_text(json.dumps(entries))
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    for image in {one.image for one in blocks.val}:
        shutil.copy(image, tmp_path / "images")
        own = [one for one in blocks.val if one.image == image]
        labels = np.full(own[0].size, 255, dtype=np.uint8)
        for one in own:
            labels[one.mask()] = blocks.vocabulary.index[one.label]
        Image.fromarray(labels).save(tmp_path / "labels" / f"{image.stem}.png")
    given = ["--masks", tmp_path / "masks.json", "--images", tmp_path / "images", "--ground-truth", tmp_path / "labels",
             "--vocabulary", domain / "vocabulary.json", "--adapter", trained / "adapter", "--protocol", "detectron2",
             "--output", tmp_path / "out"]  # fmt: skip
    assert evaluate.main(["semantic", *map(str, given), "--label-values", "places", "--device", "cpu"]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    plain = json.loads((tmp_path / "out" / "plain" / "summary.json").read_text())
    page = read_page(tmp_path / "out" / "report.html")
    assert f"{plain['miou']:.1f} \u2192 {summary['miou']:.1f}" in page.text and "Worst mistakes" in page.text


def test_the_page_of_photos_says_that_nothing_says_how_many_names_are_right(domain, tiny_backbone, tmp_path):
    given = ["--images", domain / "images", "--names", "red block,green block", "--output", tmp_path / "out"]
    model = ["--backbone", tiny_backbone, *RANDOM, "--superpixels", "6", "--limit", "2", "--device", "cpu"]
    pytest.importorskip("skimage")
    assert segment.main([*map(str, given), *model]) == 0
    page = read_page(tmp_path / "out" / "report.html")
    assert "There are no labels here" in page.text and "What was found" in page.text
    assert page.tags.count("img") >= 3


def test_an_evaluation_that_fails_leaves_its_page_and_never_takes_that_of_one_that_did_not(trained, domain, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(domain, data)
    given = ["classification", "--data", str(data), "--adapter", str(trained / "adapter"), "--device", "cpu"]
    assert evaluate.main([*given, "--output", str(tmp_path / "first")]) == 0
    before = (tmp_path / "first" / "report.html").read_bytes()
    picture = data / "images" / "val1.png"
    picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])  # found truncated when it is decoded
    for output in ("first", "second", "second"):
        assert evaluate.main([*given, "--output", str(tmp_path / output)]) == 1
    assert (tmp_path / "first" / "report.html").read_bytes() == before
    page = read_page(tmp_path / "second" / "report.html")
    assert "The run failed." in page.text and "val1.png" in page.text
