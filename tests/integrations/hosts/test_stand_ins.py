"""Programs that ask for their CLIPs as LangSplat and ConceptGraphs do, by a tag, below the switch."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import huggingface_hub.constants as hub
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

import opendas_plugin as opendas
from opendas_plugin import methods
from opendas_plugin.errors import AdapterError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from tests.conftest import TINY
from tests.integrations.hosts.world import HUBS, differences, hub_file

HOSTS = Path(__file__).parents[2] / "hosts"
PROGRAMS = {
    "langsplat/preprocess.py": ("ViT-B-16", 1e-3),  # in half precision, whose step at a value of 0.5 is 5e-4
    "conceptgraphs/streamlined_detections.py": ("ViT-H-14", 1e-6),
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Tiny CLIPs in the place of the two that are asked for, in a hub cache under the tags' ids."""
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    for seed, name in enumerate(HUBS):
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, TINY)
        torch.manual_seed(seed)
        save_file(open_clip.create_model(name).state_dict(), hub_file(tmp_path / "hub", name))
    return tmp_path


def make_adapter(method: str, name: str, folder: Path) -> Path:
    found = methods.get(method)
    clip = OpenDASCLIP.from_backbone(name, hub_file(folder / "hub", name), prompts=found.prompts, weights=found.weights)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    clip.save_pretrained(folder / f"{method}-{name}", method=method)
    return folder / f"{method}-{name}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_programs_features_are_the_adapters_and_plain_ones_with_nothing_at_work(
    program, folder, monkeypatch, caplog
) -> None:
    name, tolerance = PROGRAMS[program]

    def run(adapter=None, **options):
        monkeypatch.setattr(sys, "argv", [program, str(folder / "features.npz")])
        if adapter is None:
            runpy.run_path(str(HOSTS / program), run_name="__main__")
        else:
            with opendas.switched_on(adapter, **options):
                runpy.run_path(str(HOSTS / program), run_name="__main__")
        return dict(np.load(folder / "features.npz").items())

    plain = run()
    for method in ("opendas", "opendas_plus"):
        adapter = make_adapter(method, name, folder)
        assert max(differences(run(adapter, identity=True), plain).values()) < tolerance
        assert min(differences(run(adapter), plain).values()) > 20 * tolerance
    (other,) = set(HUBS) - {name}
    with pytest.raises(AdapterError, match=f"had no effect: it was learnt on {other}"):
        run(make_adapter("opendas", other, folder))
    assert f"{name}/laion2b" in caplog.text and "it stays as it is" in caplog.text
