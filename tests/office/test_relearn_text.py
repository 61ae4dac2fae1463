"""A new text tower for a finished image tower: what a step shows it, and that the images stay as they are."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import scipy
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own convention)

from opendas_plugin.crops import OPENAI_PIXELS
from opendas_plugin.model.checkpoint import build_backbone
from opendas_plugin.office import views
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.relearn_text import Relearning, Student, fitted_scale, relearn
from opendas_plugin.office.sentences import Sentences, columns_of, withheld_pairs
from opendas_plugin.office.web import COLOURS

SETTINGS = Relearning(steps=2, pictures=16)


@pytest.fixture(scope="module")
def tower():
    return build_backbone("office-tiny")[0]


@pytest.fixture(scope="module")
def sentences():
    return Sentences("first")


@pytest.fixture(scope="module")
def colours():
    return np.random.default_rng(0).integers(0, 4, (len(NAMES), 6))


def learnt(tower, sentences, colours, seen, settings=SETTINGS):
    """A student after two steps; pictures of withheld pairs have states that are no numbers."""
    withheld = withheld_pairs(colours, 0.5)
    hidden = torch.from_numpy(np.take_along_axis(withheld, colours, axis=1))
    student = Student(tower, sentences, settings)
    list(relearn(student, sentences, seen.masked_fill(hidden[..., None], torch.nan), colours, withheld, settings))
    return student


@pytest.fixture(scope="module")
def seen():
    return torch.randn(2, len(NAMES), 6, 192, generator=torch.Generator().manual_seed(1))


def test_states_are_those_of_the_tower_with_every_pixel_doubled(tower):
    images = np.random.default_rng(0).integers(0, 256, (1, 2, 112, 112, 3), dtype=np.uint8)
    doubled = images[0].repeat(2, axis=1).repeat(2, axis=2)
    with torch.no_grad():
        expected = tower.encode_image(OPENAI_PIXELS.normalise(torch.from_numpy(doubled)))
        found = views.states(tower, images, 0.0, 0)[0] @ tower.visual.proj
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_states_are_kept_for_every_view_and_made_once(tower, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (1, 2, 112, 112, 3), dtype=np.uint8)
    first = views.kept_states(tmp_path, tower, images, (0.0, 1.0), 0)
    assert first.shape == (2, 1, 2, 192)
    assert not torch.equal(first[0], first[1])
    torch.testing.assert_close(first[0], views.states(tower, images, 0.0, 0), rtol=1e-3, atol=2e-3)  # half precision
    monkeypatch.setattr(views, "states", None)
    torch.testing.assert_close(views.kept_states(tmp_path, tower, images, (0.0, 1.0), 0), first, rtol=0, atol=0)


def test_withheld_pairs_occur_and_are_no_names_commonest_colour(colours):
    withheld = withheld_pairs(colours, 0.5)
    counts = np.stack([np.bincount(row, minlength=len(COLOURS)) for row in colours])
    assert (counts[withheld] > 0).all()
    assert not withheld[np.arange(len(NAMES)), counts.argmax(axis=1)].any()
    assert 0.3 < withheld.sum() / ((counts > 0).sum() - len(NAMES)) < 0.7
    assert not withheld_pairs(colours, 0.0).any()


def test_captions_of_a_batch_are_unique_and_never_of_a_withheld_pair(colours):
    withheld = torch.from_numpy(withheld_pairs(colours, 0.5))
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(len(NAMES), (64,), generator=generator)
    words = torch.tensor([next(c for c in range(len(COLOURS)) if not withheld[name, c]) for name in targets])
    columns, places = columns_of(targets, words, withheld, 3, generator)
    assert len(columns.unique()) == len(columns)
    assert not withheld.reshape(-1)[columns].any()
    torch.testing.assert_close(columns[places], targets * len(COLOURS) + words)
    own = (targets * len(COLOURS) + words).unique()
    assert len(own) < len(columns) <= 4 * len(own)
    assert set((columns // len(COLOURS)).tolist()) == set(targets.tolist())  # wrong colours of the same names


@pytest.mark.parametrize("scheme", ["first", "last"])
def test_captions_tell_the_colour_and_the_name_of_their_pair(scheme):
    sentences, tokenizer = Sentences(scheme), open_clip.SimpleTokenizer()
    pair = NAMES.index("door frame") * len(COLOURS) + list(COLOURS).index("red")
    for seed in range(8):
        drawn = sentences.draw(torch.tensor([pair]), torch.Generator().manual_seed(seed))
        ids = sentences.tokens[drawn[len(NAMES)]]
        text = tokenizer.decode(ids[1 : int(ids.argmax())].tolist())
        assert "red" in text
        assert "door frame" in text
        assert drawn.shape == (len(NAMES) + 1 + len(COLOURS), sentences.length)
        last = tokenizer.decode(sentences.tokens[drawn[-1]].tolist())
        assert "a photo of something pink" in last


@pytest.mark.parametrize(("head_rate", "learnt_too"), [(0.0, set()), (1e-3, {"proj"})])
def test_the_images_stay_bit_equal_but_for_the_last_matrix(tower, sentences, colours, seen, head_rate, learnt_too):
    student = learnt(tower, sentences, colours, seen, Relearning(steps=2, pictures=16, head_rate=head_rate))
    full = student.full(tower)
    now = full.visual.state_dict()
    assert {key for key, value in tower.visual.state_dict().items() if not torch.equal(now[key], value)} == learnt_too
    tokens = open_clip.SimpleTokenizer()([f"a photo of a {name}." for name in NAMES])
    with torch.no_grad():
        short = student.text.encode_text(sentences.plain[:, 0])
        assert F.cosine_similarity(full.encode_text(tokens), short).min() > 0.9999  # half precision
    assert torch.isfinite(short).all()  # so no picture of a withheld pair was shown


def test_a_seed_gives_the_same_tower_and_another_one_another(tower, sentences, colours, seen):
    one, two, other = (
        learnt(tower, sentences, colours, seen, Relearning(steps=2, pictures=16, seed=seed)).text.text_projection
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_the_fitted_scale_is_that_of_the_best_of_scipys_search():
    generator = torch.Generator().manual_seed(0)
    texts = F.normalize(torch.randn(5, 8, generator=generator), dim=-1)
    targets = torch.arange(200) % 5
    images = texts[targets] + 0.6 * torch.randn(200, 8, generator=generator)
    cosines = (F.normalize(images, dim=-1) @ texts.T).numpy()

    def entropy(scale):
        return -scipy.special.log_softmax(scale * cosines, axis=1)[np.arange(200), targets.numpy()].mean()

    best = scipy.optimize.minimize_scalar(entropy, bounds=(1, 100), method="bounded").x
    assert 2 < best < 50
    assert abs(fitted_scale(images, texts, targets) - best) <= 1
