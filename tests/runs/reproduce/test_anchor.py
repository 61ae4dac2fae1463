"""``opendas-reproduce anchor`` on data that are made so that one crop policy reads all of them right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.reproduce import main
from opendas_plugin.crops import CropPolicy
from opendas_plugin.labeller import Labeller
from opendas_plugin.readers.ade20k import NAMES
from opendas_plugin.runs.reproduce.published import PLAIN, Published
from opendas_plugin.runs.reproduce.tiers import TIERS, Tier

RIGHT = CropPolicy("mean", 0.1, "center")
WEIGHTS = ("office-tiny", None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """ADE20K's layout, whose labels are what the tiny CLIP reads under one policy, so that it scores 100 there."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labeller = Labeller("office-tiny", NAMES, crops=RIGHT, workers=0, device="cpu")
    folder = root / "ADEChallengeData2016"
    for split, short, count in (("training", "train", 2), ("validation", "val", 30)):
        for kind in ("images", "annotations"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            stem = f"ADE_{short}_{number + 1:08d}"
            pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
            mask = np.zeros((96, 128), bool)
            top, left = rng.integers(8, 30), rng.integers(8, 40)
            mask[top : top + rng.integers(20, 60), left : left + rng.integers(20, 80)] = True
            pixels[mask] = rng.integers(0, 256, 3)
            Image.fromarray(pixels).save(folder / "images" / split / f"{stem}.jpg", quality=95)
            name = labeller(folder / "images" / split / f"{stem}.jpg", mask[None]).names[0]
            Image.fromarray(mask * np.uint8(NAMES.index(name) + 1)).save(folder / "annotations" / split / f"{stem}.png")
    return root


@pytest.fixture
def anchor(data, tmp_path, monkeypatch, capsys):
    """Runs the step against figures that stand in for the paper's; returns what it took, what it printed, and rows."""
    monkeypatch.setitem(TIERS, "quick", Tier("quick", anchors=(WEIGHTS,), trained=WEIGHTS, rivals=WEIGHTS))

    def call(figure):
        published = {metric: Published(figure, "a test") for metric in ("acc", "w_f1")}
        monkeypatch.setitem(PLAIN, "ade20k", published)
        assert main(["anchor", "--data", str(data), "--output", str(tmp_path), "--yes", "--device", "cpu"]) == 0
        done = json.loads((tmp_path / "anchor" / "step.json").read_text())["done"]
        return done["facts"], capsys.readouterr().out, done["results"]

    return call


def test_the_policy_that_is_right_is_found(anchor, tmp_path):
    facts, page, rows = anchor(100.0)
    assert facts["crops"] == {"background": "mean", "expand": 0.1, "resize": "center"} and facts["fits"]
    accs = {row["about"]["crops"]: row["figures"]["acc"]["ours"] for row in rows}
    assert len(accs) == 12 and accs[str(RIGHT)] == 100.0
    assert all(acc <= 97 for crops, acc in accs.items() if crops != str(RIGHT)), "it is the only one that fits"
    assert f"The crops {RIGHT} on office-tiny give plain CLIP the paper's figures on ADE20K-150" in page
    packed = [row["confusion"] for row in rows if "confusion" in row]
    assert len(packed) == 1 and len(packed[0]["names"]) == 150, "of the one that was taken"
    before = (tmp_path / "anchor" / "step.json").read_bytes()
    anchor(100.0)
    assert (tmp_path / "anchor" / "step.json").read_bytes() == before, "it is not done again"


def test_where_none_fits_it_says_so_and_takes_the_nearest(anchor):
    facts, page, rows = anchor(-20.0)
    worst = {
        row["about"]["crops"]: max(
            abs(one["difference"]) for one in row["figures"].values() if one["paper"] is not None
        )
        for row in rows
    }
    nearest = min(worst, key=worst.get)
    assert not facts["fits"] and facts["distance"] == pytest.approx(worst[nearest], abs=1e-3) and worst[nearest] > 2
    assert " ".join(map(str, facts["crops"].values())) in (nearest, nearest.replace(" 0 ", " 0.0 "))
    assert "No crop policy gives plain CLIP the paper's figures on ADE20K-150 to 2 points" in page
