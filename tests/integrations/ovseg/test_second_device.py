"""OVSeg's stand-in, patched, on a pretended second device: the CPU's scores."""

from __future__ import annotations

import copy

import pytest
import torch

from integrations.ovseg import patch
from tests.integrations.ovseg.conftest import WEIGHTS, build, make_inputs, save, segment
from tests.pretend import KIND, pretend

KINDS = ("opendas", *WEIGHTS, "maple")


@pytest.mark.slow
@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("kind", ["OVSeg", "OVSegDEMO"])
def test_a_patched_model_segments_there(host, clip_file, tmp_path, method, kind):
    if not hasattr(host.models, kind):
        pytest.skip(f"the stand-in has no {kind}")
    adapter = save(tmp_path / method, clip_file, method)
    inputs = make_inputs(empty=(3,) if kind == "OVSeg" else ())  # on which the plain demo breaks off
    model = build(host, clip_file, kind)
    with patch(model, adapter):
        here = segment(model, copy.deepcopy(inputs))
    with pretend() as device:
        moved = {name: value.to(device) if torch.is_tensor(value) else value for name, value in inputs.items()}
        model = build(host, clip_file, kind).to(device)
        plain = segment(model, moved)
        with patch(model, adapter):
            there = segment(model, moved)
        assert there.device.type == KIND
        assert torch.equal(segment(model, moved).cpu(), plain.cpu())
        torch.testing.assert_close(there.cpu(), here, atol=1e-4, rtol=1e-4)
