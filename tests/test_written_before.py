"""What earlier versions wrote still loads and gives the same scores; the tower that was ``office-tiny`` has a new name.

``fixtures/written_before`` was made by version 0.1.0: a domain prepared from folders, an adapter of each format, and
what that version said of the validation segments.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from opendas_plugin import Labeller, OpenDASCLIP, evaluate
from opendas_plugin.data.domain import load_domain

FOLDER = Path(__file__).parent / "fixtures" / "written_before"
TOWER = "office-tiny-v1"


@pytest.mark.parametrize("method", ["opendas", "opendas_plus"])
def test_an_adapter_and_a_domain_give_the_same_scores_and_cosines(method, tmp_path):
    expected = json.loads((FOLDER / f"{method}.json").read_text())
    summary = evaluate(FOLDER / "domain", tmp_path, adapter=str(FOLDER / method), pretrained=TOWER, device="cpu")
    assert {key: summary[key] for key in expected["summary"]} == pytest.approx(expected["summary"])
    domain = load_domain(FOLDER / "domain")
    clip = OpenDASCLIP.from_pretrained(FOLDER / method, pretrained=TOWER)
    labeller = Labeller(clip, domain.vocabulary, device="cpu")
    cosines = torch.cat([found for _, found in labeller.segments(domain.val)])
    torch.testing.assert_close(cosines, torch.tensor(expected["cosines"]), atol=2e-5, rtol=0)
