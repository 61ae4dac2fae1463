"""Each dataset in its official layout from preparation to scores, and one that is scored by the names of another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from opendas_plugin.commands import evaluate, prepare_data, train_prompts
from opendas_plugin.data.domain import load_domain
from opendas_plugin.eval import plots
from opendas_plugin.scenes.raycast import load_mesh
from opendas_plugin.scenes.scannetpp import ScanNetPPScene, read_things
from opendas_plugin.train.recipe import read_recipe
from tests.data.layouts import make_ade20k, make_kitti360
from tests.scenes.scannetpp_rooms import offices

DATASETS = {
    "ade20k": (make_ade20k, []),
    "kitti360": (make_kitti360, []),
    "scannetpp": (offices, ["--every", "1", "--min-side", "8"]),
}


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """Pictures of a confusion of 150 classes take their time, and are tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "available", lambda: False)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_backbone):
    """Folder with a domain and a run of each dataset."""
    folder = tmp_path_factory.mktemp("datasets")
    recipe = folder / "quick.yaml"
    short = "visual: {epochs: 1}\ntext: {epochs: 1}\ntriplet: {enabled: false}"
    recipe.write_text(f"backbone: {tiny_backbone}\npretrained: random\nworkers: 0\n{short}")
    for name, (make, flags) in DATASETS.items():
        root, data, run = make(folder / name), folder / "data" / name, folder / "runs" / name
        assert prepare_data.main([name, "--root", str(root), "--output", str(data), *flags]) == 0
        training = ["--data", str(data), "--output-dir", str(run), "--recipe", str(recipe), "--device", "cpu"]
        assert train_prompts.main([*training, "--crop-cache", str(folder / "crops")]) == 0
    return folder


def scores(runs: Path, data: str, adapter: str, *flags: str) -> dict:
    output = runs / "scores" / f"{adapter} on {data}"
    named = ["--data", str(runs / "data" / data), "--adapter", str(runs / "runs" / adapter / "adapter")]
    assert evaluate.main(["classification", *named, "--output", str(output), "--device", "cpu", *flags]) == 0
    return json.loads((output / "summary.json").read_text())


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_from_preparation_to_scores(runs, name):
    found = scores(runs, name, name)
    assert found["n_segments"] == len(load_domain(runs / "data" / name).val) > 0
    assert (found["n_f1"] is None) == (name != "scannetpp")


def test_on_another_domain_the_names_of_training_are_base(runs):
    """KITTI-360 scored by an adapter of ADE20K: the names of ADE20K's training segments are base, all others novel."""
    base_from = runs / "data" / "ade20k" / "vocabulary.json"
    found = scores(runs, "kitti360", "ade20k", "--base-from", str(base_from))
    trained = {segment.label for segment in load_domain(base_from.parent).train}
    rows = (runs / "scores" / "ade20k on kitti360" / "per_class.csv").read_text().splitlines()[1:]
    marks = {row.split(",")[0]: row.split(",")[1] for row in rows}
    assert {name for name, mark in marks.items() if mark == "base"} == set(marks) & trained
    assert marks["wall"] == "base" and marks["gate"] == "novel"
    assert found["n_f1"] is not None


@pytest.mark.parametrize("recipe", ["ade20k_vitl14", "kitti360_vitl14", "scannetpp_vitl14_336"])
def test_recipes_name_openais_weights_and_the_hosts_crops(recipe):
    config = read_recipe(recipe)
    assert config.pretrained == "openai" and config.backbone.endswith("quickgelu")
    assert ("336" in config.backbone) == (config.crops.background == "keep")


@pytest.mark.parametrize("protocol", ["scannet", "scannetpp"])
def test_the_annotated_objects_score_100_in_3d(runs, protocol):
    """Predictions that are the annotation itself, in the benchmark's own files."""
    truth, first = runs / "data" / "scannetpp" / "ground_truth", 1 if protocol == "scannet" else 0
    names = (truth / "classes_scannetpp.txt").read_text().splitlines()
    scene = ScanNetPPScene(runs / "scannetpp", "b0")
    points = len(load_mesh(scene.mesh)[0])
    predictions = runs / "predictions" / protocol
    (predictions / "masks").mkdir(parents=True)
    lines = []
    for thing in read_things(scene):
        if thing.label == "floor":
            continue
        file = f"masks/{thing.id}.json"
        if protocol == "scannet":
            (predictions / file).write_text("\n".join(map(str, np.isin(np.arange(points), thing.segments).astype(int))))
        else:
            runs_of_one = {"length": points, "counts": f"{thing.segments[0] + 1} {len(thing.segments)}"}
            (predictions / file).write_text(json.dumps(runs_of_one))
        lines.append(f"{file} {names.index(thing.label) + first} 1.0\n")
    (predictions / "b0.txt").write_text("".join(lines))
    classes = ["--classes", str(truth / f"classes_{protocol}.txt")]
    classes += ["--instance-classes", str(truth / "instance_classes.txt")]
    masks = [] if protocol == "scannet" else ["--mesh-masks", str(runs / "scannetpp" / "data")]
    data = ["--predictions", str(predictions), "--ground-truth", str(truth / protocol), "--protocol", protocol]
    output = runs / "scores" / protocol
    assert evaluate.main(["instance3d", *data, *classes, *masks, "--output", str(output)]) == 0
    assert json.loads((output / "summary.json").read_text())["ap"] == 100.0
