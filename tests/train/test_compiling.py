"""``compile`` runs the image tower by torch.compile: the same losses and learnt values but for rounding."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil

import pytest
import torch
from torch._dynamo.utils import counters

from opendas_plugin.errors import TrainingError
from opendas_plugin.train.run import train
from tests.train.test_methods import build, recipe


def learn(method, data, negatives, backbone, folder, **fields):
    """What a run learns, and the losses of its steps."""
    config = recipe(folder, method, backbone, batch_size=4, **fields)
    clip = build(config)
    train(clip, data, config, folder / "run", negatives=negatives)
    lines = (folder / "run" / "log.jsonl").read_text().splitlines()
    return clip.learnt_state(), [json.loads(line)["loss"] for line in lines]


def require_close(one, other, within):
    """Losses by their ratio, learnt values by how far they are apart."""
    (learnt, losses), (again, others) = one, other
    assert losses == pytest.approx(others, rel=within) and len(losses) > 1
    assert max(float((value - again[name]).abs().max()) for name, value in learnt.items()) < within


@pytest.mark.parametrize(
    ("method", "fields"),
    [("opendas", {}), ("opendas", {"grad_checkpointing": True}), ("opendas_plus", {}), ("opendas_plus_mlmp", {})],
)
def test_the_traced_tower_learns_the_same(method, fields, data, negatives, tiny_backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    plain = learn(method, data, negatives, tiny_backbone, tmp_path / "plain")
    counters.clear()
    found = learn(method, data, negatives, tiny_backbone, tmp_path / "compiled", compile=True, **fields)
    assert counters["frames"]["ok"] > 0
    require_close(found, plain, 1e-6)


def test_a_method_of_texts_compiles_nothing_and_says_so(data, negatives, tiny_backbone, tmp_path, caplog):
    counters.clear()
    learn("cocoop", data, negatives, tiny_backbone, tmp_path, compile=True)
    assert not counters["frames"]
    assert "compile changes nothing: cocoop does not learn in the image tower" in caplog.text


@pytest.mark.slow  # half a minute of compiling
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling takes a C++ compiler")
def test_compiled_code_learns_the_same_twice(data, negatives, tiny_backbone, tmp_path):
    plain = learn("opendas", data, negatives, tiny_backbone, tmp_path / "plain")
    one, two = (
        learn("opendas", data, negatives, tiny_backbone, tmp_path / name, compile=True) for name in ("one", "two")
    )
    require_close(one, plain, 1e-4)
    assert one[1] == two[1]
    assert all(torch.equal(value, two[0][name]) for name, value in one[0].items())


def test_where_nothing_can_be_compiled_it_says_what_to_do(data, negatives, tiny_backbone, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no working C++ compiler")

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=fails))
    with pytest.raises(TrainingError, match=r"no working C\+\+ compiler.*leave `compile` out"):
        learn("opendas", data, negatives, tiny_backbone, tmp_path, compile=True)


def test_a_run_goes_on_only_as_it_was_begun(data, negatives, tiny_backbone, tmp_path):
    config = dataclasses.replace(recipe(tmp_path, "vpt", tiny_backbone, batch_size=4), compile=False)
    train(build(config), data, config, tmp_path / "run", negatives=negatives)
    other = dataclasses.replace(config, compile=True)
    with pytest.raises(Exception, match="compile = None, now it is True"):
        train(build(other), data, other, tmp_path / "run", negatives=negatives, resume=True)
