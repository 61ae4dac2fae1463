"""Programs that load weights into a model that they were given."""

from __future__ import annotations

import copy
import io

import open_clip
import pytest
import torch

import opendas_plugin as opendas
from opendas_plugin.errors import AdapterError
from opendas_plugin.model.adapted_clip import OpenDASCLIP


@pytest.fixture(params=["opendas", "opendas_plus"])
def adapter(request, make_adapter):
    return make_adapter(request.param)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def expected(adapter, images):
    return OpenDASCLIP.from_pretrained(adapter).encode_image(images)


@torch.no_grad()
def encode(model, images):
    return model.encode_image(images)


def test_a_model_that_gets_the_backbones_weights_later_is_adapted_then(adapter, weights, tiny_backbone, images) -> None:
    with opendas.switched_on(adapter) as switch:
        model = open_clip.create_model(tiny_backbone)
        assert not switch.switched
        model.load_state_dict(torch.load(weights, weights_only=True))
    torch.testing.assert_close(encode(model, images), expected(adapter, images), atol=1e-5, rtol=0)


def test_weights_that_are_loaded_again_leave_the_adapter_at_work(adapter, weights, tiny_backbone, images) -> None:
    with opendas.switched_on(adapter):
        model = open_clip.create_model(tiny_backbone, str(weights))
    wanted = expected(adapter, images)
    for state in (model.state_dict(), torch.load(weights, weights_only=True)):
        model.load_state_dict(copy.deepcopy(state))
        torch.testing.assert_close(encode(model, images), wanted, atol=1e-5, rtol=0)


def test_other_weights_below_an_adapter_are_refused(adapter, weights, tiny_backbone, caplog) -> None:
    other = open_clip.create_model(tiny_backbone).state_dict()
    with opendas.switched_on(adapter):
        model = open_clip.create_model(tiny_backbone, str(weights))
    with pytest.raises(AdapterError, match=r"has loaded weights \w+ into test-tiny.* learnt on"):
        model.load_state_dict(other)
    with opendas.switched_on(adapter, check="warn"):
        model = open_clip.create_model(tiny_backbone, str(weights))
    model.load_state_dict(other)
    assert "the program has loaded weights" in caplog.text


def test_a_model_with_weights_written_into_it_can_be_copied_and_pickled(
    make_adapter, weights, tiny_backbone, images
) -> None:
    adapter = make_adapter("opendas_plus")
    with opendas.switched_on(adapter):
        model = open_clip.create_model(tiny_backbone, str(weights))
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    read = torch.load(file, weights_only=False)
    read.load_state_dict(open_clip.create_model(tiny_backbone).state_dict())  # in another program: nobody watches
    twin = copy.deepcopy(model)
    twin.load_state_dict(torch.load(weights, weights_only=True))
    torch.testing.assert_close(encode(twin, images), expected(adapter, images), atol=1e-5, rtol=0)
