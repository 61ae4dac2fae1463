"""train_prompts.py as a user meets it: what it writes, prints, refuses and resumes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from opendas_plugin.commands.train_prompts import main, read_run
from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.manifest import read_manifest
from opendas_plugin.errors import TrainingError
from opendas_plugin.eval.predict import predict
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.negatives.database import Negative, NegativeDatabase
from opendas_plugin.runs import training
from opendas_plugin.runs.sources import mines_in_related_names
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.recipe import read_recipe
from opendas_plugin.vocabulary import Vocabulary
from tests.conftest import make_domain

NAMES = ("acc", "w_f1", "b_f1", "n_f1")


@pytest.fixture
def flags(domain: Path, tiny_backbone: str, tmp_path: Path) -> list[str]:
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(
        f"backbone: {tiny_backbone}\npretrained: random\nbatch_size: 4\nworkers: 0\n"
        f"visual: {{epochs: 2}}\ntext: {{epochs: 2}}"
    )
    return ["--data", str(domain), "--output-dir", str(tmp_path / "run"), "--recipe", str(recipe), "--device", "cpu"]


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_a_run_leaves_an_adapter_its_scores_and_how_it_was_made(flags, domain, tmp_path, capsys) -> None:
    assert main(flags) == 0
    run = tmp_path / "run"
    printed = capsys.readouterr().out
    for word in ("W-F1", "B-F1", "N-F1", "before", "after_visual", "after", str(run / "adapter")):
        assert word in printed

    config = read(run / "adapter" / "adapter_config.json")
    vocabulary = Vocabulary.load(domain / "vocabulary.json")
    assert config["method"] == "opendas"
    assert config["base_names"] == list(vocabulary.base)
    assert config["crop_policy"] == {"background": "keep", "expand": 0.1, "resize": "squash", "size": 32}
    training = config["training"]
    assert (training["dataset"], training["seed"], training["epochs"]) == ("blocks", 0, {"visual": 2, "text": 2})
    assert training["used_evaluation_names"] is False
    for folder in ("before", "after_visual", "after"):
        summary = read(run / folder / "summary.json")
        assert {name: training["metrics"][folder][name] for name in NAMES} == {name: summary[name] for name in NAMES}
        assert (run / folder / "predictions.jsonl").exists()

    record = read(run / "run.json")
    assert record["config"]["config"]["batch_size"] == 4
    assert record["seed"] == 0
    assert len((run / "log.jsonl").read_text().splitlines()) == 12
    NegativeDatabase.load(run / "negatives.json").validate(vocabulary)


def test_the_scores_are_those_of_the_backbone_and_of_the_adapter(flags, domain, tiny_backbone, tmp_path) -> None:
    assert main([*flags, "--prompts.deep-text-init", "zero_shot", "--optimiser.lr", "0.1"]) == 0
    run, blocks = tmp_path / "run", load_domain(domain)
    adapted = OpenDASCLIP.from_pretrained(run / "adapter")
    plain = OpenDASCLIP.from_backbone(tiny_backbone)

    def accuracy(clip: OpenDASCLIP) -> float:
        found = predict(Labeller(clip, blocks.vocabulary, workers=0), blocks.val, blocks.vocabulary)
        return 100 * float((found.labels == found.predictions).mean())

    assert read(run / "before" / "summary.json")["acc"] == pytest.approx(accuracy(plain))
    assert read(run / "after" / "summary.json")["acc"] == pytest.approx(accuracy(adapted))
    with adapted.prompts_disabled(visual=False, text=True):
        assert read(run / "after_visual" / "summary.json")["acc"] == pytest.approx(accuracy(adapted))


def test_a_run_that_broke_off_is_resumed_to_the_same_adapter(flags, tmp_path, monkeypatch, capsys) -> None:
    assert main(flags) == 0
    run = tmp_path / "run"
    whole = {path.name: path.read_bytes() for path in (run / "adapter").iterdir()}
    shutil.rmtree(run)

    evaluate, calls = training.evaluate_classification, []

    def break_off(*arguments, **options):
        calls.append(arguments[3].name)
        if calls == ["before", "after_visual"]:
            raise TrainingError("the power went out")
        return evaluate(*arguments, **options)

    monkeypatch.setattr(training, "evaluate_classification", break_off)
    assert main(flags) == 1
    assert "the power went out" in capsys.readouterr().err
    assert not (run / "adapter").exists()
    assert main([*flags, "--resume"]) == 0
    assert calls == ["before", "after_visual", "after_visual", "after"], "what was scored is not scored again"
    assert {path.name: path.read_bytes() for path in (run / "adapter").iterdir()} == whole
    assert main([*flags, "--resume"]) == 0, "a finished run has nothing to do"
    assert {path.name: path.read_bytes() for path in (run / "adapter").iterdir()} == whole

    assert main(flags) == 1
    assert "give --resume" in capsys.readouterr().err
    assert main([*flags, "--resume", "--seed", "1"]) == 1
    assert "seed = 0, now it is 1" in capsys.readouterr().err


def test_open_crops_are_chosen_once_and_written_down(flags, domain, tmp_path, monkeypatch, caplog, capsys) -> None:
    caplog.set_level("INFO")
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(f"base: clip\nmethod: vpt\n{recipe.read_text()}")
    assert main(flags) == 0
    run = tmp_path / "run"
    first = caplog.messages[0]
    assert first.startswith("device cpu, backbone test-tiny with random weights of seed 0, recipe ")
    assert first.endswith("quick.yaml (from clip), method vpt")
    choice = read(run / "crops.json")
    rows = {
        json.dumps({k: v for k, v in row.items() if k not in ("accuracy", "segments")}): row["accuracy"]
        for row in choice["accuracies"]
    }
    assert len(rows) == 8
    assert rows[json.dumps(choice["chosen"])] == max(rows.values())
    assert "crops chosen by plain CLIP's accuracy on 12 training segments: " in caplog.text
    used = read(run / "adapter" / "adapter_config.json")["crop_policy"]
    assert used == choice["chosen"] == read(run / "run.json")["config"]["config"]["crops"]
    assert read(run / "before" / "summary.json")["crop"] == used
    table = capsys.readouterr().out.splitlines()
    crops = f"{used['background']} {used['expand']:g} {used['resize']}"
    assert table[0] == f"backbone test-tiny with random weights of seed 0, crops {crops}"

    monkeypatch.setattr(training, "choose_crops", lambda *_, **__: pytest.fail("chosen anew"))
    (run / "checkpoint.safetensors").unlink()
    whole = (run / "adapter" / "adapter.safetensors").read_bytes()
    assert main([*flags, "--resume"]) == 0, "what was chosen is read again, even where nothing else is left"
    assert (run / "adapter" / "adapter.safetensors").read_bytes() == whole
    assert read_run([*flags, "--auto-crops"]).config.auto_crops
    named = read_run([*flags, "--crops.background", "mean"]).config
    assert (named.auto_crops, named.crops) == (False, CropPolicy("mean")), "crops that are named are not chosen"
    assert main([*flags, "--auto-crops", "--crops.background", "mean"]) == 2
    assert "--crops has no effect beside --auto-crops" in capsys.readouterr().err


def test_the_default_recipe_is_said(domain, tiny_backbone) -> None:
    office = read_run(["--data", str(domain)])
    assert (office.recipe, office.config) == ("office", read_recipe("office"))
    clip = read_run(["--data", str(domain), "--backbone", "ViT-B-32", "--pretrained", "openai"])
    assert (clip.recipe, clip.config.backbone, clip.config.auto_crops) == ("clip", "ViT-B-32", True)
    assert read_run(["--data", "d", "--backbone=ViT-B-32", "--pretrained", "openai"]).recipe == "clip"
    named = read_run(["--data", "d", "--backbone", "ViT-B-32", "--pretrained", "openai", "--recipe", "office"])
    assert (named.recipe, named.config.crops) == ("office", office.config.crops)


def turn(path: Path) -> None:
    Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path)


@pytest.mark.parametrize("name", ["train1.png", "val2.png"])
def test_a_run_is_not_resumed_on_pictures_that_changed(flags, tmp_path, capsys, caplog, name) -> None:
    data = tmp_path / "data"
    data.mkdir()
    make_domain(data)
    flags[1] = str(data)
    assert main([*flags, "--resume"]) == 0
    assert main([*flags, "--resume"]) == 0
    turn(data / "images" / name)
    assert main([*flags, "--resume"]) == 1
    assert f"the picture {name} has changed since it began" in capsys.readouterr().err
    turn(data / "images" / name)
    moved = shutil.copytree(data, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    flags[1] = str(moved)
    assert main([*flags, "--resume"]) == 0
    (tmp_path / "run" / "inputs.json").unlink()  # as earlier versions left it
    assert main([*flags, "--resume"]) == 0
    assert "does not say which pictures it was learnt from" in caplog.text


def test_a_run_is_not_resumed_from_another_start(flags, tmp_path, capsys) -> None:
    assert main(flags) == 0
    shutil.move(tmp_path / "run" / "adapter", tmp_path / "start")
    shutil.rmtree(tmp_path / "run")
    flags += ["--start", str(tmp_path / "start"), "--resume"]
    assert main(flags) == 0
    path = tmp_path / "start" / "adapter.safetensors"
    save_file({name: tensor + 0.1 for name, tensor in load_file(path).items()}, path)
    assert main(flags) == 1
    message = "adapter.safetensors of the adapter to start from has changed since it began"
    assert message in capsys.readouterr().err


def test_related_names_from_a_file_and_without_the_novel_ones(flags, tmp_path, caplog, capsys) -> None:
    path = tmp_path / "negatives.json"

    def write(**last: str) -> None:
        related = {f"{c} block": [f"{c} {n}" for n in range(4)] + [name] for c, name in last.items()}
        NegativeDatabase({c: tuple(Negative(n, "hand") for n in names) for c, names in related.items()}).save(path)

    write(red="Violet_blocks", green="the violet block", blue="sapphire")
    with caplog.at_level("INFO"):
        assert main([*flags, "--negatives", str(path)]) == 0
    assert "2 related names equal novel names, violet block (2), and are kept" in caplog.text
    kept = read(tmp_path / "run" / "adapter" / "adapter_config.json")["training"]
    assert kept["negatives"] == {"sources": ["hand"], "equal_to_novel_names": {"violet block": 2}}

    flags[flags.index(str(tmp_path / "run"))] = str(tmp_path / "dropped")
    assert main([*flags, "--negatives", str(path), "--drop-novel"]) == 0
    dropped = read(tmp_path / "dropped" / "adapter" / "adapter_config.json")["training"]
    assert dropped["used_evaluation_names"] is True
    assert dropped["negatives"]["equal_to_novel_names"] == {}

    write(red="red 0", green="leaf", blue="sapphire")
    flags[flags.index(str(tmp_path / "dropped"))] = str(tmp_path / "bad")
    assert main([*flags, "--negatives", str(path)]) == 1
    assert "negatives of 'red block': expected 5 distinct names" in capsys.readouterr().err
    assert main([*flags, "--negatives", str(path), "--triplet.mining", "training"]) == 2


def test_related_names_are_looked_for_where_the_loss_mines_in_them() -> None:
    assert mines_in_related_names(read_run(["--data", "x", "--triplet.mining", "hardest"]).config)
    assert not mines_in_related_names(read_run(["--data", "x", "--triplet.mining", "training"]).config)


def test_flags_override_the_recipe_and_the_recipe_the_defaults(flags, tiny_backbone) -> None:
    config = read_run(
        [*flags, "--triplet.margin", "0.1", "--text.lr-scale", "0.1", "--prompts.visual-tokens", "2"]
    ).config
    assert (config.backbone, config.batch_size, config.visual.epochs) == (tiny_backbone, 4, 2)
    assert (config.triplet.margin, config.text.lr_scale, config.prompts.visual_tokens) == (0.1, 0.1, 2)
    assert config.optimiser == TrainConfig().optimiser
    alone = read_run(["--data", "x"])
    assert (alone.config, alone.config.backbone) == (read_recipe("office"), "office-tiny")
    assert read_run(["--data", "x", "--recipe=paper"]).config.augmentation.kind == "rrc_flip"


@pytest.mark.parametrize(
    ("recipe", "more", "message"),
    [
        ("tripplet: {margin: 1}", [], "unknown field tripplet"),
        ("triplet: {margn: 1}", [], r"unknown field triplet.margn"),
        ("", ["--batch-size", "0"], "expected batch_size to be 1 or more"),
        ("", ["--no-such-flag", "1"], "no-such-flag"),
        ("", ["--method", "magic"], "there is no method 'magic'"),
        (None, [], "there is no recipe"),
    ],
)
def test_bad_usage_is_exit_2_with_the_name_of_what_is_wrong(tmp_path, recipe, more, message, capsys) -> None:
    path = tmp_path / "mine.yaml"
    if recipe is not None:
        path.write_text(recipe)
    assert main(["--data", str(tmp_path), "--recipe", str(path), *more]) == 2
    assert message in capsys.readouterr().err


def test_what_fails_is_one_line_and_exit_1(flags, domain, tmp_path, capsys) -> None:
    def fails(*changes: str) -> str:
        capsys.readouterr()
        assert main([*flags, *changes]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ")
        return error

    assert "crops of size 100" in fails("--crops.size", "100")
    assert "does not exist" in fails("--data", str(tmp_path / "none"))
    assert "does not exist" in fails("--negatives", str(tmp_path / "none.json"))
    assert not (tmp_path / "run").exists()
    lost = fails("--optimiser.lr", "1e38", "--optimiser.weight-decay", "0")
    assert "stage visual, epoch 2, step" in lost
    assert not (tmp_path / "run" / "adapter").exists()
    (tmp_path / "file").write_text("")
    assert "could not write" in fails("--output-dir", str(tmp_path / "file" / "run"))


def test_a_backbone_file_is_found_by_its_path(flags, tiny_backbone, tmp_path) -> None:
    weights = tmp_path / "weights.pt"
    torch.save(OpenDASCLIP.from_backbone(tiny_backbone, seed=7).model.state_dict(), weights)
    assert main([*flags, "--pretrained", str(weights)]) == 0
    clip = OpenDASCLIP.from_pretrained(tmp_path / "run" / "adapter")
    again = OpenDASCLIP.from_backbone(tiny_backbone, seed=7, prompts=PromptConfig())
    assert clip.config.backbone_sha256 == again.config.backbone_sha256


def test_crops_kept_on_disk_change_nothing_but_the_decoding(flags, domain, tmp_path) -> None:
    assert main(flags) == 0
    weights = (tmp_path / "run" / "adapter" / "adapter.safetensors").read_bytes()
    for _ in range(2):
        shutil.rmtree(tmp_path / "run")
        assert main([*flags, "--crop-cache", str(tmp_path / "crops")]) == 0
        assert (tmp_path / "run" / "adapter" / "adapter.safetensors").read_bytes() == weights
    kept = {read(about)["segments"] for about in (tmp_path / "crops").glob("*/about.json")}
    assert kept == {12, len(read_manifest(domain / "val.jsonl"))}  # those to learn from, and those to score
