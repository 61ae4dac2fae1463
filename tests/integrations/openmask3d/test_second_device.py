"""OpenMask3D's stand-in on a pretended second device: the CPU's features."""

from __future__ import annotations

import numpy as np
import pytest

from tests.integrations.openmask3d.conftest import FEATURES, launch, read, scene_arguments
from tests.pretend import KIND


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["clip.pt", "opendas:both"])
def test_the_hosts_script_computes_features_there(room, tmp_path, monkeypatch, clip):
    name = f"opendas:{room / 'both'}" if clip == "opendas:both" else room / clip
    launch(FEATURES, *scene_arguments(room, tmp_path / "cpu", name, "+opendas.seed=0"))
    monkeypatch.setenv("HOST_DEVICE", KIND)
    launch(FEATURES, *scene_arguments(room, tmp_path / "there", name, "+opendas.seed=0"))
    tolerance = 2e-2 if clip == "clip.pt" else 1e-5  # OpenAI's package keeps half precision on a GPU
    np.testing.assert_allclose(read(tmp_path / "there"), read(tmp_path / "cpu"), atol=tolerance)
