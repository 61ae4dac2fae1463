"""opendas-evaluate office-gates: a tower that misses a gate fails the build by the gate's name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from opendas_plugin.commands import evaluate
from opendas_plugin.office import corpus, gates
from opendas_plugin.office.gates import Gate
from opendas_plugin.runs.classification import evaluate_classification
from tests.reports.reading import read_page


@pytest.fixture
def command(domain, tmp_path, monkeypatch):
    """Runs the command with no pictures, and with the office's W-F1 and a made-up figure as gates."""

    def run(value):
        def measure(clip, images, colours, withheld, office_w_f1):
            return [Gate("made up", value, below=0.95), Gate("office", office_w_f1)]

        colours = np.zeros((2, 3), dtype=np.int64)
        monkeypatch.setattr(corpus, "pictures", lambda *_: (np.zeros(0), colours))
        monkeypatch.setattr(gates, "measure", measure)
        output = tmp_path / "gates"
        flags = ["--data", str(domain), "--cache", str(tmp_path), "--output", str(output)]
        code = evaluate.main(["office-gates", *flags])
        return code, json.loads((output / "gates.json").read_text())["gates"]

    return run


def test_a_gate_that_is_missed_fails_by_name_and_the_figures_are_kept(command, tmp_path, capsys):
    code, gates = command(0.97)
    assert code == 1
    assert "error: the tower misses 1 of 2 gates: made up: 0.970, to be below 0.95: MISSED" in capsys.readouterr().err
    assert [(gate["name"], gate["holds"]) for gate in gates] == [("made up", False), ("office", True)]
    assert gates[0]["below"] == 0.95
    assert "above" not in gates[0]  # no bound, which JSON could not hold
    page = read_page(tmp_path / "gates" / "report.html").text
    assert "1 of 2 gates is missed: made up." in page and "made up 0.970, missed below 0.95" in page


def test_a_gate_of_which_nothing_is_known_is_said_so(command, tmp_path):
    assert command(float("nan"))[0] == 1
    assert "made up not known, missed below 0.95" in read_page(tmp_path / "gates" / "report.html").text


def test_the_office_gate_is_the_zero_shot_w_f1_of_the_offices_crops(command, domain, tmp_path, capsys):
    code, gates = command(0.5)
    assert code == 0
    assert "all 2 gates hold" in capsys.readouterr().out
    crops = {"background": "mean", "expand": 0.3, "resize": "center"}
    summary = evaluate_classification(domain, tmp_path / "classification", **crops)
    assert gates[1]["value"] == pytest.approx(summary["w_f1"])
