"""A relearnt tower as it is stored: both files hold the tower that the log names by its hash."""

from __future__ import annotations

import re

import numpy as np

from opendas_plugin.model import tiny_clips
from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone
from opendas_plugin.model.tiny_clips import OFFICE_TINY, OFFICE_TINY_V1
from opendas_plugin.office import relearn
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.relearn_text import Relearning


def test_both_files_hold_the_tower_that_the_log_names(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(NAMES), 1, 112, 112, 3), dtype=np.uint8)
    colours = rng.integers(0, 12, (len(NAMES), 1))
    monkeypatch.setattr(relearn, "pictures", lambda *_: (images, colours))
    said = list(relearn.make(OFFICE_TINY_V1, tmp_path / "cache", tmp_path / "tower", Relearning(steps=1, pictures=4)))
    assert (tmp_path / "tower" / "relearn.log").read_text().splitlines() == said
    before, after = (re.search("[0-9a-f]{64}", said[place])[0] for place in (0, -1))
    assert before == backbone_sha256(build_backbone(OFFICE_TINY_V1)[0]) != after
    assert backbone_sha256(build_backbone(str(tmp_path / "tower" / "clip.pt"))[0]) == after
    monkeypatch.setattr(tiny_clips, "FOLDER", tmp_path / "tower")  # where the package has its own
    assert backbone_sha256(build_backbone(OFFICE_TINY)[0]) == after
