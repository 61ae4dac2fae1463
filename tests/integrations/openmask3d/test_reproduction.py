"""``opendas-reproduce hosts`` on OpenMask3D: our extractor, and the script of a checkout, give one table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.runs.reproduce import hosts
from opendas_plugin.runs.reproduce.hosts import Hosts
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.runs.reproduce.rehearsal import make_rehearsal
from tests.integrations.openmask3d.conftest import STAND_IN

ROOT = Path(__file__).parents[3]


def reproduced(folder, checkout):
    """The step's rows, on the data of a rehearsal and adapters that no training has made."""
    root, tier, proposals = make_rehearsal(folder / "made")
    place = Place(root, folder / "out", tier, "cpu", hosts=Hosts(proposals=proposals, openmask3d=checkout))
    for method, tokens in (("zero_shot", 0), ("opendas", 2)):
        prompts = PromptConfig(visual_tokens=tokens, text_tokens=tokens)
        clip = OpenDASCLIP.from_backbone(*tier.anchors[0], prompts=prompts)
        clip.save_pretrained(hosts.adapter_of(place, "scannetpp", method))
    return hosts.run(place), place


@pytest.mark.slow
def test_the_script_of_a_checkout_gives_what_our_extractor_gives(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(STAND_IN / "packages")]))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    ours, place = reproduced(tmp_path / "ours", None)
    theirs, other = reproduced(tmp_path / "theirs", STAND_IN / "checkout")
    for one, two in zip(ours.results, theirs.results, strict=True):
        assert (one.title, one.figures) == (two.title, two.figures)
    for part in ("plain", "adapted"):
        name = f"hosts/openmask3d/features-{part}/b0_openmask3d_features.npy"
        features = [np.load(folder.output / name) for folder in (place, other)]
        assert features[0].any() and features[0] == pytest.approx(features[1], abs=1e-6)
    assert "OpenMask3D's own script" in theirs.notes[0] or "OpenMask3D's own script" in theirs.notes[-1]
    assert [row.title for row in ours.results] == ["OpenMask3D", "OpenMask3D + OpenDAS"]
    assert all("boxes stand in for SAM" in row.why_not or row.why_not for row in ours.results)
