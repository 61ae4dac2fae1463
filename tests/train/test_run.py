"""A whole run at toy size: what each stage may touch, what is written, and how it stops, resumes and refuses."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import pytest
import torch

from opendas_plugin.data.augment import Augmentation
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.errors import ConfigError, DataError, OutputError, TrainingError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.checkpoint import backbone_sha256
from opendas_plugin.train import state
from opendas_plugin.train.config import OptimiserConfig, StageConfig, TripletConfig
from opendas_plugin.train.inputs import TrainingData
from opendas_plugin.train.run import train
from opendas_plugin.train.stage import segment_features, train_stage
from opendas_plugin.train.state import Checkpoint


def learnt(clip: OpenDASCLIP) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in clip.learnt_state().items()}


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def change(config, **fields):
    return dataclasses.replace(config, **fields)


class StopError(Exception):
    """Stands for whatever ends a process."""


def test_each_stage_learns_its_own_prompts_and_the_backbone_stays(tmp_path, data, config, new_clip, negatives) -> None:
    clip, seen = new_clip(), []
    before = backbone_sha256(clip)
    start = learnt(clip)
    train(
        clip,
        data,
        config,
        tmp_path,
        negatives=negatives,
        milestone=lambda name, towers: seen.append((name, towers, learnt(clip))),
    )
    assert [(name, towers) for name, towers, _ in seen] == [
        ("before", ()),
        ("visual", ("visual",)),
        ("text", ("visual", "text")),
    ]
    (_, _, first), (_, _, visual), (_, _, both) = seen
    changed = [
        [not torch.equal(a[name], b[name]) for name in start]
        for a, b in ((start, first), (first, visual), (visual, both))
    ]
    assert list(start) == ["visual_prompts.tokens", "text_prompts.tokens"]
    assert changed == [[False, False], [True, False], [False, True]]
    assert backbone_sha256(clip) == before
    assert all(parameter.requires_grad for parameter in clip.prompt_parameters())


def test_the_log_has_a_line_a_step_with_the_papers_schedules(tmp_path, data, config, new_clip, negatives) -> None:
    config = change(config, visual=change(config.visual, epochs=5), text=StageConfig(epochs=5, lr_scale=0.1))
    train(new_clip(), data, config, tmp_path, negatives=negatives)
    lines = log(tmp_path)
    assert [(line["stage"], line["epoch"], line["step"]) for line in lines] == [
        (stage, 1 + step // 3, 1 + step) for stage in ("visual", "text") for step in range(15)
    ]
    rates = [1e-5, 2.5e-3, 2.261e-3, 1.636e-3, 8.64e-4]
    assert [line["lr"] for line in lines[:15:3]] == pytest.approx(rates, rel=1e-3)
    assert [line["lr"] for line in lines[15::3]] == pytest.approx([rate / 10 for rate in rates], rel=1e-3)
    assert [line["triplet_weight"] for line in lines[15:]] == pytest.approx([2 + 3 * step / 14 for step in range(15)])
    for line in lines[15:]:
        assert line["loss"] == pytest.approx(line["cross_entropy"] + line["triplet_weight"] * line["triplet"], rel=1e-5)
        assert line["active"] == 1.0, "at the paper's margin the triplet is always active"
    assert not {"triplet", "triplet_weight", "active"} & lines[0].keys()


def test_the_first_step_is_torch_sgd_with_weight_decay(data, config, new_clip) -> None:
    """One step at the warm-up's rate, by hand: p - lr (g + wd p)."""
    clip = new_clip()
    start = clip.visual_prompts.tokens.detach().clone()
    kept = {}

    def save(step: int, remembered) -> None:
        kept.setdefault("buffer", remembered["0.momentum_buffer"].clone())
        kept.setdefault("tokens", clip.visual_prompts.tokens.detach().clone())

    train_stage(clip, data, change(config, checkpoint_every=1), "visual", save=save)
    torch.testing.assert_close(kept["tokens"], start - 1e-5 * kept["buffer"], rtol=0, atol=1e-9)
    decayed = kept["buffer"] - 5e-4 * start  # what is left is the gradient
    assert decayed.abs().max() > 0


def test_segments_are_encoded_once_for_stage_2_and_at_every_step_when_augmented(
    monkeypatch, data, config, new_clip, negatives
) -> None:
    images = []
    encode = OpenDASCLIP.encode_image
    monkeypatch.setattr(
        OpenDASCLIP, "encode_image", lambda self, x, **kw: images.append(len(x)) or encode(self, x, **kw)
    )
    train_stage(new_clip(), data, config, "text", negatives=negatives)
    assert sum(images) == len(data.labels)
    images.clear()
    augmented = change(config, augmentation=Augmentation("rrc_flip", (0.5, 1.0)))
    train_stage(new_clip(), data, augmented, "text", negatives=negatives)
    assert images == [4] * 6


