"""Recipes are views of the configuration: what they hold comes back, and what they must not hold is refused by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opendas_plugin import methods
from opendas_plugin.data.augment import Augmentation
from opendas_plugin.errors import ConfigError, MissingFileError
from opendas_plugin.train.config import OptimiserConfig, TrainConfig, TripletConfig
from opendas_plugin.train.recipe import FOLDER, build, read_recipe


def recipe(folder: Path, text: str) -> TrainConfig:
    path = folder / "mine.yaml"
    path.write_text(text)
    return read_recipe(path)


def test_an_empty_recipe_is_the_defaults(tmp_path: Path) -> None:
    assert recipe(tmp_path, "") == TrainConfig()


def test_the_paper_augments_and_else_keeps_the_defaults() -> None:
    paper = read_recipe("paper")
    assert paper.augmentation == Augmentation("rrc_flip", (0.08, 1.0))
    assert dataclasses.replace(paper, augmentation=Augmentation()) == TrainConfig()
    assert paper.prompts.deep_text_init == "normal"
    assert (paper.batch_size, paper.visual.epochs, paper.text.epochs) == (16, 5, 5)
    assert paper.optimiser == OptimiserConfig("sgd", 0.0025, "cosine", 1e-5, 1, 0.9, 5e-4)
    assert paper.triplet == TripletConfig(True, "hardest", 1, "euclidean", True, 1.5, 2, 5, "iteration")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_built_in_recipe_holds_only_what_differs(path: Path) -> None:
    values = yaml.safe_load(path.read_text()) or {}
    base = values.pop("base", None)
    defaults = dataclasses.asdict(read_recipe(base) if base else TrainConfig())
    sections = {name: values.pop(name) for name in methods.names() if name in values}

    def check(values: dict, config: dict, defaults: dict) -> None:
        for name, value in values.items():
            if (name, value) == ("crops", "auto"):
                assert config["auto_crops"] and not defaults["auto_crops"]
            elif isinstance(value, dict):
                check(value, config[name], defaults[name])
            else:
                assert config[name] != defaults[name] or name == "scale", f"{name} is the default"

    check(values, dataclasses.asdict(read_recipe(path.stem)), defaults)
    for method, own in sections.items():
        published = build(TrainConfig, {**methods.get(method).recipe, "method": method}, method)
        check(own, dataclasses.asdict(read_recipe(path.stem, method)), dataclasses.asdict(published))


def test_a_method_has_what_it_is_published_with_and_a_recipe_goes_before_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("batch_size: 8\nvpt: {prompts: {visual_tokens: 5}}\nlora: {optimiser: {lr: 0.1}}")
    vpt, lora = read_recipe(file, "vpt"), read_recipe(file, "lora")
    assert (vpt.method, vpt.batch_size, vpt.prompts.visual_tokens, vpt.prompts.text_tokens) == ("vpt", 8, 5, 0)
    assert (lora.optimiser.lr, lora.optimiser.name, lora.weights.visual, lora.batch_size) == (
        0.1,
        "adamw",
        "low_rank",
        8,
    )
    assert read_recipe(file) == dataclasses.replace(TrainConfig(), batch_size=8)


@pytest.mark.parametrize("method", methods.registry.BUILT_IN)
def test_what_a_method_is_published_with_are_recipe_fields(method: str) -> None:
    config = read_recipe("paper", method)
    assert (config.method, config.prompts, config.weights) == (
        method,
        methods.get(method).prompts,
        methods.get(method).weights,
    )


@given(lr=st.floats(1e-6, 1), epochs=st.integers(1, 50), margin=st.floats(0, 3), low=st.floats(0.01, 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_written_configuration_reads_back(tmp_path: Path, lr: float, epochs: int, margin: float, low: float) -> None:
    config = TrainConfig(
        optimiser=OptimiserConfig("adamw", lr),
        augmentation=Augmentation("rrc_flip", (low, 1.0)),
        visual=dataclasses.replace(TrainConfig().visual, epochs=epochs),
        triplet=TripletConfig(margin=margin, mining="pool"),
    )
    values = dataclasses.asdict(config)
    values["augmentation"]["scale"] = list(values["augmentation"]["scale"])
    assert recipe(tmp_path, yaml.safe_dump(values)) == config


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    config = recipe(tmp_path, "optimiser: {lr: 1e-3, weight_decay: 0}\nprompts: {visual_depth: 3}\npretrained: null")
    assert (config.optimiser.lr, config.optimiser.weight_decay) == (0.001, 0.0)
    assert config.prompts.visual_depth == 3


def test_a_recipe_may_start_from_another(tmp_path: Path) -> None:
    office = read_recipe("office")
    mine = recipe(tmp_path, "base: office\nbatch_size: 8\ncrops: {expand: 0.1}\nopendas: {visual: {epochs: 2}}")
    crops = dataclasses.replace(office.crops, expand=0.1)
    assert mine == dataclasses.replace(
        office, batch_size=8, crops=crops, visual=dataclasses.replace(office.visual, epochs=2)
    )
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "next.yaml").write_text("base: ../mine.yaml\nbatch_size: 4")
    assert read_recipe(tmp_path / "below" / "next.yaml") == dataclasses.replace(mine, batch_size=4)
    assert read_recipe(tmp_path / "mine.yaml", "vpt").optimiser == read_recipe("office", "vpt").optimiser


@pytest.mark.parametrize(("text", "said"), [("", True), ("base: null\n", False), ("base: office\n", False)])
def test_a_recipe_without_a_base_says_where_it_starts(tmp_path: Path, caplog, text: str, said: bool) -> None:
    caplog.set_level("INFO")
    config = recipe(tmp_path, f"{text}batch_size: 8\nmethod: opendas")
    assert ("mine.yaml says no base, so it starts from the plain defaults" in caplog.text) == said
    if "office" not in text:
        assert config == dataclasses.replace(TrainConfig(), batch_size=8)
    read_recipe("office")
    assert "office.yaml" not in caplog.text


def test_crops_are_left_open_by_the_word_auto_until_a_layer_above_names_some(tmp_path: Path) -> None:
    clip = read_recipe("clip")
    assert clip.auto_crops and not read_recipe("office").auto_crops and not read_recipe("paper").auto_crops
    assert (clip.augmentation, clip.triplet) == (Augmentation(), TripletConfig()), "the published losses without views"
    assert (clip.visual.consistency, clip.text.consistency) == (10, 25)
    mine = recipe(tmp_path, "base: clip\nvisual: {epochs: 2}")
    assert mine == dataclasses.replace(clip, visual=dataclasses.replace(clip.visual, epochs=2))
    named = recipe(tmp_path, "base: clip\ncrops: {expand: 0.2}")
    assert (named.auto_crops, named.crops.expand, named.crops.background) == (False, 0.2, "keep")
    assert recipe(tmp_path, "base: office\ncrops: auto").auto_crops
    assert not read_recipe("clip", changes={"crops": {"background": "mean"}}).auto_crops
    assert read_recipe("office", changes={"crops": "auto"}).auto_crops


def test_the_default_recipe_follows_the_backbone() -> None:
    assert read_recipe() == read_recipe("office") == read_recipe(None, changes={"backbone": "office-tiny"})
    weights = {"backbone": "ViT-B-32", "pretrained": "openai"}
    assert read_recipe(None, changes=weights) == dataclasses.replace(read_recipe("clip"), **weights)
    assert read_recipe(None, "vpt", weights).visual.consistency == 10
    assert read_recipe("office", changes=weights).crops == read_recipe("office").crops, "what is named is taken"


def test_bases_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("base: mine.yaml")
    with pytest.raises(ConfigError, match=r"its base mine\.yaml starts from this recipe"):
        recipe(tmp_path, "base: other.yaml")
    with pytest.raises(MissingFileError, match="there is no recipe offfice"):
        recipe(tmp_path, "base: offfice")
    with pytest.raises(ConfigError, match=r"base should be the name of a recipe or a file, got \[1\]"):
        recipe(tmp_path, "base: [1]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: 0.1", r"mine\.yaml: unknown field lr; expected one of method, backbone"),
        ("triplet: {margn: 1}", r"unknown field triplet\.margn"),
        ("triplet: 3", "expected triplet to have fields, got 3"),
        ("- 1", r"expected a recipe to have fields, got \[1\]"),
        ("batch_size: 16.5", "batch_size should be of type int, got 16.5"),
        ("batch_size: true", "batch_size should be of type int, got True"),
        ("batch_size: 0", "expected batch_size to be 1 or more, got 0"),
        ("optimiser: {lr: fast}", r"optimiser\.lr should be of type float, got 'fast'"),
        ("optimiser: {lr: -1}", r"expected optimiser\.lr to be above 0, got -1"),
        ("optimiser: {momentum: 1}", r"optimiser\.momentum to be from 0 to below 1"),
        ("visual: {epochs: 0}", "epochs of a stage to be 1 or more"),
        ("triplet: {enabled: 'yes'}", r"triplet\.enabled should be of type bool, got 'yes'"),
        ("triplet: {mining: easiest}", r"triplet\.mining should be one of hardest, .*, got 'easiest'"),
        ("augmentation: {scale: [0.1]}", r"augmentation\.scale should be a list of 2"),
        ("augmentation: {scale: [0.9, 0.1]}", "scale must be two rising fractions"),
        ("a: [", "expected a YAML file"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe(tmp_path, text)


def test_a_missing_recipe_lists_the_built_in_ones() -> None:
    with pytest.raises(
        MissingFileError, match=r"there is no recipe offfice; give a file or one of .*office, ovseg, paper"
    ):
        read_recipe("offfice")
