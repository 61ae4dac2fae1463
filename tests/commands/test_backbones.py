"""The list of backbones: what each method learns on them, what it does not take and why, and their pixels."""

from __future__ import annotations

import csv
import json

import open_clip
import pytest

from opendas_plugin import methods, runs
from opendas_plugin.commands.backbones import main
from opendas_plugin.runs.backbones import describe

WEIGHTS = ("zero_shot", "opendas_plus", "ln_bias", "lora", "wise_ft_image", "wise_ft_text")


def test_the_list_says_what_is_learnt_what_is_refused_and_what_pixels_a_tag_takes(tmp_path, capsys):
    names = ["ViT-L-14", "RN50", "ViT-B-16-SigLIP", "roberta-ViT-B-32"]
    assert main(["--backbones", *names, "--methods", "all", "--output", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "| RN50 | 224x224 | 77 | own | - | " in shown
    assert "it lacks a transformer of one sequence of tokens as visual tower (it has ModifiedResNet)" in shown
    assert "its text tower is roberta-base of the Hugging Face hub, whose configuration is not on this" in shown
    siglip = "| ViT-B-16-SigLIP | webli | 0.5 0.5 0.5 | 0.5 0.5 0.5 | bicubic | squash | the model's |"
    assert siglip in shown
    found = {one["name"]: one for one in json.loads((tmp_path / "backbones.json").read_text())}
    assert list(found) == names
    assert all(set(one["takes"]) == set(methods.names()) for one in found.values())
    assert found["ViT-L-14"]["takes"]["opendas"] == {"visual": 24 * 8 * 1024, "text": 12 * 4 * 768}
    assert all(isinstance(reason, str) for reason in found["roberta-ViT-B-32"]["takes"].values())
    assert (found["ViT-B-16-SigLIP"]["context_length"], found["RN50"]["image_size"]) == (64, [224, 224])
    assert found["ViT-B-16-SigLIP"]["tokenizer"] == "timm/ViT-B-16-SigLIP"
    assert found["ViT-L-14"]["tags"]["laion2b_s32b_b82k"]["mean"] == [0.5, 0.5, 0.5]
    assert found["ViT-L-14"]["tags"]["openai"]["quick_gelu"] is True
    with open(tmp_path / "backbones.csv", encoding="utf-8") as file:
        assert [row["backbone"] for row in csv.DictReader(file)] == names
    assert json.loads((tmp_path / "run.json").read_text())["config"]["backbones"] == names


def test_what_is_no_backbone_or_no_method_is_refused(capsys):
    assert main(["--backbones", "ViT-Q-7"]) == 1
    assert "unknown backbone 'ViT-Q-7'" in capsys.readouterr().err
    assert main(["--methods", "maaple"]) == 1
    assert "there is no method 'maaple'" in capsys.readouterr().err


RESNET = 64 * 3 * 6 + 128 * 4 * 6 + 256 * 6 * 6 + 512 * 3 * 6 + 256 + 512 + 1024 + 2048 + 128
"""Channels that RN50 normalises: in its blocks, beside them, and in its stem."""
LAYER = 3 * 2 * (768 + 768)
"""Values of rank 2 on query, key and value of a layer of width 768."""


@pytest.mark.parametrize(
    ("name", "method", "visual", "text"),
    [
        ("RN50", "opendas_plus", 2 * RESNET + 3 * 2048 + 1024, 2 * 512 * 25),
        ("RN50", "lora", 3 * 2 * (2048 + 2048), 12 * 3 * 2 * (512 + 512)),
        ("ViT-B-16-SigLIP", "lora", (12 + 1) * LAYER, 12 * LAYER),
        ("convnext_base", "lora", 0, 12 * 3 * 2 * (512 + 512)),
        ("ViT-B-16-SigLIP", "wise_ft_text", 0, 32000 * 768 + 64 * 768 + 12 * 7_087_872 + 2 * 768 + 768 * 768 + 768),
    ],
)
def test_values_by_hand(name, method, visual, text):
    learnt = describe(name, [method]).takes[method]
    assert (learnt.visual, learnt.text) == (visual, text)


@pytest.mark.slow
def test_of_open_clips_architectures_as_many_take_a_method_as_are_known():
    names = [name for name in open_clip.list_models() if not name.endswith("-tiny")]  # less those of tests
    found = runs.list_backbones(tuple(names), ("all",))
    takes = {
        method: {one.name for one in found if not isinstance(one.takes[method], str)} for method in methods.names()
    }
    assert len(names) == 144
    assert [len(takes[method]) for method in WEIGHTS] == [134] * 6
    assert {len(takes[method]) for method in ("opendas", "maple", "promptsrc", "opendas_joint")} == {102}
    assert len(takes["vpt"]) == 105  # three CoCas more, by their visual towers alone
    assert len(takes["rpo"]) == 39
    assert sum(one.image_size == () for one in found) == 10
