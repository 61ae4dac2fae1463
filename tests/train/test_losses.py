"""Losses against values worked by hand and against torch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from opendas_plugin.train.losses import class_logits, distance, triplet


def features(seed: int, count: int = 6, width: int = 16) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_logits_are_the_scale_times_the_cosine() -> None:
    image, text = torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0], [0.0, -1.0]])
    assert class_logits(image, text, torch.tensor(10.0)) == pytest.approx(torch.tensor([[6.0, -8.0]]))


def test_distances_by_hand() -> None:
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    assert distance(a, b, "euclidean", normalize=False).item() == pytest.approx(5.0)
    assert distance(a, b, "squared", normalize=False).item() == pytest.approx(25.0)
    assert distance(a, b, "euclidean").item() == pytest.approx(2**0.5)
    assert distance(a, b, "squared").item() == pytest.approx(2.0)
    assert distance(a, b, "cosine").item() == distance(a, b, "cosine", normalize=False).item() == 1.0


@given(seed=st.integers(0, 999), margin=st.floats(0.01, 3), normalize=st.booleans())
def test_triplet_equals_torch(seed: int, margin: float, normalize: bool) -> None:
    anchor, positive, negative = features(seed), features(seed + 1000), features(seed + 2000)
    ours = triplet(
        distance(anchor, positive, "euclidean", normalize), distance(anchor, negative, "euclidean", normalize), margin
    ).mean()
    given_to_torch = [nn.functional.normalize(x, dim=-1) if normalize else x for x in (anchor, positive, negative)]
    expected = nn.TripletMarginLoss(margin=margin, p=2)(*given_to_torch)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)


@given(seed=st.integers(0, 999))
def test_on_the_unit_sphere_squared_and_cosine_are_functions_of_each_other(seed: int) -> None:
    a, b = features(seed), features(seed + 1000)
    assert torch.allclose(distance(a, b, "squared"), 2 * distance(a, b, "cosine"), atol=1e-5)


def test_the_papers_margin_is_always_active_on_unit_features() -> None:
    """A cosine of 0.9 to the own name and of -0.1 to the other is far apart for CLIP, and still within the margin."""
    near, far = (2 - 2 * 0.9) ** 0.5, (2 + 2 * 0.1) ** 0.5
    assert triplet(torch.tensor(near), torch.tensor(far), 1.5).item() == pytest.approx(near - far + 1.5)
    assert triplet(torch.tensor(0.1), torch.tensor(0.3), 0.1).item() == 0


def test_equal_features_have_finite_gradients() -> None:
    a = torch.ones(4, requires_grad=True)
    distance(a, torch.ones(4)).backward()
    assert a.grad is not None and a.grad.isfinite().all()
