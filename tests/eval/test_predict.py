"""Predictions against open_clip's own towers, one segment at a time."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from opendas_plugin.crops import OPENAI_PIXELS, CropPolicy, crop
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.errors import DataError
from opendas_plugin.eval.predict import predict
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.vocabulary import Vocabulary

POLICY = CropPolicy(size=32)


@pytest.fixture(scope="module")
def clip(tiny_backbone):
    return OpenDASCLIP.from_backbone(tiny_backbone, seed=1)


@pytest.fixture(scope="module")
def blocks(domain):
    return load_domain(domain)


@pytest.fixture(scope="module")
def text_features(clip, blocks):
    texts = [f"a photo of a {name}." for name in blocks.vocabulary.names]
    with torch.no_grad():
        return clip.model.encode_text(clip.tokenizer(texts), normalize=True)


def test_every_segment_gets_the_name_with_the_highest_cosine(clip, blocks, text_features):
    names, novel = blocks.vocabulary.names, blocks.vocabulary.novel
    result = predict(Labeller(clip, blocks.vocabulary, crops=POLICY, batch_size=4), blocks.val, blocks.vocabulary)
    for number, segment in enumerate(blocks.val):
        cut = crop(np.asarray(Image.open(segment.image)), segment.mask(), POLICY)
        pixels = OPENAI_PIXELS.normalise(torch.from_numpy(cut)[None])
        with torch.no_grad():
            cosines = (text_features @ clip.model.encode_image(pixels, normalize=True)[0]).tolist()
        assert names[result.labels[number]] == segment.label
        assert result.predictions[number] == np.argmax(cosines)
        best_novel = max(cosines[names.index(name)] for name in novel)
        assert result.novel_predictions[number] == cosines.index(best_novel)
        best_base = max(cosines[names.index(name)] for name in blocks.vocabulary.base)
        assert result.base_predictions[number] == cosines.index(best_base)
        odds = np.exp(float(clip.logit_scale.exp()) * (np.array(cosines) - best_base))
        assert result.base_scores[number] == pytest.approx(-np.log(odds.sum() - 1), abs=2e-3)
        own = best_novel if segment.label in novel else best_base
        assert result.own_kind(blocks.vocabulary)[number] == cosines.index(own)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (7, 2), (1000, 1)])
def test_batches_and_threads_change_nothing(clip, blocks, batch_size, workers):
    expected = predict(Labeller(clip, blocks.vocabulary, crops=POLICY, batch_size=4), blocks.val, blocks.vocabulary)
    result = predict(
        Labeller(clip, blocks.vocabulary, crops=POLICY, batch_size=batch_size, workers=workers),
        blocks.val,
        blocks.vocabulary,
    )
    assert result.predictions.tolist() == expected.predictions.tolist()


def test_without_novel_names_nothing_is_predicted_among_them(clip, blocks):
    vocabulary = dataclasses.replace(blocks.vocabulary, novel=())
    assert set(
        predict(Labeller(clip, vocabulary, crops=POLICY), blocks.val, vocabulary).novel_predictions.tolist()
    ) == {-1}


def test_segments_that_cannot_be_scored_are_refused(clip, blocks):
    with pytest.raises(DataError, match="got none"):
        predict(Labeller(clip, blocks.vocabulary, crops=POLICY), [], blocks.vocabulary)
    odd = dataclasses.replace(blocks.val[0], label="spaceship")
    with pytest.raises(DataError, match="spaceship"):
        predict(Labeller(clip, blocks.vocabulary, crops=POLICY), [odd], blocks.vocabulary)


def test_an_ensemble_is_the_mean_over_clips_own_templates(clip, blocks):
    names = blocks.vocabulary.names
    with torch.no_grad():
        features = [
            clip.model.encode_text(clip.tokenizer([template(name) for name in names]), normalize=True)
            for template in open_clip.OPENAI_IMAGENET_TEMPLATES
        ]
    mean = torch.stack(features).mean(0)
    mean = mean / mean.norm(dim=-1, keepdim=True)
    labeller = Labeller(clip, blocks.vocabulary, crops=POLICY, ensemble=True)
    found = torch.cat([scores for _, scores in labeller.segments(blocks.val)])
    crops = torch.stack(
        [torch.from_numpy(SegmentCrops(blocks.val, POLICY).crop(i).copy()) for i in range(len(blocks.val))]
    )
    with torch.no_grad():
        expected = clip.model.encode_image(OPENAI_PIXELS.normalise(crops), normalize=True) @ mean.T
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_names_that_the_backbone_cannot_tell_apart_are_said(blocks, caplog):
    clip = OpenDASCLIP.from_backbone("office-tiny-v1")
    segments = [dataclasses.replace(blocks.val[0], label="wall")]
    for names, others in ((("picture frame",), ""), (("door jamb", "picture frame"), r" \(and 2 more pairs\)")):
        caplog.clear()
        vocabulary = Vocabulary(("door", "wall", "door frame", *names))
        predict(Labeller(clip, vocabulary), segments, vocabulary)
        said = [message for message in caplog.messages if "text feature" in message]
        assert len(said) == 1
        assert re.match(f"'door' and 'door frame'{others} have the same text feature", said[0])
