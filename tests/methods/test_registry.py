"""Methods by name, and how much they learn."""

from __future__ import annotations

import pytest

from opendas_plugin import methods
from opendas_plugin.errors import BackboneError, ConfigError


def test_opendas_learns_what_the_paper_says_it_does() -> None:
    assert methods.parameter_count("opendas", "ViT-L-14") == 24 * 8 * 1024 + 12 * 4 * 768 == 233_472


@pytest.mark.parametrize(
    ("method", "count"),
    [
        ("zero_shot", 0),
        ("cocoop", 4 * 768 + (768 * 48 + 48) + (48 * 768 + 768)),
        ("vpt", 24 * 32 * 1024),
        ("rpo", 24 * (1024 + 768)),
        ("maple", 24 * (768 * 1024 + 1024) + 24 * 2 * 768),
        ("wise_ft_text", 123_650_304),
        ("wise_ft_image", 303_966_208),
        ("lora", 294_912 + 110_592),
        ("promptsrc", 233_472),
        ("mmlop", 9 * (1024 + 768) + 4),
        ("mlmp", 2 * 1024 * (24 * 2 + 2)),
        ("opendas_plus_mlmp", 484_864),
        ("dor", 233_472),
        ("opendas_joint", 233_472),
        ("ln_bias", 323_584 + 121_344),
        ("ln_bias_plus", 484_864),
        ("opendas_plus", 323_584 + 24 * 5 * 1024 + 2 * 768 * (2 * 12 + 1)),
    ],
)
def test_rivals_learn_as_much_as_their_papers_say(method: str, count: int) -> None:
    assert methods.parameter_count(method, "ViT-L-14") == count


def test_other_backbones_by_the_same_rule() -> None:
    assert methods.parameter_count("mmlop", "ViT-B-16") == 11_524  # the abstract's 11.5K
    assert methods.parameter_count("opendas", "ViT-B-32-quickgelu") == 12 * 8 * 768 + 12 * 4 * 512


@pytest.mark.parametrize("method", ["opendas", "opendas_plus"])
def test_first_the_visual_tower_then_the_text_tower_with_the_triplet_loss(method: str) -> None:
    first, second = methods.get(method).stages
    assert (first.name, first.learns, first.triplet) == ("visual", ("visual",), False)
    assert (second.name, second.learns, second.triplet) == ("text", ("text",), True)


def test_what_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="there is no method 'maaple'; choose one of opendas"):
        methods.parameter_count("maaple", "ViT-L-14")
    with pytest.raises(BackboneError):
        methods.parameter_count("opendas", "RN50")
