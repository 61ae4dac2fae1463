"""A run that goes on from an adapter, broken off in the middle and resumed, ends where one left alone does."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

import opendas_plugin as opendas
from opendas_plugin.train import loggers

SHORT = {
    "pretrained": "random",
    "device": "cpu",
    "recipe": "paper",
    "batch_size": 4,
    "workers": 0,
    "checkpoint_every": 1,
    "augmentation": {"kind": "none"},
    "optimiser": {"lr": 0.1, "warmup_epochs": 0},
}
RESULTS = ("adapter/adapter.safetensors", "adapter/adapter_config.json", "log.jsonl")


@pytest.mark.parametrize(("method", "short"), [("mmlop", {"joint": {"epochs": 1}}), ("mlmp", {})])
def test_a_run_from_an_adapter_that_was_broken_off_goes_on_to_the_same_bits(
    method, short, domain, tiny_backbone, tmp_path, monkeypatch
):
    def adapt(name: str, **settings) -> None:
        opendas.adapt(domain, tmp_path / name, method=method, backbone=tiny_backbone, **SHORT, **short, **settings)

    adapt("first")
    start, add, steps = tmp_path / "first" / "adapter", loggers.StepLog.add, []
    adapt("whole", start=str(start), seed=1)

    def break_off(self, line, *rest) -> None:
        add(self, line, *rest)
        steps.append(line)
        if len(steps) == 2:
            raise RuntimeError("broken off")

    with monkeypatch.context() as patch:
        patch.setattr(loggers.StepLog, "add", break_off)
        with pytest.raises(RuntimeError, match="broken off"):
            adapt("broken", start=str(start), seed=1)
    assert len((tmp_path / "whole" / "log.jsonl").read_text().splitlines()) > 2  # it was in the middle
    adapt("broken", start=str(start), seed=1, resume=True)
    whole, broken = ({file: (tmp_path / run / file).read_bytes() for file in RESULTS} for run in ("whole", "broken"))
    assert whole == broken
    before, after = (load_file(tmp_path / run / "adapter" / "adapter.safetensors") for run in ("first", "whole"))
    assert before.keys() == after.keys() and not any(before[key].equal(after[key]) for key in before)
