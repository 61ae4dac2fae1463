"""The offline rehearsal: every step on made-up data and random weights, killed and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opendas_plugin.runs.reproduce.document import Document

ROOT = Path(__file__).parents[3]
STEPS = ["check", "anchor", "rivals", "ade20k", "kitti360", "scannetpp", "hosts"]


def command(output, *more):
    arguments = [*more, "--rehearsal", "--output", str(output), "--yes", "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    call = [sys.executable, str(ROOT / "tools" / "reproduce.py"), *arguments]
    return subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read(output):
    return Document.from_json(json.loads((output / "reproduction.json").read_text()), output)


def figures(document):
    return {
        (step, row.title, row.data, metric): (one.ours, one.low, one.high)
        for step, row in document.rows()
        for metric, one in row.figures.items()
    }


def test_two_steps_run_offline_and_leave_the_page(tmp_path):
    """The quick part: weights, features and names; and plain CLIP under all crops on two datasets at two sizes."""
    for step in ("check", "anchor"):
        process = command(tmp_path, step)
        out, err = process.communicate()
        assert process.returncode == 0, err
    document = read(tmp_path)
    assert [*document.steps] == ["check", "anchor"], "also what an earlier call has done"
    assert len(document.steps["anchor"].results) == 2 * 12 * 2
    assert (tmp_path / "reproduction.md").read_text().strip() == out.strip()
    facts = document.steps["check"].facts["backbones"]
    assert [one["backbone"] for one in facts] == ["tiny-32", "tiny-48"]
    assert all(max(one["differences"].values()) < 1e-5 for one in facts)
    assert {*facts[0]["names"]} == {"ADE20K-150", "KITTI-360", "ScanNet++ Offices", "DTD", "EuroSAT"}


@pytest.mark.slow
def test_all_steps_run_killed_twice_and_gone_on_with(tmp_path):
    """With the figures of a run that nobody disturbed."""
    whole = command(tmp_path / "whole", "all")
    _, err = whole.communicate()
    assert whole.returncode == 0, err
    document = read(tmp_path / "whole")
    assert [*document.steps] == STEPS and not document.left_out

    disturbed = tmp_path / "disturbed"
    for mark in ("rivals/dtd/rows/runs/maple/seed0", "kitti360/rows/runs/opendas/seed0/log.jsonl"):
        process = command(disturbed, "all")
        while not (disturbed / mark).exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept = (disturbed / "anchor" / "step.json").read_bytes()
    last = command(disturbed, "all")
    page, err = last.communicate()
    assert last.returncode == 0, err
    assert (disturbed / "anchor" / "step.json").read_bytes() == kept, "what is done stays"
    assert figures(read(disturbed)) == figures(document)
    assert (disturbed / "reproduction.md").read_text() == page

    rows = {(step, row.title, row.data): row for step, row in document.rows()}
    assert all(row.why_not == "made-up data and random weights" for row in rows.values())
    assert {title for step, title, _ in rows if step == "rivals"} == {"zero_shot", "cocoop", "maple", "promptsrc"}
    assert ("ade20k", "opendas, trained on ADE20K-150", "KITTI-360") in rows
    assert ("hosts", "OpenMask3D + OpenDAS", "ScanNet++ Offices") in rows
    assert rows["ade20k", "opendas", "ADE20K-150"].confusion is not None
    assert "cannot be the paper's exactly: the paper does not name its 14 and 16 offices" in page
    again = command(disturbed, "all")
    assert again.communicate()[0] == page and again.returncode == 0, "a finished one is only shown"
