"""opendas-probe: what it finds in sound data and in data that were spoilt on purpose."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands import train_prompts
from opendas_plugin.commands.probe import main
from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.manifest import write_manifest
from opendas_plugin.eval.classification import accuracy, confusion_matrix
from opendas_plugin.eval.predict import predict
from opendas_plugin.eval.probing import near_copies
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.vocabulary import Vocabulary
from tests.conftest import RANDOM, draw_blocks, make_domain
from tests.reports.reading import read_page


def probe(data: Path, output: Path, backbone: str, *flags: str) -> dict:
    given = ["--data", str(data), "--output", str(output), "--backbone", backbone, *RANDOM, "--device", "cpu", *flags]
    assert main(given) == 0
    return json.loads((output / "probe.json").read_text())


@pytest.fixture(scope="module")
def found(domain, tiny_backbone, tmp_path_factory):
    output = tmp_path_factory.mktemp("probe")
    return output, probe(domain, output, tiny_backbone)


def test_the_advised_crops_are_those_with_the_highest_accuracy_on_training_segments(found, domain, tiny_backbone):
    _, told = found
    blocks, best = load_domain(domain), told["crops"]["chosen"]
    names = Vocabulary(blocks.vocabulary.base)
    labeller = Labeller(OpenDASCLIP.from_backbone(tiny_backbone), names)
    figures = {}
    for row in told["crops"]["accuracies"]:
        policy = {key: value for key, value in row.items() if key not in ("accuracy", "segments")}
        said = predict(labeller.with_crops(CropPolicy.from_dict(policy)), list(blocks.train), names)
        figures[json.dumps(policy)] = accuracy(confusion_matrix(said.labels, said.predictions, len(names.names)))
        assert row["accuracy"] == pytest.approx(figures[json.dumps(policy)])
    assert figures[json.dumps(best)] == max(figures.values())


def test_the_recipe_is_one_that_training_takes(found, domain, tiny_backbone, tmp_path):
    output, told = found
    config = read_recipe(output / "recipe.yaml")
    chosen = {key: value for key, value in told["crops"]["chosen"].items() if key != "size"}
    assert {key: getattr(config.crops, key) for key in chosen} == chosen
    assert (config.method, config.backbone) == ("opendas_plus", tiny_backbone) and not config.auto_crops
    run = ["--data", str(domain), "--output-dir", str(tmp_path / "run"), "--recipe", str(output / "recipe.yaml")]
    assert train_prompts.main([*run, "--visual.epochs", "1", "--text.epochs", "1", "--device", "cpu"]) == 0


def test_the_verdict_is_three_sentences_and_the_page_has_them(found):
    output, told = found
    assert len(told["verdict"]) == 3 and all(one.endswith(".") for one in told["verdict"])
    page = read_page(output / "report.html")
    for sentence in told["verdict"]:
        assert sentence in page.text
    assert told["cost"]["seconds"] > 0 and {"visual", "text"} <= told["cost"]["stages"].keys()
    assert {"0", "1"} <= told["label_curve"].keys() and "16" not in told["label_curve"]  # there are not so many a name


def test_a_clip_that_knows_no_more_than_the_most_frequent_name_is_said(found):
    _, told = found
    best = max(row["accuracy"] for row in told["crops"]["accuracies"])
    assert best - 1.96 * (best * (100 - best) / told["crops"]["segments"]) ** 0.5 <= 50  # of two names
    assert "calling all of them" in told["verdict"][0] and "try another backbone" in told["verdict"][0].lower()


def test_equal_names_a_leak_a_copy_and_a_rare_name_are_found_and_said_what_to_do(tiny_backbone, tmp_path, capsys):
    data = tmp_path / "data"
    make_domain(data)
    rng = np.random.default_rng(5)
    names = ("red block", "salt & pepper", "salt &amp; pepper", "rare block", "yellow block")
    train, val = [], []
    for number in range(6):
        own = names if number < 3 else tuple(name for name in names if name != "rare block")
        train += draw_named(data / "images" / f"t{number}.png", own, rng)
        val += draw_named(data / "images" / f"v{number}.png", names, rng)
    leaked = [segment for segment in train if segment.image.name == "t0.png"]
    copied = data / "images" / "copied.jpg"
    picture = np.asarray(Image.open(data / "images" / "t1.png"))
    Image.fromarray(np.clip(picture * 1.1 + 6, 0, 255).astype(np.uint8)).save(copied, quality=60)
    val += [*leaked, *(s.__class__(copied, s.rle, s.label) for s in train if s.image.name == "t1.png")]
    write_manifest(data / "train.jsonl", train)
    write_manifest(data / "val.jsonl", val)
    Vocabulary(names).save(data / "vocabulary.json")
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    told = probe(data, tmp_path / "out", tiny_backbone)
    faults = " ".join(one["what"] for one in told["findings"] if one["kind"] == "fault")
    assert "salt & pepper = salt &amp; pepper" in faults
    assert "1 of 8 validation pictures is a training picture, too: t0.png" in faults
    assert "copied.jpg like t1.png" in faults
    assert "rare block (3)" in faults
    assert all(one["todo"] for one in told["findings"])
    assert told["verdict"][0].startswith("First mend the 4 faults")
    printed = capsys.readouterr().out
    assert "fault: " in printed and "verdict: First mend" in printed


def draw_named(path: Path, names: tuple[str, ...], rng: np.random.Generator):
    """A picture of random patches, so that no two are alike, with a block for each name."""
    colours = ("red block", "green block", "blue block", "yellow block", "violet block")
    segments = draw_blocks(path, colours[: len(names)], rng)
    pixels = np.asarray(Image.open(path)).copy()
    patches = np.kron(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))
    outside = ~np.any([segment.mask() for segment in segments], axis=0)
    pixels[outside] = patches[outside]
    Image.fromarray(pixels).save(path)
    return [segment.__class__(segment.image, segment.rle, name) for segment, name in zip(segments, names, strict=True)]


def test_pictures_of_other_things_are_no_copies(tmp_path):
    rng, paths = np.random.default_rng(0), []
    for number in range(6):
        paths.append(tmp_path / f"{number}.png")
        draw_named(paths[-1], ("red block", "green block"), rng)
    assert near_copies(paths[:3], paths[3:]) == []
    Image.open(paths[0]).resize((48, 32)).save(tmp_path / "small.jpg", quality=70)
    (copy,) = near_copies([tmp_path / "small.jpg"], paths)
    assert copy.like == paths[0]


def test_a_probe_is_of_plain_clip(domain, capsys):
    assert main(["--data", str(domain), "--adapter", "runs/adapter"]) == 2
    assert "before anything is learnt" in capsys.readouterr().err
