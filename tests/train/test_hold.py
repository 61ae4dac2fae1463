"""The hold on the text features of other names, against open_clip's own text features, and which names are held."""

from __future__ import annotations

import dataclasses

import open_clip
import pytest
import torch
from torch import nn

from opendas_plugin.commands.common import UsageError
from opendas_plugin.commands.train_prompts import read_run
from opendas_plugin.errors import ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.train.config import HoldConfig
from opendas_plugin.train.hold import held_names, make_hold
from opendas_plugin.train.objective import Batch, Objective
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.train.run import train
from opendas_plugin.vocabulary import Vocabulary

NAMES = ["rose", "Red  Block", "brick", "violet block", "sofa"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES))
    return path


def far(new_clip) -> OpenDASCLIP:
    """A model whose prompts move its features far."""
    clip = new_clip()
    with torch.no_grad():
        for prompts in clip.prompt_parameters():
            prompts.mul_(20)
    return clip


def test_it_adds_how_far_other_names_are_from_open_clips_own(data, new_clip, file) -> None:
    clip, vocabulary = far(new_clip), data.vocabulary
    hold = make_hold(clip, vocabulary, HoldConfig(weight=3.0, names=str(file), batch=10))
    images = torch.stack([torch.from_numpy(data.crops.crop(i).copy()) for i in range(4)])
    batch, towers = Batch(images, data.labels[:4], slice(0, 4), 4), ("visual", "text")
    texts = vocabulary.texts(vocabulary.base)
    plain = Objective(clip, texts, ("text",), towers)(batch, 0.0)[0]
    objective = Objective(clip, texts, ("text",), towers, pulls=[hold])
    loss, numbers = objective(batch, 0.0)
    tokens = clip.tokenizer([f"a photo of a {name}." for name in ("rose", "brick", "sofa")])
    apart = (1 - nn.CosineSimilarity()(clip.encode_text(tokens), clip.model.encode_text(tokens))).mean().item()
    assert apart > 1e-3
    assert loss.item() == pytest.approx(plain.item() + 3 * apart, rel=1e-5)
    assert objective.columns[-1] == "hold" and numbers[-1].item() == pytest.approx(3 * apart, rel=1e-4)
    loss.backward()
    assert clip.text_prompts.tokens.grad.abs().sum() > 0


def test_a_step_draws_as_many_names_as_it_is_told(data, new_clip) -> None:
    seen = []
    hold = make_hold(new_clip(), data.vocabulary, HoldConfig(weight=1.0, batch=7))

    def encode(tokens):
        seen.append(tokens)
        return torch.ones(len(tokens), 32, requires_grad=True)

    encoded = dataclasses.make_dataclass("Encoded", ["encode_text"])(encode)
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        hold(encoded)
    assert [len(tokens) for tokens in seen] == [7, 7, 7]
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])


def test_training_and_novel_names_are_not_held_unless_asked_for(data, file) -> None:
    config = HoldConfig(weight=1.0, names=str(file))
    assert held_names(data.vocabulary, config) == ["rose", "brick", "sofa"]
    novel = held_names(data.vocabulary, dataclasses.replace(config, novel=True))
    assert novel == ["rose", "brick", "sofa", *data.vocabulary.novel]
    office = Vocabulary(("desk", "ashcan", "filing cabinet"), novel=("desk",))
    for names in ("imagenet", "words"):
        held = held_names(office, HoldConfig(weight=1.0, names=names))
        assert len(held) > 900 and not {"desk", "filing cabinet"} & set(held)
        assert set(held) & set(open_clip.IMAGENET_CLASSNAMES)
    file.write_text("red block")
    with pytest.raises(ConfigError, match="has no name that is not one of the domain's"):
        held_names(data.vocabulary, config)


def test_the_nearest_are_those_of_the_highest_cosine_with_a_training_name(data, new_clip) -> None:
    clip, vocabulary = far(new_clip), data.vocabulary
    names = held_names(vocabulary, HoldConfig())
    with torch.no_grad():
        texts, base = (
            clip.model.encode_text(clip.tokenizer([f"a photo of a {name}." for name in some]), normalize=True)
            for some in (names, vocabulary.base)
        )
    near = (texts @ base.T).amax(dim=1).topk(5).indices.sort().values
    hold = make_hold(clip, vocabulary, HoldConfig(weight=1.0, nearest=5))
    torch.testing.assert_close(hold.frozen, texts[near], atol=1e-5, rtol=0)


def test_a_held_run_keeps_other_names_nearer_and_goes_on_to_the_same_bits(
    data, tiny_backbone, tmp_path, monkeypatch
) -> None:
    config = dataclasses.replace(read_recipe("paper", "dor"), backbone=tiny_backbone, workers=0, checkpoint_every=1)
    optimiser = dataclasses.replace(config.optimiser, lr=0.1, warmup_epochs=0)
    augmentation = dataclasses.replace(config.augmentation, kind="none")
    config = dataclasses.replace(
        config,
        batch_size=4,
        optimiser=optimiser,
        augmentation=augmentation,
        joint=dataclasses.replace(config.joint, epochs=2),
    )

    def learn(folder, weight: float, break_at: int | None = None) -> OpenDASCLIP:
        fields = dataclasses.replace(config, hold=dataclasses.replace(config.hold, weight=weight, batch=16))
        clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=config.prompts)
        steps, forward = [], Objective.forward

        def counted(self, *arguments):
            steps.append(1)
            if len(steps) == break_at:
                raise KeyboardInterrupt
            return forward(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Objective, "forward", counted)
            train(clip, data, fields, folder, resume=folder.exists())
        return clip

    held, free = learn(tmp_path / "held", 50.0), learn(tmp_path / "free", 0.0)
    tokens = held.tokenize(["a photo of a rose.", "a photo of a sofa.", "a photo of a brick."])
    with torch.no_grad():
        apart = [
            (1 - nn.CosineSimilarity()(clip.encode_text(tokens), clip.model.encode_text(tokens))).mean()
            for clip in (held, free)
        ]
    assert apart[0] < apart[1]
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "cut", 50.0, break_at=5)
    again = learn(tmp_path / "cut", 50.0)
    assert all(torch.equal(again.learnt_state()[key], value) for key, value in held.learnt_state().items())


def test_a_hold_that_could_not_act_is_refused() -> None:
    for flags, reason in (
        (["--method", "vpt", "--hold.weight", "8"], "on a method that learns nothing in the text tower"),
        (["--hold.names", "words"], r"without `hold\.weight`"),
    ):
        with pytest.raises(UsageError, match=rf"`hold` has no effect {reason}"):
            read_run(["--data", "data", *flags])
    assert read_run(["--data", "data", "--method", "dor", "--hold.weight", "0"]).config.hold == HoldConfig()
