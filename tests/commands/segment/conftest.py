"""Photos, masks of them, and a run of opendas-segment on these."""

from __future__ import annotations

import pytest

from opendas_plugin.commands.segment import main
from tests.commands.segmenting import MASKED, PHOTOS, flags, make_photos, overlapping_masks, write_masks


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("photos"), PHOTOS)


@pytest.fixture(scope="module")
def masks():
    """Overlapping masks of two of the three photos."""
    return {name: overlapping_masks((64, 96), 6, seed) for seed, name in enumerate(MASKED)}


@pytest.fixture(scope="module")
def by_file(photos, masks, tmp_path_factory):
    """The output of a run on a file of masks."""
    folder = tmp_path_factory.mktemp("by_file")
    path = write_masks(folder / "masks.json", masks)
    assert main(flags(photos, folder / "out", "--masks", path)) == 0
    return folder / "out"
