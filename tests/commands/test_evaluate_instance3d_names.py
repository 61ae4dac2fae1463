"""opendas-evaluate instance3d on masks without classes: named by their features, and refused where these do not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import sparse

from opendas_plugin.commands.evaluate import main
from opendas_plugin.eval.report import read_confusion
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.scenes.feature_records import describe
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.mask_arrays import save_masks
from opendas_plugin.scenes.mask_features import save_features
from opendas_plugin.vocabulary import Vocabulary
from tests.commands.instances import Files
from tests.conftest import RANDOM


class NamelessMasks:
    """The chair, the desk, the floor and a mask that no picture shows, with features that are texts' of given names."""

    def __init__(self, folder, backbone):
        self.files = Files(folder, "scannet")
        self.folder, self.backbone = folder, backbone
        # the ground truth's numbers of the floor would be a group where class 0 is scored, so the classes start at 1
        truth = np.repeat([2001, 3002, 1003, 0], [300, 200, 100, 50])
        self.files.write("gt/room.txt", "\n".join(map(str, truth)) + "\n")
        self.files.write("classes.txt", "1 floor\n2 office chair\n3 desk\n")
        self.masks = np.stack([truth == 2001, truth == 3002, truth == 1003, truth == 0], axis=1)
        self.clip = OpenDASCLIP.from_backbone(backbone, prompts=None)
        save_masks(folder / "predictions" / "room_masks.pt", self.masks)

    def features(self, *names, clip=None, name=None):
        """Features of the first masks that say ``names``; the last mask has none."""
        clip = clip or self.clip
        with torch.no_grad():
            texts = clip.encode_text(clip.tokenize([f"a photo of a {one}." for one in names])).numpy()
        features = np.concatenate([texts, np.zeros((1, texts.shape[1]))])
        source = FeatureSource(name or self.backbone, clip)
        described = describe(source, sparse.csr_matrix(self.masks), {})
        save_features(self.folder / "features" / "room_openmask3d_features.npy", features, described)

    def run(self, *flags):
        given = [*self.files.flags("--features", self.folder / "features"), *map(str, flags)]
        return main(given if "--adapter" in flags else [*given, "--backbone", self.backbone, *RANDOM])


@pytest.fixture
def nameless(tmp_path, tiny_backbone):
    return NamelessMasks(tmp_path, tiny_backbone)


def test_openmask3ds_masks_get_the_name_of_the_nearest_text(nameless):
    nameless.features("office chair", "desk", "floor")
    assert nameless.run() == 0
    summary = nameless.files.summary
    assert summary["ap"] == 100
    assert (summary["n_predictions"], summary["adapter"], summary["template"]) == (3, None, "a photo of a {}.")
    lines = [json.loads(line) for line in (nameless.folder / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [(line["scene"], line["mask"], line["prediction"]) for line in lines] == [
        ("room", 0, "office chair"),
        ("room", 1, "desk"),
        ("room", 2, "floor"),
    ]
    nameless.features("desk", "desk", "desk")
    assert nameless.run() == 0
    assert nameless.files.summary["agnostic"]["ap"] == 100
    assert nameless.files.summary["recall"] == 50


def test_oracle_masks_also_score_the_names_of_all_classes(nameless, capsys):
    Vocabulary(names=("desk", "floor", "office chair"), novel=("desk",)).save(nameless.folder / "vocabulary.json")
    nameless.features("office chair", "office chair", "floor")
    assert nameless.run("--oracle", "--vocabulary", nameless.folder / "vocabulary.json") == 0
    oracle = nameless.files.summary["oracle"]
    assert oracle["acc"] == pytest.approx(200 / 3)
    assert oracle["n_f1"] == 0
    assert oracle["b_f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert oracle["novel_only"]["acc"] == 100
    assert (oracle["n_segments"], oracle["n_unseen"]) == (3, 1)
    assert "W-F1" in capsys.readouterr().out
    confusion, names = read_confusion(nameless.folder / "out" / oracle["confusion_matrix"])
    assert confusion[names.index("desk"), names.index("office chair")] == 1


def test_masks_that_are_not_the_ground_truths_are_no_oracle(nameless, capsys):
    nameless.masks[310, 1] = False
    save_masks(nameless.folder / "predictions" / "room_masks.pt", nameless.masks)
    nameless.features("office chair", "desk", "floor")
    assert nameless.run("--oracle") == 1
    assert "mask 1 is not one instance of the ground truth" in capsys.readouterr().err


def test_features_of_another_clip_are_refused(nameless, capsys):
    adapter = nameless.folder / "adapter"
    adapted = OpenDASCLIP.from_backbone(nameless.backbone, prompts=PromptConfig())
    with torch.no_grad():
        for parameter in adapted.prompt_parameters():
            parameter.add_(0.1)
    adapted.save_pretrained(adapter)
    nameless.features("office chair", "desk", "floor")
    assert nameless.run("--adapter", adapter) == 1
    assert "must come from the same CLIP" in capsys.readouterr().err
    nameless.features("office chair", "desk", "floor", clip=adapted, name=f"opendas:{adapter}")
    assert nameless.run("--adapter", adapter) == 0
    assert nameless.files.summary["ap"] == 100
    assert nameless.run() == 1


def test_features_and_masks_that_do_not_fit_are_one_line(nameless, capsys):
    nameless.features("office chair", "desk")
    assert nameless.run() == 1
    assert "3 features for the 4 masks" in capsys.readouterr().err
    save_masks(nameless.folder / "predictions" / "room_masks.pt", nameless.masks[:600])
    assert nameless.run() == 1
    assert "650 points" in capsys.readouterr().err
    (nameless.folder / "features" / "room_openmask3d_features.npy").unlink()
    assert nameless.run() == 1
    assert "does not exist" in capsys.readouterr().err
    assert main([*nameless.files.flags(), "--oracle"]) == 2
