"""The loss of a step against the plain, slow way to compute it: all names, all gradients, open_clip's own features."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from open_clip.loss import SigLipLoss
from torch import nn
from torch.nn.functional import cross_entropy

from opendas_plugin.crops import OPENAI_PIXELS
from opendas_plugin.errors import ConfigError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.negatives.database import NegativeDatabase
from opendas_plugin.negatives.mining import own_candidates, pool_candidates, training_candidates
from opendas_plugin.train.config import TripletConfig
from opendas_plugin.train.losses import sigmoid_loss
from opendas_plugin.train.objective import Batch, Objective
from opendas_plugin.train.stage import find_candidates


@pytest.fixture
def batch(data) -> Batch:
    crops = torch.stack([torch.from_numpy(data.crops.crop(i).copy()) for i in range(4)])
    return Batch(crops, data.labels[:4], slice(0, 4), 4)


def text_objective(clip, data, candidates, **options) -> Objective:
    clip.visual_prompts.requires_grad_(False)
    texts = data.vocabulary.texts(candidates.names)
    return Objective(clip, texts, ("text",), ("visual", "text"), candidates, TripletConfig(**options))


def gradients(clip) -> list[torch.Tensor]:
    found = [parameter.grad for parameter in clip.text_prompts.parameters()]
    clip.zero_grad()
    return found


def test_stage_1_is_cross_entropy_against_open_clips_own_text_features(data, new_clip, batch) -> None:
    clip = new_clip(deep_text_init="normal")
    objective = Objective(clip, data.vocabulary.texts(data.vocabulary.base), ("visual",), ("visual",))
    loss, numbers = objective(batch, 0.0)
    plain = clip.model  # the backbone as open_clip built it
    text = plain.encode_text(clip.tokenizer([f"a photo of a {name}." for name in data.vocabulary.base]), normalize=True)
    image = clip.encode_image(OPENAI_PIXELS.normalise(batch.images), normalize=True)
    logits = plain.logit_scale.exp() * image @ text.T
    assert loss.item() == pytest.approx(cross_entropy(logits, batch.labels).item(), rel=1e-5)
    assert numbers[2].item() == (logits.argmax(-1) == batch.labels).float().mean()
    loss.backward()
    assert clip.visual_prompts.tokens.grad.abs().sum() > 0
    assert clip.text_prompts.tokens.grad is None


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_on_a_siglip_the_loss_is_cross_entropy_or_the_sigmoid_of_open_clip(
    loss, data, batch, family_names, tokenizer_folders
) -> None:
    clip = OpenDASCLIP.from_backbone(
        family_names["siglip"], prompts=PromptConfig(2, 2), tokenizer=tokenizer_folders["siglip"]
    )
    with torch.no_grad():
        clip.model.logit_bias.fill_(-3.0)
    names = data.vocabulary.texts(data.vocabulary.base)
    objective = Objective(clip, names, ("visual",), ("visual",), loss=loss)
    image, text = clip.encode_image(clip.pixels.normalise(batch.images)), clip.model.encode_text(clip.tokenize(names))
    image, text = nn.functional.normalize(image, dim=-1), nn.functional.normalize(text, dim=-1)
    scale, bias = clip.logit_scale.exp(), clip.model.logit_bias
    if loss == "softmax":
        expected = cross_entropy(scale * image @ text.T, batch.labels)
    else:  # theirs is of a batch in which each image has one text: of each image beside the names of others
        theirs, others = SigLipLoss(), [[c for c in range(len(names)) if c != label] for label in batch.labels]
        expected = sum(
            theirs(one[None], text[label][None], scale, bias)
            + sum(-nn.functional.logsigmoid(-(scale * one @ text[c] + bias)) for c in others[row])
            for row, (one, label) in enumerate(zip(image, batch.labels, strict=True))
        ) / len(image)
    value, _ = objective(batch, 0.0)
    assert objective.columns[1] == {"softmax": "cross_entropy", "sigmoid": "sigmoid"}[loss]
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    value.backward()
    assert clip.visual_prompts.tokens.grad.abs().sum() > 0


def test_the_sigmoid_loss_of_a_batch_of_pairs_is_open_clips(data, new_clip) -> None:
    image, text = (nn.functional.normalize(torch.randn(5, 8), dim=-1) for _ in range(2))
    scale, bias = torch.tensor(7.0), torch.tensor(-4.0)
    expected = SigLipLoss()(image, text, scale, bias)
    assert sigmoid_loss(scale * image @ text.T, torch.arange(5), bias).item() == pytest.approx(
        expected.item(), rel=1e-5
    )
    with pytest.raises(ConfigError, match="has no logit bias, as a SigLIP has, so that `loss` sigmoid has no meaning"):
        Objective(new_clip(), data.vocabulary.texts(data.vocabulary.base), ("visual",), ("visual",), loss="sigmoid")


@pytest.mark.parametrize("distance", ["euclidean", "squared", "cosine"])
@pytest.mark.parametrize("rule", ["hardest", "pool", "training"])
def test_encoding_the_chosen_names_has_the_gradient_of_encoding_all(
    data, new_clip, negatives, batch, rule, distance
) -> None:
    clip, vocabulary = new_clip(), data.vocabulary
    related = negatives.related(vocabulary)
    candidates = {
        "hardest": lambda: own_candidates(vocabulary.base, related),
        "pool": lambda: pool_candidates(vocabulary.base, related),
        "training": lambda: training_candidates(
            vocabulary.base, clip.encode_text(clip.tokenize(vocabulary.texts(vocabulary.base))).detach()
        ),
    }[rule]()
    objective = text_objective(clip, data, candidates, mining=rule, distance=distance)
    loss, _ = objective(batch, 3.0)
    loss.backward()
    ours = gradients(clip)

    every = clip.encode_text(clip.tokenize(vocabulary.texts(candidates.names)), normalize=True)
    image = clip.encode_image(OPENAI_PIXELS.normalise(batch.images), normalize=True)
    measure = {
        "euclidean": lambda a, b: nn.PairwiseDistance()(a, b),
        "squared": lambda a, b: (a - b).square().sum(-1),
        "cosine": lambda a, b: 1 - nn.CosineSimilarity()(a, b),
    }[distance]
    logits = clip.logit_scale.exp() * image @ every[:3].T
    hinges = []
    for row, label in zip(image, batch.labels.tolist(), strict=True):
        others = torch.stack([measure(row[None], every[i][None])[0] for i in candidates.rows[label].tolist()])
        hinges.append((measure(row[None], every[label][None])[0] - others.min() + 1.5).clamp_min(0))
    slow = cross_entropy(logits, batch.labels) + 3.0 * torch.stack(hinges).mean()
    slow.backward()

    assert loss.item() == pytest.approx(slow.item(), rel=1e-5)
    for mine, reference in zip(ours, gradients(clip), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)


def test_stage_2_sees_images_with_their_learnt_prompts_and_leaves_these_alone(data, new_clip, negatives, batch) -> None:
    clip = new_clip()
    objective = text_objective(clip, data, own_candidates(data.vocabulary.base, negatives.related(data.vocabulary)))
    seen = objective.encode_image(batch.images)
    torch.testing.assert_close(seen, clip.encode_image(OPENAI_PIXELS.normalise(batch.images)))
    with clip.prompts_disabled():
        assert not torch.allclose(seen, clip.encode_image(OPENAI_PIXELS.normalise(batch.images)), atol=1e-3)
    loss, _ = objective(batch, 2.0)
    loss.backward()
    assert clip.visual_prompts.tokens.grad is None
    assert clip.text_prompts.tokens.grad.abs().sum() > 0


def test_features_encoded_before_give_the_loss_of_the_crops(data, new_clip, negatives, batch) -> None:
    clip = new_clip()
    objective = text_objective(clip, data, own_candidates(data.vocabulary.base, negatives.related(data.vocabulary)))
    kept = dataclasses.replace(batch, images=objective.encode_image(batch.images))
    torch.testing.assert_close(objective(kept, 2.0), objective(batch, 2.0))


def test_several_negatives_are_averaged(data, new_clip, negatives, batch) -> None:
    clip = new_clip()
    candidates = own_candidates(data.vocabulary.base, negatives.related(data.vocabulary))
    losses = text_objective(clip, data, candidates, negatives=5)(batch, 1.0)[1]
    every = clip.encode_text(clip.tokenize(data.vocabulary.texts(candidates.names)), normalize=True)
    image = clip.encode_image(OPENAI_PIXELS.normalise(batch.images), normalize=True)
    distances = torch.cdist(image, every)
    own = distances.gather(1, batch.labels[:, None])
    expected = (own - distances.gather(1, candidates.rows[batch.labels]) + 1.5).clamp_min(0).mean()
    assert losses[3].item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_class_without_related_names_adds_nothing(data, new_clip, batch) -> None:
    """Crops 0 to 2 show one block of each class, and only the class of crop 0 has related names."""
    clip = new_clip()
    related = [["rose", "cherry"], [], []]
    part = Batch(batch.images[:3], batch.labels[:3], slice(0, 3), 3)
    assert part.labels.tolist() == [0, 1, 2]
    objective = text_objective(clip, data, own_candidates(data.vocabulary.base, related))
    _, numbers = objective(part, 1.0)
    _, alone = objective(Batch(part.images[:1], part.labels[:1], slice(0, 1), 1), 1.0)
    assert numbers[3].item() == pytest.approx(alone[3].item() / 3, rel=1e-5)
    assert numbers[4].item() == pytest.approx(1 / 3)


def test_random_negatives_follow_the_generator_and_the_place_in_the_global_batch(
    data, new_clip, negatives, batch
) -> None:
    clip = new_clip()
    candidates = own_candidates(data.vocabulary.base, negatives.related(data.vocabulary))
    objective = text_objective(clip, data, candidates, mining="random")

    def numbers(rows: slice) -> torch.Tensor:
        torch.manual_seed(5)
        return objective(Batch(batch.images[rows], batch.labels[rows], rows, 4), 1.0)[1]

    torch.testing.assert_close(numbers(slice(0, 4)), numbers(slice(0, 2)) + numbers(slice(2, 4)))


def test_a_database_is_asked_for_where_the_rule_needs_one(data, new_clip, config) -> None:
    clip = new_clip()
    with pytest.raises(ConfigError, match="needs related names"):
        find_candidates(clip, data.vocabulary, config, None)
    by_training = dataclasses.replace(config, triplet=TripletConfig(mining="training"))
    assert find_candidates(clip, data.vocabulary, by_training, None).names == data.vocabulary.base
    off = dataclasses.replace(config, triplet=TripletConfig(enabled=False))
    assert find_candidates(clip, data.vocabulary, off, None) is None
    assert find_candidates(clip, data.vocabulary, config, NegativeDatabase({})) is None


def drifting(new_clip):
    """A model whose prompts move its features far."""
    clip = new_clip()
    with torch.no_grad():
        for prompts in clip.prompt_parameters():
            prompts.mul_(20)
    return clip


def test_consistency_adds_how_far_features_are_from_open_clips_own(data, new_clip, batch) -> None:
    clip, texts = drifting(new_clip), data.vocabulary.texts(data.vocabulary.base)
    plain = Objective(clip, texts, ("visual",), ("visual",))(batch, 0.0)[0]
    objective = Objective(clip, texts, ("visual",), ("visual",), consistency=3.0)
    loss, numbers = objective(batch, 0.0)
    pixels = OPENAI_PIXELS.normalise(batch.images)
    frozen = clip.model.encode_image(pixels).detach()
    drift = (1 - nn.CosineSimilarity()(clip.encode_image(pixels), frozen)).mean().item()
    assert drift > 1e-3
    assert loss.item() == pytest.approx(plain.item() + 3 * drift, rel=1e-5)
    assert numbers[-1].item() == pytest.approx(drift, rel=1e-4)
    known = objective(dataclasses.replace(batch, frozen=frozen), 0.0)
    torch.testing.assert_close(known, (loss, numbers))


def test_consistency_of_the_text_stage_holds_the_training_names(data, new_clip, batch) -> None:
    clip, texts = drifting(new_clip), data.vocabulary.texts(data.vocabulary.base)
    plain = Objective(clip, texts, ("text",), ("visual", "text"))(batch, 0.0)[0]
    loss, numbers = Objective(clip, texts, ("text",), ("visual", "text"), consistency=3.0)(batch, 0.0)
    tokens = clip.tokenize(texts)
    drift = (1 - nn.CosineSimilarity()(clip.encode_text(tokens), clip.model.encode_text(tokens))).mean().item()
    assert drift > 1e-3
    assert loss.item() == pytest.approx(plain.item() + 3 * drift, rel=1e-5)
    assert numbers[-1].item() == pytest.approx(drift, rel=1e-4)
