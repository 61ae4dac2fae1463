"""What opendas-compare would train: the runs of ablations, of recipes and of crops, and what cannot be compared."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.files import read_json
from opendas_plugin.runs import comparison_runs
from opendas_plugin.runs.ablations import ABLATIONS
from opendas_plugin.runs.comparison import Compare
from opendas_plugin.runs.comparison_runs import with_crops
from tests.commands.test_compare import RECIPE


def options(domain, tmp_path, **fields) -> Compare:
    (tmp_path / "quick.yaml").write_text(RECIPE)
    return Compare(data=domain, output=tmp_path / "out", recipe=str(tmp_path / "quick.yaml"), **fields)


@pytest.mark.parametrize("name", sorted(set(ABLATIONS) - {"negatives"}))
def test_an_ablation_changes_what_it_says_and_nothing_else(name, domain, tmp_path) -> None:
    jobs = options(domain, tmp_path, ablate=name, seeds=1).plan()
    assert [job.title for job in jobs] == [variant.title for variant in ABLATIONS[name]]
    configs = {str(job.run.config) for job in jobs}
    assert len(configs) == len(jobs)
    assert len({job.folder for job in jobs}) == len(jobs)


def recipe_of(tmp_path, text: str) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(f"base: office\n{text}")
    return str(path)


def test_an_ablations_titles_hold_whatever_the_recipe_has(domain, tmp_path) -> None:
    recipe = recipe_of(
        tmp_path,
        "triplet: {enabled: false, weight_start: 1, weight_end: 3, weight_schedule: constant}\n"
        "prompts: {visual_depth: 1, text_depth: 1}\n",
    )
    found = {}
    for name in ("triplet", "mining", "depth"):
        jobs = Compare(domain, tmp_path / "out", recipe=recipe, ablate=name, seeds=1).plan()
        found |= {job.title: job.run.config for job in jobs}
    triplet = found["weight 2 to 5"].triplet
    assert triplet.enabled and (triplet.weight_start, triplet.weight_end) == (2.0, 5.0)
    assert triplet.weight_schedule == "iteration"
    for weight in (2, 5):
        triplet = found[f"weight fixed at {weight}"].triplet
        assert triplet.enabled and (triplet.weight_start, triplet.weight_schedule) == (weight, "constant")
    assert not found["no triplet"].triplet.enabled and found["semi-hard"].triplet.enabled
    assert (found["all layers"].prompts.visual_depth, found["first 1 layers"].prompts.text_depth) == (None, 1)


def test_rows_of_an_ablation_that_would_be_one_training_are_refused(domain, tmp_path) -> None:
    recipe = recipe_of(tmp_path, "prompts: {text_tokens: 0}\n")
    with pytest.raises(ConfigError, match="the rows 'both stages' and 'visual only' would be one training"):
        Compare(domain, tmp_path / "out", recipe=recipe, ablate="stages", seeds=1).plan()


def test_related_names_from_a_source_that_cannot_be_asked_are_left_out(domain, tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    jobs = options(domain, tmp_path, ablate="negatives", seeds=1).plan()
    assert [job.title for job in jobs] == ["offline", "training names", "none"]
    assert "openai is left out" in caplog.text
    assert jobs[0].run.negatives.exists()


def test_related_names_that_are_there_are_those_of_the_vocabulary(domain, tmp_path, caplog) -> None:
    data = shutil.copytree(domain, tmp_path / "data")
    for _ in range(2):
        options(data, tmp_path, ablate="negatives", seeds=1).plan()
    vocabulary = json.loads((data / "vocabulary.json").read_text())
    vocabulary["names"].append("a new block")
    (data / "vocabulary.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ConfigError, match=r"negatives_offline.json was made from something else: the training names"):
        options(data, tmp_path, ablate="negatives", seeds=1).plan()
    (tmp_path / "out" / "negatives_offline.inputs.json").unlink()  # as earlier versions left it
    options(data, tmp_path, ablate="negatives", seeds=1).plan()
    assert "does not say which names it was made for" in caplog.text


def test_a_method_may_have_a_recipe_of_its_own(domain, tmp_path) -> None:
    jobs = options(domain, tmp_path, methods=("opendas", "opendas@paper"), seeds=2).plan()
    assert [(job.title, job.run.config.seed) for job in jobs] == [
        ("opendas", 0), ("opendas", 1), ("opendas@paper", 0), ("opendas@paper", 1),
    ]  # fmt: skip
    assert [job.run.config.augmentation.kind for job in jobs][::2] == ["none", "rrc_flip"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"methods": ("maaple",)}, "there is no method 'maaple'"),
        ({"methods": ("vpt@nowhere",)}, "there is no recipe nowhere"),
        ({"ablate": "colours"}, "there is no ablation 'colours'; choose one of stages"),
        ({"against": "vpt", "methods": ("opendas",)}, "`against` 'vpt' is no row; choose one of opendas"),
        ({"methods": ()}, "there is nothing to compare"),
    ],
)
def test_what_cannot_be_compared_is_named(fields, message, domain, tmp_path) -> None:
    with pytest.raises(ConfigError, match=message):
        options(domain, tmp_path, **fields)()


def test_a_row_is_named_after_its_recipe_and_no_two_alike(domain, tmp_path) -> None:
    first, second = tmp_path / "a" / "b.yaml", tmp_path / "b.yaml"
    first.parent.mkdir()
    for file in (first, second):
        file.write_text("batch_size: 8")
    assert {job.title for job in options(domain, tmp_path, methods=(f"vpt@{first}",)).plan()} == {"vpt@b"}
    with pytest.raises(ConfigError, match="would share a folder; rename a recipe"):
        options(domain, tmp_path, methods=(f"vpt@{first}", f"vpt@{second}")).plan()


def test_open_crops_are_chosen_once_for_all_rows(domain, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(f"base: clip\n{RECIPE}")
    compare = Compare(domain, tmp_path / "out", recipe=str(tmp_path / "mine.yaml"), methods=("vpt", "lora@office"))
    path, blocks, jobs = tmp_path / "out" / "crops.json", load_domain(domain), compare.plan()
    found = with_crops(jobs, blocks, path)
    chosen = read_json(path)["backbones"]["office-tiny None 0 6e661c8998a7"]["chosen"]
    assert [job.run.config.crops.to_dict() for job in found if job.title == "vpt"] == 3 * [chosen]
    assert [job.run for job in found if job.title != "vpt"] == [job.run for job in jobs if job.title != "vpt"]
    assert not any(job.run.config.auto_crops for job in found)
    monkeypatch.setattr(comparison_runs, "choose_crops", lambda *_, **__: pytest.fail("chosen anew"))
    assert with_crops(jobs, blocks, path) == found
    with pytest.raises(ConfigError, match=r"crops\.json were chosen on other data"):
        with_crops(jobs, dataclasses.replace(blocks, train=blocks.train[:3]), path)


def test_the_common_recipe_follows_the_backbone(domain, tmp_path):
    assert Compare(domain, tmp_path / "out").common_recipe == "office"
    assert Compare(domain, tmp_path / "out", backbone="ViT-B-32", pretrained="openai").common_recipe == "clip"
    rows = Compare(domain, tmp_path / "out", backbone="ViT-B-32", pretrained="random", methods=("vpt",)).plan()
    assert all(job.run.recipe == "clip" and job.run.config.auto_crops for job in rows)
