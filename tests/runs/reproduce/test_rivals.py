"""``opendas-reproduce rivals``: their published sizes and settings, and the verdict."""

from __future__ import annotations

import pytest

from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.readers.coop_splits import SPLITS
from opendas_plugin.runs.reproduce import rivals
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.runs.reproduce.published import RIVALS
from opendas_plugin.runs.reproduce.results import Result, beside
from opendas_plugin.runs.reproduce.tiers import TIERS
from opendas_plugin.train.recipe import read_recipe


def row(method, behind, why=""):
    published = RIVALS["eurosat"][method]
    ours = {metric: one.value - behind for metric, one in published.items()}
    return Result(method, "EuroSAT", beside(ours, published), {}, why)


def test_a_rival_that_stays_behind_its_paper_is_named():
    rows = [row("maple", 1.0), row("cocoop", -4.0)]
    assert rivals.verdict(rows) == "No rival is more than 3 points of H behind what its paper says."
    assert rivals.verdict([*rows, row("promptsrc", 3.5)]).endswith("points of H: promptsrc on EuroSAT by 3.5.")
    assert rivals.verdict([row("promptsrc", 9.0, "a split drawn here")]).startswith("Nothing can be said")


@pytest.mark.parametrize(
    ("splits", "why"),
    [
        ("CoOp's", ""),
        ("its own lists", "torchvision's (DTD's own) lists in the place of CoOp's split file"),
        ("drawn here", "a split drawn here in the place of CoOp's split file"),
    ],
)
def test_rows_on_other_splits_than_coops_are_not_comparable(splits, why, tmp_path):
    place = Place(tmp_path, tmp_path, TIERS["full"], "cpu")
    assert rivals._why_not(place, {SPLITS: splits}) == why


def test_the_settings_are_those_of_the_papers_code(tmp_path):
    """multimodal-prompt-learning, PromptSRC and CoOp: their base-to-new configurations for ViT-B/16."""
    place = Place(tmp_path, tmp_path, TIERS["full"], "cpu")
    recipe = place.write_recipe(tmp_path / "recipe.yaml", place.tier.rivals, {}, rivals.settings(9))
    found = {method: read_recipe(recipe, method) for method in rivals.METHODS}
    assert {method: (c.batch_size, c.optimiser.lr) for method, c in found.items()} == {
        "cocoop": (1, 0.002),
        "maple": (4, 0.0035),
        "promptsrc": (4, 0.0025),
    }
    assert (found["cocoop"].text.epochs, found["maple"].joint.epochs, found["promptsrc"].joint.epochs) == (10, 5, 20)
    assert all((c.augmentation.kind, c.augmentation.scale) == ("rrc_flip", (0.08, 1.0)) for c in found.values())


@pytest.mark.slow
@pytest.mark.parametrize(("method", "values"), [("cocoop", 35_360), ("maple", 3_555_072), ("promptsrc", 46_080)])
def test_they_learn_as_many_values_as_the_papers_say(method, values, tmp_path):
    """MaPLe 3.55M; PromptSRC 9 (4 x 768 + 4 x 512); CoCoOp 4 x 512 and a network 512-32-512."""
    place = Place(tmp_path, tmp_path, TIERS["full"], "cpu")
    recipe = place.write_recipe(tmp_path / "recipe.yaml", place.tier.rivals, {}, rivals.settings(9))
    config = read_recipe(recipe, method)
    clip = OpenDASCLIP.from_backbone(config.backbone, "random", prompts=config.prompts)
    assert sum(tensor.numel() for tensor in clip.learnt_state().values()) == values
