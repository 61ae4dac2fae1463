"""opendas-evaluate semantic on masks without classes: named first, fused, and scored."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.evaluate import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.eval.masks import write_proposals
from tests.conftest import RANDOM


@pytest.fixture
def masks(domain, tmp_path):
    """The blocks' validation segments as masks without names, and label maps of their true classes."""
    data = load_domain(domain)
    nameless = [replace(one, label="", group=str(one.image.relative_to(domain))) for one in data.val]
    write_proposals(tmp_path / "masks.json", nameless)
    for image in {segment.image for segment in data.val}:
        labels = np.full((64, 96), 255, np.uint8)
        for segment in data.val:
            if segment.image == image:
                labels[segment.mask()] = data.vocabulary.index[segment.label]
        path = tmp_path / "truth" / image.relative_to(domain).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(path)
    return {"--masks": tmp_path / "masks.json", "--images": domain, "--vocabulary": domain / "vocabulary.json"}


def test_masks_are_classified_first_and_their_maps_can_be_scored_again(masks, domain, tiny_backbone, tmp_path, capsys):
    def run(output, *flags):
        given = ["--ground-truth", tmp_path / "truth", "--protocol", "detectron2", "--output", tmp_path / output]
        assert main(["semantic", *map(str, [*given, *flags])]) == 0
        return json.loads((tmp_path / output / "summary.json").read_text())

    flags = [part for pair in masks.items() for part in pair]
    first = run("first", *flags, "--backbone", tiny_backbone, *RANDOM, "--expand", "0")
    assert "zero-shot" in capsys.readouterr().out
    assert (first["n_masks"], first["n_images"], first["adapter"]) == (len(load_domain(domain).val), 3, None)
    assert first["crop"]["expand"] == 0
    assert first["n_unpredicted"] == 0
    again = run(
        "again", "--predictions", tmp_path / "first" / first["predictions"], "--vocabulary", masks["--vocabulary"]
    )
    assert {key: again[key] for key in ("miou", "macc", "pacc", "hiou")} == {
        key: first[key] for key in ("miou", "macc", "pacc", "hiou")
    }
    # every segment is one mask, so that the share of right pixels follows from the classification
    assert main(["classification", "--data", str(domain), "--backbone", tiny_backbone, *RANDOM, "--expand", "0",
                 "--output", str(tmp_path / "names")]) == 0  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "names" / "predictions.jsonl").read_text().splitlines()]
    areas = [segment.area for segment in load_domain(domain).val]
    right = sum(area for area, line in zip(areas, lines, strict=True) if line["label"] == line["prediction"])
    assert first["pacc"] == pytest.approx(100 * right / sum(areas))


def test_pictures_without_masks_are_found_first_and_count_as_missed(masks, domain, tiny_backbone, tmp_path, capsys):
    entries = json.loads((tmp_path / "masks.json").read_text())
    bare = entries[0]["file_name"]
    (tmp_path / "masks.json").write_text(json.dumps([one for one in entries if one["file_name"] != bare]))

    def run(output, *flags):
        given = ["--ground-truth", tmp_path / "truth", "--protocol", "detectron2", "--output", tmp_path / output]
        code = main(["semantic", *map(str, [*given, *flags])])
        path = tmp_path / output / "summary.json"
        return code, json.loads(path.read_text()) if path.exists() else None

    flags = [part for pair in masks.items() for part in pair]
    code, first = run("first", *flags, "--backbone", tiny_backbone, *RANDOM)
    pixels = (np.array(Image.open((tmp_path / "truth" / bare).with_suffix(".png"))) != 255).sum()
    assert (code, first["n_images"], first["n_images_without_masks"]) == (0, 3, 1)
    assert first["n_unpredicted"] == pixels
    again = ("--predictions", tmp_path / "first" / first["predictions"], "--vocabulary", masks["--vocabulary"])
    assert run("again", *again)[1]["miou"] == first["miou"]
    Image.new("L", (96, 64)).save(tmp_path / "truth" / "nowhere.png")
    assert run("third", *flags, "--backbone", tiny_backbone, *RANDOM) == (1, None)
    assert "nowhere.png has neither masks nor a picture" in capsys.readouterr().err
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "--predictions or --masks"),
        (("--masks", "m.json", "--predictions", "p.json"), "--predictions or --masks"),
        (("--masks", "m.json"), "--masks needs --vocabulary and --images"),
    ],
)
def test_flags_that_do_not_go_together_are_bad_usage(tmp_path, capsys, flags, says):
    needed = ("--ground-truth", "g", "--protocol", "ovseg", "--output", str(tmp_path), "--num-classes", "3")
    assert main(["semantic", *needed, *flags]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "cannot be read as a picture"),
        (lambda path: Image.fromarray(np.full((64, 96), 77, np.uint8)).save(path), "77"),
    ],
    ids=["cut off", "a value that is no class"],
)
def test_a_bad_label_map_is_found_before_masks_are_named(masks, tiny_backbone, tmp_path, capsys, spoil, says):
    last = sorted((tmp_path / "truth").rglob("*.png"))[-1]
    spoil(last)
    given = ["--ground-truth", tmp_path / "truth", "--protocol", "detectron2", "--output", tmp_path / "out"]
    flags = [
        *given,
        *(part for pair in masks.items() for part in pair),
        "--backbone",
        tiny_backbone,
        "--pretrained",
        "random",
    ]
    assert main(["semantic", *map(str, flags)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert last.name in error and says in error
    assert not (tmp_path / "out").exists()
