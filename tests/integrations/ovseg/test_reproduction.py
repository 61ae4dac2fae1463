"""``opendas-reproduce hosts`` drives OVSeg's plug-in by its command, on the stand-in's evaluation."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.errors import ConfigError, MissingFileError
from opendas_plugin.runs.reproduce import hosts
from opendas_plugin.runs.reproduce.hosts import Hosts
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.runs.reproduce.tiers import TIERS
from tests.integrations.ovseg.conftest import CHECKOUT, STAND_IN

ROOT = Path(__file__).parents[3]


@pytest.fixture
def place(tmp_path, adapter, clip_file, monkeypatch):
    """A reproduction whose step ade20k has left an adapter, and a small ADE20K."""
    rng = np.random.default_rng(0)
    for kind, suffix, shape, high in (
        ("images", "jpg", (40, 48, 3), 256),
        ("annotations_detectron2", "png", (40, 48), 3),
    ):
        folder = tmp_path / "data" / "ADEChallengeData2016" / kind / "validation"
        folder.mkdir(parents=True)
        for stem in ("a", "b"):
            Image.fromarray(rng.integers(0, high, shape, dtype=np.uint8)).save(folder / f"{stem}.{suffix}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(STAND_IN / "packages")]))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("DETECTRON2_DATASETS", raising=False)
    monkeypatch.setattr(hosts, "OVSEG_CONFIG", ())
    given = Hosts(CHECKOUT, ("CLIP_MODEL_NAME", str(clip_file), "--opendas-cache", "off"))
    found = Place(tmp_path / "data", tmp_path / "out", TIERS["full"], "cpu", hosts=given)
    shutil.copytree(adapter, hosts.adapter_of(found, "ade20k"))
    return found


@pytest.mark.slow
def test_both_rows_of_ovseg_stand_beside_table_3(place):
    done = hosts.run(place)
    summary = json.loads((place.folder("hosts") / "ovseg" / "summary.json").read_text())
    rows = {row.title: row for row in done.results}
    assert [*rows] == ["OVSeg", "OVSeg + OpenDAS"]
    for title, name, paper in (("OVSeg", "stock", 29.8), ("OVSeg + OpenDAS", "adapted", 35.8)):
        figure = rows[title].figures["miou"]
        assert (figure.ours, figure.paper) == (summary[name]["miou"], paper)
        assert figure.source == "OpenDAS, arXiv 2405.20141 v4, Table 3"
    assert any(note.startswith("Left out: OpenMask3D needs class-agnostic masks") for note in done.notes)


def test_what_the_host_says_last_is_what_the_user_reads(place, tmp_path):
    object.__setattr__(place, "hosts", Hosts(tmp_path))
    with pytest.raises(ConfigError, match=r"^OVSeg could not be run \(.*what is done stays"):
        hosts.run(place)


def test_without_any_host_it_says_what_each_needs(place):
    object.__setattr__(place, "hosts", Hosts())
    with pytest.raises(MissingFileError, match=r"OVSeg needs its checkout .*; OpenMask3D needs class-agnostic masks"):
        hosts.run(place)