def test_variants_of_stage_2_share_one_stage_1_and_its_features(data, config, new_clip, negatives) -> None:
    first = new_clip()
    train_stage(first, data, config, "visual")
    features = segment_features(first, data, config)
    results = []
    for variant in (config, change(config, triplet=TripletConfig(enabled=False))):
        for given in (features, None):
            clip = new_clip()
            clip.visual_prompts.load_state_dict(first.visual_prompts.state_dict())
            train_stage(clip, data, variant, "text", negatives=negatives, features=given)
            results.append(learnt(clip)["text_prompts.tokens"])
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[2], results[3])
    assert not torch.equal(results[0], results[2])


def test_one_seed_one_result(tmp_path, data, config, new_clip, negatives) -> None:
    augmented = change(config, augmentation=Augmentation("rrc_flip"), sampler="class_balanced")
    results = []
    for number, run in enumerate((augmented, change(augmented, workers=3), change(augmented, seed=1))):
        clip = new_clip()
        train(clip, data, run, tmp_path / str(number), negatives=negatives)
        results.append(learnt(clip))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    assert not any(torch.equal(results[0][name], results[2][name]) for name in results[0])


@pytest.mark.parametrize(("optimiser", "stopped_at"), [("sgd", 1), ("adamw", 4), ("sgd", 6), ("sgd", 7), ("adamw", 11)])
def test_a_stopped_run_goes_on_to_the_same_bits(
    tmp_path, monkeypatch, data, config, new_clip, negatives, optimiser, stopped_at
) -> None:
    """Stopped right after its n-th checkpoint; the log has a bunch of lines more than that by then."""
    config = change(config, optimiser=OptimiserConfig(optimiser), checkpoint_every=1)
    whole = new_clip()
    train(whole, data, config, tmp_path / "whole", negatives=negatives)

    saves = []
    save = Checkpoint.save

    def save_or_stop(self, folder):
        save(self, folder)
        saves.append(self.position)
        if len(saves) == stopped_at + 1:
            raise StopError

    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(Checkpoint, "save", save_or_stop)
        train(new_clip(), data, config, tmp_path / "stopped", negatives=negatives)
    with open(tmp_path / "stopped" / "log.jsonl", "a") as file:
        file.write('{"stage": "text", "epoch": 2, "step": 99, "lr": 1}\n{"stage": "te')
    resumed = new_clip()
    train(resumed, data, config, tmp_path / "stopped", negatives=negatives, resume=True)
    assert all(torch.equal(learnt(whole)[name], tensor) for name, tensor in learnt(resumed).items())
    assert log(tmp_path / "stopped") == log(tmp_path / "whole")


def test_a_finished_run_resumes_to_itself(tmp_path, data, config, new_clip, negatives) -> None:
    clip, seen = new_clip(), []
    train(clip, data, config, tmp_path, negatives=negatives)
    again = new_clip()
    train(
        again,
        data,
        config,
        tmp_path,
        negatives=negatives,
        resume=True,
        milestone=lambda name, towers: seen.append(name),
    )
    assert all(torch.equal(learnt(clip)[name], tensor) for name, tensor in learnt(again).items())
    assert seen == ["before", "visual", "text"]
    assert len(log(tmp_path)) == 12


def test_resuming_nothing_starts_and_says_so(tmp_path, data, config, new_clip, negatives, caplog) -> None:
    with caplog.at_level(logging.INFO):
        train(new_clip(), data, config, tmp_path / "run", negatives=negatives, resume=True)
    assert "nothing to resume" in caplog.text
    assert len(log(tmp_path / "run")) == 12


def test_a_run_is_not_overwritten_and_goes_on_only_with_what_it_began(
    tmp_path, data, config, new_clip, negatives
) -> None:
    train(new_clip(), data, config, tmp_path, negatives=negatives)
    with pytest.raises(ConfigError, match="is not empty; give `resume`"):
        train(new_clip(), data, config, tmp_path, negatives=negatives)

    def resume(clip=None, data=data, config=config, negatives=negatives, facts=None) -> None:
        train(clip or new_clip(), data, config, tmp_path, negatives=negatives, resume=True, facts=facts)

    resume(config=change(config, workers=2, checkpoint_every=7))
    with pytest.raises(ConfigError, match=r"optimiser\.lr = 0\.0025, now it is 0\.1"):
        resume(config=change(config, optimiser=OptimiserConfig(lr=0.1)))
    with pytest.raises(ConfigError, match=r"text\.epochs = 2, now it is 3"):
        resume(config=change(config, text=StageConfig(epochs=3)))
    fewer = TrainingData(SegmentCrops(data.crops.segments[:-1], data.crops.policy), data.vocabulary)
    with pytest.raises(ConfigError, match="training data = "):
        resume(data=fewer)
    with pytest.raises(ConfigError, match="negatives = "):
        resume(negatives=negatives.without_novel(data.vocabulary).__class__({**negatives.entries, "x": ()}))
    with pytest.raises(ConfigError, match="backbone weights = "):
        resume(clip=OpenDASCLIP.from_backbone(config.backbone, prompts=config.prompts, seed=1))
    with pytest.raises(ConfigError, match="validation = None, now it is other"):
        resume(facts={"validation": "other"})


