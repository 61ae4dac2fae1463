"""Schedules against values worked by hand and against Dassl's rule in torch."""

from __future__ import annotations

import pytest
import torch

from opendas_plugin.train.schedules import learning_rate, triplet_weight


def test_the_papers_five_epochs() -> None:
    rates = [learning_rate(epoch, epochs=5, base=0.0025, warmup=1e-5, warmup_epochs=1) for epoch in range(5)]
    assert rates[:2] == [1e-5, 0.0025]
    assert [round(rate, 6) for rate in rates] == [1e-5, 2.5e-3, 2.261e-3, 1.636e-3, 8.64e-4]


@pytest.mark.parametrize("epochs", [2, 5, 10, 20])
def test_cosine_equals_torch_restarted_after_the_warm_up(epochs: int) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.0035)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
    expected = []
    for _ in range(epochs - 1):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        cosine.step()
    after = range(1, epochs)
    rates = [learning_rate(epoch, epochs=epochs, base=0.0035, warmup=1e-5, warmup_epochs=1) for epoch in after]
    assert rates == pytest.approx(expected, rel=1e-12)


def test_constant_rate_and_no_warm_up() -> None:
    assert learning_rate(4, epochs=5, base=0.1, warmup=1e-5, warmup_epochs=1, schedule="constant") == 0.1
    assert learning_rate(0, epochs=5, base=0.1, warmup=1e-5, warmup_epochs=0) == 0.1


def test_triplet_weight_grows_from_2_to_5() -> None:
    by_step = [triplet_weight(step, steps_per_epoch=2, epochs=2, start=2, end=5) for step in range(4)]
    assert by_step == [2, 3, 4, 5]
    stage = {"steps_per_epoch": 3, "epochs": 5, "start": 2, "end": 5}
    assert [triplet_weight(step, **stage, schedule="epoch") for step in range(0, 15, 3)] == [2, 2.75, 3.5, 4.25, 5]
    assert triplet_weight(8, **stage, schedule="epoch") == 3.5
    assert triplet_weight(14, **stage, schedule="constant") == 2
    assert triplet_weight(0, steps_per_epoch=1, epochs=1, start=2, end=5) == 2
