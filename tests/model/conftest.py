"""What tests of models share."""

from __future__ import annotations

import pytest

from tests.model import families


@pytest.fixture(scope="session")
def family_names(tmp_path_factory) -> dict[str, str]:
    """The name in open_clip of a small model of each family; its weights are random."""
    return families.register(tmp_path_factory.mktemp("families"))
