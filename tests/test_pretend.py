"""The device that is pretended: it computes as the CPU does, and refuses and takes what CUDA does."""

from __future__ import annotations

import pytest
import torch

from tests.pretend import KIND, pretend


@pytest.fixture
def device():
    with pretend() as found:
        yield found


def test_it_computes_what_the_cpu_does(device):
    a, b = torch.randn(5, 4), torch.randn(4, 3)
    found = a.to(device) @ b.to(device)
    assert found.device.type == KIND and torch.equal(found.cpu(), a @ b)
    there = a.to(device).requires_grad_()
    torch.nn.functional.cross_entropy(there, torch.arange(4, device=device).repeat(2)[:5]).backward()
    here = a.clone().requires_grad_()
    torch.nn.functional.cross_entropy(here, torch.arange(4).repeat(2)[:5]).backward()
    assert torch.equal(there.grad.cpu(), here.grad)


@pytest.mark.parametrize(
    "mix",
    [
        lambda a, b: a + b,
        lambda a, b: torch.cat([a, b]),
        lambda a, b: a @ b.T,
        lambda a, b: torch.stack([a[0, 0], b[0, 0]]),
        lambda a, b: b.add_(a),
        lambda a, b: b[0, 0].add_(a[0, 0]),
        lambda a, b: a.gather(0, b.long()),
        lambda a, b: b[a.long()],
        lambda a, b: torch.nn.functional.linear(b, a),
        lambda a, b: torch.rand(2, device=a.device, generator=torch.Generator()),
        lambda a, b: a.numpy(),
    ],
)
def test_it_refuses_what_cuda_refuses(device, mix):
    with pytest.raises((RuntimeError, TypeError)):
        mix(torch.ones(2, 2, device=device), torch.ones(2, 2))


def test_it_takes_what_cuda_takes(device):
    a = torch.arange(6.0, device=device).reshape(2, 3)
    assert torch.equal((a * torch.tensor(2.0)).cpu(), 2 * a.cpu())
    assert torch.equal(a[torch.tensor([1, 0])].cpu(), a.cpu()[[1, 0]])
    a[torch.tensor([0])] = torch.zeros(1, 3, device=device)
    assert a.sum().item() == 12 and a.tolist()[0] == [0, 0, 0]
