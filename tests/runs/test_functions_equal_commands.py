"""Each function of ``opendas.runs`` and the command of the same settings leave the same files and tell the same."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from opendas_plugin import runs
from opendas_plugin.commands import (
    compare,
    evaluate,
    export_adapter,
    generate_negatives,
    prepare_data,
    segment,
    visualize,
)
from opendas_plugin.data.domain import load_domain
from opendas_plugin.eval.masks import write_proposals
from tests.commands.instances import Files
from tests.integrations.openmask3d.scenes import write_room
from tests.runs.test_functions import files

CPU = {"device": "cpu"}


@pytest.fixture
def inputs(domain, tiny_backbone, tmp_path):
    """For each function: the command's main, its sub-command, and the settings of both but the output."""
    maps = tmp_path / "maps"
    maps.mkdir()
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3).save(maps / "a.png")
    val = [replace(one, label="", group=str(one.image.relative_to(domain))) for one in load_domain(domain).val]
    write_proposals(tmp_path / "masks.json", val)
    labels = tmp_path / "labels"
    for one in val:
        path = labels / one.group
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros(one.size, np.uint8)).save(path)
    scene = Files(tmp_path / "3d", "scannet")
    (scene.folder / "scored.txt").write_text("office chair\ndesk\n")
    write_room(tmp_path / "room")
    return {
        "evaluate_classification": (
            evaluate.main, "classification", {"data": domain, "backbone": tiny_backbone, "pretrained": "random", **CPU}
        ),
        "evaluate_semantic": (
            evaluate.main, "semantic",
            {"predictions": maps, "ground_truth": maps, "protocol": "ovseg", "num_classes": 3},
        ),
        "evaluate_semantic of masks": (
            evaluate.main, "semantic",
            {"masks": tmp_path / "masks.json", "images": domain, "vocabulary": domain / "vocabulary.json",
             "ground_truth": labels, "protocol": "detectron2", "backbone": tiny_backbone, "pretrained": "random",
             **CPU},
        ),
        "evaluate_instance3d": (
            evaluate.main, "instance3d",
            {"predictions": scene.folder / "predictions", "ground_truth": scene.folder / "gt", "protocol": "scannet",
             "classes": scene.folder / "classes.txt", "instance_classes": scene.folder / "scored.txt"},
        ),
        "generate_negatives": (
            generate_negatives.main, None, {"vocabulary": domain / "vocabulary.json", "backbone": "office-tiny", **CPU}
        ),
        "export": (export_adapter.main, None, {"to": "classifier", "names": ("door", "desk"), **CPU}),
        "prepare_fold": (prepare_data.main, "fold", {"data": domain, "folds": 3, "fold": 1}),
        "prepare_proposals": (prepare_data.main, "proposals", {"data": domain}),
        "segment": (
            segment.main, None,
            {"masks": tmp_path / "masks.json", "images": domain, "names": domain / "vocabulary.json",
             "backbone": tiny_backbone, "pretrained": "random", **CPU},
        ),
        "compare": (
            compare.main, None, {"data": domain, "methods": ("zero_shot",), "seeds": 1, **CPU}
        ),
    }  # fmt: skip


OUTPUTS = {"generate_negatives": "negatives.json", "export": "classifier.safetensors"}


@pytest.mark.parametrize(
    "name",
    [
        "evaluate_classification", "evaluate_semantic", "evaluate_semantic of masks", "evaluate_instance3d",
        "generate_negatives", "export", "prepare_fold", "prepare_proposals", "segment", "compare",
    ],
)  # fmt: skip
def test_the_function_and_the_command_leave_the_same_files(name, inputs, tmp_path):
    main, subcommand, settings = inputs[name]
    function = getattr(runs, name.split()[0])
    left, right = (tmp_path / side / OUTPUTS.get(name, "out") for side in ("function", "command"))
    function(**settings, output=left)
    flags = [] if subcommand is None else [subcommand]
    for setting, value in {**settings, "output": right}.items():
        values = value if isinstance(value, tuple) else (value,)
        flags += [f"--{setting.replace('_', '-')}", *map(str, values)]
    assert main(flags) == 0
    found = files(tmp_path / "function")
    assert len(found) >= 1
    assert _without_paths(found, tmp_path / "function") == _without_paths(
        files(tmp_path / "command"), tmp_path / "command"
    )


def _without_paths(found, root):
    """The files, less what a run costs and where its inputs and outputs lie."""
    apart = {"cost.json", "inputs.json", "runs.csv", "table2.csv", "table2.md", "table2.tex", "comparison.md"}
    return {
        name: content.replace(str(root).encode(), b"ROOT")
        for name, content in found.items()
        if name.rpartition("/")[2] not in apart and not name.endswith(".run.json")
    }


def test_query_and_its_command_find_the_same(tmp_path, capsys):
    from opendas_plugin.model.adapted_clip import OpenDASCLIP
    from opendas_plugin.scenes.feature_records import describe
    from opendas_plugin.scenes.feature_source import FeatureSource
    from opendas_plugin.scenes.mask_arrays import sparse_masks
    from opendas_plugin.scenes.mask_features import save_features

    scene = write_room(tmp_path / "room")
    clip = OpenDASCLIP.from_backbone("office-tiny")
    features = np.random.default_rng(0).normal(size=(scene.masks.shape[1], clip.feature_width))
    described = describe(FeatureSource("office-tiny", clip), sparse_masks(scene.masks, len(scene.points)), {})
    save_features(tmp_path / "f.npy", features, described)
    settings = {"scene": tmp_path / "room", "features": tmp_path / "f.npy", "text": "a door", "device": "cpu"}
    found = runs.query(**settings, output=tmp_path / "a")
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    assert visualize.main(["query", *flags, "--output", str(tmp_path / "b")]) == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")
    (answer,) = found
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(answer.best)
    assert json.loads((tmp_path / "a" / "query.json").read_text())["best"][0]["mask"] == answer.best[0].mask