def test_a_damaged_checkpoint_is_named(tmp_path, data, config, new_clip, negatives) -> None:
    train(new_clip(), data, config, tmp_path, negatives=negatives)
    path = tmp_path / state.NAME
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"checkpoint\.safetensors is damaged"):
        train(new_clip(), data, config, tmp_path, negatives=negatives, resume=True)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
    tmp_path, data, config, new_clip, negatives
) -> None:
    config = change(config, checkpoint_every=2, optimiser=OptimiserConfig(lr=1e38, weight_decay=0.0))
    with pytest.raises(
        TrainingError, match=r"the loss became (nan|inf) in stage visual, epoch 2, step [56]; .* is kept"
    ):
        train(new_clip(), data, config, tmp_path, negatives=negatives)
    kept = Checkpoint.load(tmp_path)
    assert kept.position == state.Position(0, 4)
    assert all(tensor.isfinite().all() for tensor in kept.tensors.values())
    steps = [line["step"] for line in log(tmp_path)]
    assert steps in ([1, 2, 3, 4], [1, 2, 3, 4, 5])


def test_a_backbone_that_moved_is_noticed(tmp_path, data, config, new_clip, negatives) -> None:
    clip = new_clip()

    def meddle(name: str, towers) -> None:
        if name == "visual":
            clip.model.visual.ln_post.weight.data[0] += 1e-3

    with pytest.raises(TrainingError, match="frozen backbone has changed"):
        train(clip, data, config, tmp_path, negatives=negatives, milestone=meddle)


def test_prompts_in_one_tower_alone(tmp_path, data, config, new_clip, negatives) -> None:
    only_visual, only_text = new_clip(text_tokens=0), new_clip(visual_tokens=0)
    train(only_visual, data, config, tmp_path / "visual", negatives=negatives)
    train(only_text, data, config, tmp_path / "text", negatives=negatives)
    assert {line["stage"] for line in log(tmp_path / "visual")} == {"visual"}
    assert {line["stage"] for line in log(tmp_path / "text")} == {"text"}


def test_training_names_as_negatives_need_no_database(tmp_path, data, config, new_clip) -> None:
    train(new_clip(), data, change(config, triplet=TripletConfig(mining="training")), tmp_path)
    assert log(tmp_path)[-1]["triplet"] > 0


def test_bf16_keeps_what_is_learnt_in_fp32_and_stays_near(tmp_path, data, config, new_clip, negatives) -> None:
    clips = [new_clip(), new_clip()]
    for clip, precision in zip(clips, ("fp32", "bf16"), strict=True):
        train(clip, data, change(config, precision=precision), tmp_path / precision, negatives=negatives)
    for exact, rough in zip(clips[0].prompt_parameters(), clips[1].prompt_parameters(), strict=True):
        assert rough.dtype == torch.float32
        assert not torch.equal(exact, rough)
        torch.testing.assert_close(exact, rough, rtol=0.1, atol=0.02)


def test_labels_must_be_base_names(data) -> None:
    novel = dataclasses.replace(data.crops.segments[0], label="violet block")
    with pytest.raises(DataError, match="expected training labels to be base names, got 'violet block'"):
        TrainingData(SegmentCrops([novel], data.crops.policy), data.vocabulary)
    with pytest.raises(DataError, match="expected segments to train on"):
        TrainingData(SegmentCrops([], data.crops.policy), data.vocabulary)


def test_segments_of_one_name_teach_nothing_and_are_refused(data) -> None:
    first = data.crops.segments[0]
    alone = dataclasses.replace(
        data.vocabulary, novel=tuple(name for name in data.vocabulary.names if name != first.label)
    )
    with pytest.raises(
        DataError, match=f"of two names or more, got those of '{first.label}' alone, with which nothing"
    ):
        TrainingData(SegmentCrops([first, first], data.crops.policy), alone)


def test_an_output_that_cannot_be_written_is_named(tmp_path, data, config, new_clip, negatives) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not write"):
        train(new_clip(), data, config, tmp_path / "file" / "run", negatives=negatives)


def test_fewer_segments_than_a_batch_make_one_batch(tmp_path, data, config, new_clip, negatives) -> None:
    few = TrainingData(SegmentCrops(data.crops.segments[:3], data.crops.policy), data.vocabulary)
    train(new_clip(), few, change(config, batch_size=16), tmp_path, negatives=negatives)
    assert len(log(tmp_path)) == 4
