"""MLMP: what it makes small, by open_clip's own blocks, and that it looks at no name."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from open_clip import SIMPLE_IMAGENET_TEMPLATES
from torch.nn.functional import normalize as unit

from opendas_plugin import methods
from opendas_plugin.commands.train_prompts import main
from opendas_plugin.crops import OPENAI_PIXELS
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.data.manifest import write_manifest
from opendas_plugin.errors import BackboneError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.train.entropy import EntropyObjective
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.objective import Batch
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.train.run import train

MLMP = methods.get("mlmp")


def class_tokens(visual: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """(depth, B, D): open_clip's own modules, one after the other."""
    x = visual.conv1(pixels).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(len(x), 1, -1), x], dim=1) + visual.positional_embedding
    x, found = visual.ln_pre(x), []
    for block in visual.transformer.resblocks:
        x = block(x)
        found.append(visual.ln_post(x[:, 0]) @ visual.proj)
    return torch.stack(found)


def entropy(probabilities: torch.Tensor) -> float:
    rows = [-sum(p * math.log(p) for p in row if p > 0) for row in probabilities.tolist()]
    return sum(rows) / len(rows)


def test_the_loss_is_the_entropy_behind_the_later_layers_and_behind_the_last(data, tiny_backbone) -> None:
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=MLMP.prompts, weights=MLMP.weights)
    objective = EntropyObjective(clip, data.vocabulary)
    crops = torch.stack([torch.from_numpy(data.crops.crop(place).copy()) for place in range(3)])
    loss, _ = objective(Batch(crops, torch.zeros(3, dtype=torch.long), slice(0, 3), 3), 0.0)

    with torch.no_grad():
        layers = unit(class_tokens(clip.model.visual, OPENAI_PIXELS.normalise(crops)), dim=-1)
        depth, expected = len(layers), 0.0
        for template in SIMPLE_IMAGENET_TEMPLATES:
            ids = clip.tokenizer([template(name) for name in data.vocabulary.names])
            text = clip.model.encode_text(ids, normalize=True)
            for feature in (layers[-math.ceil(0.75 * depth) :].mean(dim=0), layers[-1]):
                logits = 100 * unit(feature, dim=-1) @ text.T * clip.logit_scale.exp() / 100
                expected += entropy(logits.softmax(dim=-1).double()) / len(SIMPLE_IMAGENET_TEMPLATES)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in clip.prompt_parameters())


def test_names_of_the_segments_change_nothing(data, tiny_backbone, tmp_path) -> None:
    config = dataclasses.replace(read_recipe("paper", "mlmp"), backbone=tiny_backbone, workers=0)
    config = dataclasses.replace(config, augmentation=dataclasses.replace(config.augmentation, kind="none"))
    names = data.vocabulary.base
    others = [dataclasses.replace(s, label=names[(names.index(s.label) + 1) % len(names)]) for s in data.crops.segments]
    learnt = []
    for folder, segments in (("given", data.crops.segments), ("others", others)):
        clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=config.prompts, weights=config.weights)
        train(clip, TrainingData(SegmentCrops(segments, data.crops.policy), data.vocabulary), config, tmp_path / folder)
        learnt.append([value.detach() for value in clip.prompt_parameters()])
    plain = OpenDASCLIP.from_backbone(tiny_backbone, prompts=config.prompts, weights=config.weights)
    assert all(torch.equal(*pair) for pair in zip(*learnt, strict=True))
    assert not all(torch.equal(*pair) for pair in zip(learnt[0], plain.prompt_parameters(), strict=True))


def test_read_only_tokens_have_no_features_behind_each_layer(tiny_backbone) -> None:
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=methods.get("rpo").prompts)
    with pytest.raises(BackboneError, match="no features behind each layer"):
        clip.encode_image_layers(torch.zeros(1, 3, 32, 32))


def test_other_segments_can_be_given_and_are_remembered(domain, tiny_backbone, tmp_path) -> None:
    more = load_domain(domain).train[:3]
    write_manifest(tmp_path / "more.jsonl", [dataclasses.replace(segment, label="nobody knows") for segment in more])
    flags = ["--data", str(domain), "--backbone", tiny_backbone, "--pretrained", "random", "--method", "mlmp"]
    flags += ["--recipe", "paper", "--augmentation.kind", "none", "--workers", "0", "--device", "cpu"]
    assert main([*flags, "--output-dir", str(tmp_path / "all")]) == 0
    few = [*flags, "--output-dir", str(tmp_path / "few"), "--unlabelled", str(tmp_path / "more.jsonl")]
    assert main(few) == 0
    config = [OpenDASCLIP.from_pretrained(tmp_path / name / "adapter") for name in ("all", "few")]
    assert config[1].config.training["used_evaluation_names"]
    states = [list(clip.prompt_parameters()) for clip in config]
    assert not all(torch.equal(*pair) for pair in zip(*states, strict=True))
    log = (tmp_path / "few" / "log.jsonl").read_text()
    assert "entropy_later" in log and "accuracy" not in log
