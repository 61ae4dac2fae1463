"""Every method trains, leaves the backbone alone and comes back; the losses and averages that some of them add."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import open_clip
import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div
from torch.nn.functional import normalize as unit

from opendas_plugin import methods
from opendas_plugin.crops import OPENAI_PIXELS
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.predict import predict
from opendas_plugin.labeller import Labeller
from opendas_plugin.methods.stages import NO_PROMPTS
from opendas_plugin.methods.zero_shot import ensemble_features
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.cache import FeatureCache
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.train.config import RegulationConfig, TrainConfig
from opendas_plugin.train.objective import Batch, Objective
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.train.regulation import Regulation
from opendas_plugin.train.run import train
from opendas_plugin.train.schedules import epoch_shares, rate_by_step

STARTS_ELSEWHERE = ("cocoop", "maple", "mmlop", "rpo")
"""Methods whose papers do not start at zero-shot; those with noise as visual tokens neither, but near it."""


def recipe(folder: Path, method: str, backbone: str, **fields) -> TrainConfig:
    config = read_recipe("paper", method)
    stages = {name: dataclasses.replace(getattr(config, name), epochs=2) for name in ("visual", "text", "joint")}
    augmentation = dataclasses.replace(config.augmentation, kind="none")
    return dataclasses.replace(config, backbone=backbone, workers=0, augmentation=augmentation, **stages, **fields)


def build(config: TrainConfig) -> OpenDASCLIP:
    return OpenDASCLIP.from_backbone(config.backbone, prompts=config.prompts, weights=config.weights)


@pytest.mark.parametrize("method", methods.registry.BUILT_IN)
def test_a_method_trains_saves_and_scores(method, data, negatives, tiny_backbone, tmp_path) -> None:
    config = recipe(tmp_path, method, tiny_backbone, batch_size=4)
    clip = build(config)
    start, reached = {key: value.clone() for key, value in clip.learnt_state().items()}, []
    train(
        clip, data, config, tmp_path / "run", negatives=negatives, milestone=lambda name, towers: reached.append(name)
    )
    stages = methods.get(method).stages
    assert reached == ["before", *(stage.name for stage in stages)]
    assert backbone_sha256(clip) == backbone_sha256(OpenDASCLIP.from_backbone(tiny_backbone))
    moved = [key for key, value in clip.learnt_state().items() if not torch.equal(value, start[key])]
    assert bool(moved) == bool(stages)
    clip.save_pretrained(tmp_path / "adapter", method=method)
    again = OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    segments, names, policy = data.crops.segments, data.vocabulary, data.crops.policy
    expected, found = (
        predict(Labeller(model, names, crops=policy), segments, names).predictions.tolist() for model in (clip, again)
    )
    assert found == expected


@torch.no_grad()
@pytest.mark.parametrize("method", sorted(set(methods.registry.BUILT_IN) - set(STARTS_ELSEWHERE)))
def test_a_method_starts_where_its_paper_does(method, data, tiny_backbone, tmp_path) -> None:
    config = recipe(tmp_path, method, tiny_backbone)
    clip, plain = build(config), OpenDASCLIP.from_backbone(tiny_backbone).model
    images = torch.randn(2, 3, 32, 32)
    tokens = clip.tokenize(data.vocabulary.texts())
    if not config.prompts.visual_tokens:
        torch.testing.assert_close(clip.encode_image(images), plain.encode_image(images))
    if not config.prompts.text_tokens:
        torch.testing.assert_close(clip.encode_text(tokens), plain.encode_text(tokens))


def test_the_learnt_weights_are_mixed_after_the_stage_and_not_in_it(data, tiny_backbone, tmp_path, monkeypatch) -> None:
    config = recipe(tmp_path, "wise_ft_image", tiny_backbone, batch_size=4)
    clip, mixes = build(config), []
    forward = Objective.forward
    monkeypatch.setattr(Objective, "forward", lambda self, *a: (mixes.append(clip.weight_mix), forward(self, *a))[1])
    train(clip, data, config, tmp_path / "run", milestone=lambda name, towers: mixes.append(clip.weight_mix))
    assert mixes == [0.5, *[1.0] * 6, 0.5]


def test_promptsrc_adds_its_three_pulls(data, new_clip) -> None:
    clip, vocabulary = new_clip(), data.vocabulary
    anchor = ensemble_features(clip, vocabulary.base)
    objective = Objective(
        clip,
        vocabulary.texts(vocabulary.base),
        ("visual", "text"),
        ("visual", "text"),
        pulls=[Regulation(RegulationConfig(text=25, visual=10, logits=1), anchor)],
    )
    crops = torch.stack([torch.from_numpy(data.crops.crop(i).copy()) for i in range(4)])
    loss, numbers = objective(Batch(crops, data.labels[:4], slice(0, 4), 4), 0.0)

    templates = [
        torch.stack([clip.model.encode_text(clip.tokenizer([t(name)]), normalize=True)[0] for name in vocabulary.base])
        for t in open_clip.OPENAI_IMAGENET_TEMPLATES
    ]
    fixed = unit(torch.stack(templates).mean(0), dim=-1)
    torch.testing.assert_close(anchor, fixed, atol=1e-5, rtol=0)
    scale = clip.logit_scale.exp()
    image, names = clip.encode_image(OPENAI_PIXELS.normalise(crops), True), clip.encode_text(objective.tokens, True)
    frozen = clip.model.encode_image(OPENAI_PIXELS.normalise(crops), normalize=True)
    logits, zero_shot = scale * image @ names.T, scale * frozen @ fixed.T
    apart = kl_div(logits.log_softmax(1), zero_shot.log_softmax(1), reduction="sum", log_target=True) / logits.numel()
    pull = 25 * (names - fixed).abs().mean() + 10 * (image - frozen).abs().mean() + apart
    expected = cross_entropy(logits, data.labels[:4]) + pull
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    assert dict(zip(objective.columns, numbers.tolist(), strict=True))["regulation"] == pytest.approx(
        pull.item(), rel=1e-4
    )


def test_the_average_over_epochs_is_the_gaussian_one_and_survives_an_interruption(
    data, tiny_backbone, tmp_path, monkeypatch
) -> None:
    regulation = RegulationConfig(average_epoch=2, average_std=0.7)
    config = recipe(tmp_path, "vpt", tiny_backbone, batch_size=4, regulation=regulation, checkpoint_every=1)
    config = dataclasses.replace(config, visual=dataclasses.replace(config.visual, epochs=3))
    ends = []
    for epochs in (1, 2, 3):  # the same steps, since the rate does not depend on what comes later
        fields = {"regulation": RegulationConfig(), "visual": dataclasses.replace(config.visual, epochs=epochs)}
        plain = dataclasses.replace(
            config, optimiser=dataclasses.replace(config.optimiser, schedule="constant"), **fields
        )
        clip = build(plain)
        train(clip, data, plain, tmp_path / f"plain{epochs}")
        ends.append(clip.visual_prompts.tokens.detach())
    heights = [math.exp(-(((epoch - 2) / 0.7) ** 2) / 2) for epoch in (1, 2, 3)]
    expected = sum(height * end for height, end in zip(heights, ends, strict=True)) / sum(heights)

    config = dataclasses.replace(config, optimiser=dataclasses.replace(config.optimiser, schedule="constant"))
    clip, count, forward = build(config), [], Objective.forward

    def break_off(self, *arguments):
        count.append(1)
        if len(count) == 8:  # in the third epoch
            raise KeyboardInterrupt
        return forward(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Objective, "forward", break_off)
        with pytest.raises(KeyboardInterrupt):
            train(clip, data, config, tmp_path / "run")
    again = build(config)
    train(again, data, config, tmp_path / "run", resume=True)
    torch.testing.assert_close(again.visual_prompts.tokens.detach(), expected)


def test_the_rate_by_steps_rises_and_falls_to_zero() -> None:
    rates = [rate_by_step(step, steps=10, base=1.0, warmup_steps=4) for step in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == pytest.approx([(1 + math.cos(math.pi * k / 6)) / 2 for k in range(6)])
    assert rate_by_step(0, steps=3, base=1.0, warmup_steps=500) == 1.0  # at most half of the steps
    assert (
        sum(epoch_shares(20, 15, 1.0)) == pytest.approx(1)
        and max(epoch_shares(20, 15, 1.0)) == epoch_shares(20, 15, 1.0)[14]
    )


def test_the_gradient_is_clipped_as_a_whole(data, tiny_backbone, tmp_path) -> None:
    config = recipe(tmp_path, "ln_bias", tiny_backbone, batch_size=4)
    optimiser = dataclasses.replace(
        config.optimiser, name="sgd", lr=1.0, weight_decay=0.0, momentum=0.0, clip_norm=0.01, schedule="constant"
    )
    joint = dataclasses.replace(config.joint, epochs=1)
    clip = build(config := dataclasses.replace(config, optimiser=optimiser, joint=joint))
    start = torch.cat([p.detach().flatten().clone() for p in clip.prompt_parameters()])
    train(clip, data, config, tmp_path / "run")
    end = torch.cat([p.detach().flatten() for p in clip.prompt_parameters()])
    assert 0 < (end - start).norm() <= 3 * 0.01 + 1e-5


@pytest.mark.parametrize(("method", "stage"), [("cocoop", "text"), ("rpo", "joint")])
def test_losses_that_a_methods_features_cannot_have_are_refused(method, stage, data, tiny_backbone, tmp_path) -> None:
    config = recipe(tmp_path, method, tiny_backbone)
    config = dataclasses.replace(config, **{stage: dataclasses.replace(getattr(config, stage), consistency=1.0)})
    with pytest.raises(ConfigError, match="prompts have no features beside plain CLIP's"):
        train(build(config), data, config, tmp_path / "run")


def test_a_method_may_store_features_and_learn_nothing(data, tiny_backbone, tmp_path, monkeypatch) -> None:
    """A nearest-neighbour method, as a package of its own would bring it: the features come from the training crops."""
    given = []

    def neighbours(clip, features, labels, texts):
        given.append((features, labels, texts))
        names = clip.encode_text(clip.tokenize(list(texts)), normalize=True).float()
        return FeatureCache.of(features, names[labels], strength=100.0, sharpness=50.0)

    method = methods.Method(stages=(), recipe={"prompts": NO_PROMPTS}, cache=neighbours)
    monkeypatch.setattr(methods, "get", lambda name: method)
    config = TrainConfig(backbone=tiny_backbone, method="neighbours", prompts=method.prompts, workers=0)
    clip, reached = build(config), []
    train(
        clip, data, config, tmp_path / "run", milestone=lambda name, towers: reached.append((name, clip.cache is None))
    )
    assert reached == [("before", True), ("cache", False)]
    (features, labels, texts), plain = given[0], build(config)
    assert torch.equal(labels, data.labels) and list(texts) == data.vocabulary.texts(data.vocabulary.base)
    segments = data.crops.segments
    assert features.shape == (len(segments), 32)
    for model, right in ((clip, True), (plain, False)):  # each segment's nearest neighbour is itself
        labeller = Labeller(model, data.vocabulary.base, crops=data.crops.policy, workers=0)
        found = torch.cat([cosines.argmax(dim=1) for _, cosines in labeller.segments(segments)])
        assert torch.equal(found, data.labels) == right


def test_low_rank_updates_wait_for_their_stage(data, negatives, tiny_backbone, tmp_path) -> None:
    config = recipe(tmp_path, "ln_bias_plus", tiny_backbone, batch_size=4)
    clip, ups = build(config), {}

    def look(name: str, towers: tuple[str, ...]) -> None:
        parts = clip.learnt_state().items()
        ups[name] = sum(value.abs().sum().item() for key, value in parts if ".up." in key), towers

    train(clip, data, config, tmp_path / "run", negatives=negatives, milestone=look)
    assert ups["joint"] == (0.0, ("visual", "text"))
    assert ups["visual"][0] > 0 and ups["text"][0] == ups["visual"][0]


def test_the_first_stage_of_ln_bias_plus_is_ln_bias(data, negatives, tiny_backbone, tmp_path) -> None:
    same = {"batch_size": 4, "hold": TrainConfig().hold}
    plain = recipe(tmp_path, "ln_bias", tiny_backbone, **same)
    weights = dataclasses.replace(methods.get("ln_bias_plus").weights, text="norm_bias")
    plus = recipe(tmp_path, "ln_bias_plus", tiny_backbone, **same, weights=weights)
    plus = dataclasses.replace(plus, optimiser=plain.optimiser, joint=plain.joint)
    texts, found = data.vocabulary.texts(), {}

    def look(clip: OpenDASCLIP, title: str):
        def at(name: str, towers: tuple[str, ...]) -> None:
            if name == "joint":
                with torch.no_grad():
                    found[title] = clip.encode_text(clip.tokenize(texts)), clip.encode_image(torch.ones(1, 3, 32, 32))

        return at

    for title, config in (("plain", plain), ("plus", plus)):
        clip = build(config)
        train(clip, data, config, tmp_path / title, negatives=negatives, milestone=look(clip, title))
    torch.testing.assert_close(found["plus"], found["plain"])


def test_an_adapter_carries_the_share_of_weights_that_training_states(data, tiny_backbone, tmp_path) -> None:
    config = recipe(tmp_path, "ln_bias", tiny_backbone, batch_size=4)
    config = dataclasses.replace(config, weights=dataclasses.replace(config.weights, mix=0.8))
    clip = build(config)
    train(clip, data, config, tmp_path / "run")
    clip.save_pretrained(tmp_path / "adapter", method="ln_bias")
    again = OpenDASCLIP.from_pretrained(tmp_path / "adapter")
    with again.unmixed():
        learnt = again.merged_weights()
    frozen, shared = again.model.state_dict(), again.merged_weights()
    moved = [key for key in learnt if not torch.equal(learnt[key], frozen[key])]
    assert moved
    for key in learnt:
        torch.testing.assert_close(shared[key], 0.8 * learnt[key] + 0.2 * frozen[key])
