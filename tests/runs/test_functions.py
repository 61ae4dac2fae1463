"""The functions of Python and the commands do the same, to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import opendas_plugin as opendas
from opendas_plugin.commands.evaluate import main as evaluate_main
from opendas_plugin.commands.train_prompts import main as train_main
from opendas_plugin.errors import ConfigError, OpenDASError

QUICK = {
    "batch_size": 4,
    "workers": 0,
    "visual": {"epochs": 1},
    "text": {"epochs": 1},
    "optimiser": {"lr": 0.1, "warmup_epochs": 0},
}
FLAGS = ["--batch-size", "4", "--workers", "0", "--visual.epochs", "1", "--text.epochs", "1", "--device", "cpu"]
FLAGS += ["--optimiser.lr", "0.1", "--optimiser.warmup-epochs", "0"]


def files(folder: Path) -> dict[str, bytes]:
    """The files below a folder, but those that say when and where."""
    apart = ("run.json", "log.jsonl", "checkpoint.safetensors", "report.html")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in apart
    }


@pytest.fixture(scope="module")
def adapted(domain, tiny_backbone, tmp_path_factory):
    """A run by the function."""
    folder = tmp_path_factory.mktemp("adapted") / "run"
    return opendas.adapt(domain, folder, backbone=tiny_backbone, pretrained="random", device="cpu", **QUICK)


def test_adapt_and_the_command_make_the_same_adapter_and_scores(adapted, domain, tiny_backbone, tmp_path):
    flags = [
        "--data",
        str(domain),
        "--output-dir",
        str(tmp_path / "run"),
        "--backbone",
        tiny_backbone,
        "--pretrained",
        "random",
        *FLAGS,
    ]
    assert train_main(flags) == 0
    assert files(adapted.folder) == files(tmp_path / "run")
    assert adapted.adapter == adapted.folder / "adapter"
    assert adapted.scores["after"] == json.loads((adapted.folder / "after" / "summary.json").read_text())
    record = json.loads((adapted.folder / "run.json").read_text())
    assert (record["command"], record["config"]["config"]["batch_size"]) == (None, 4)


def test_evaluate_and_the_command_write_the_same_report(adapted, domain, tmp_path):
    summary = opendas.evaluate(domain, tmp_path / "a", adapter=adapted.adapter, device="cpu")
    flags = ["--data", str(domain), "--output", str(tmp_path / "b"), "--adapter", str(adapted.adapter)]
    assert evaluate_main(["classification", *flags, "--device", "cpu"]) == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert summary["acc"] == adapted.scores["after"]["acc"]


def test_adapt_goes_on_from_an_adapter(adapted, domain, tiny_backbone, tmp_path):
    settings = {**QUICK, "recipe": "office", "backbone": tiny_backbone, "pretrained": "random", "device": "cpu"}
    still = {"visual": {"epochs": 1}, "text": {"epochs": 1}, "optimiser": {"lr": 1e-12, "warmup_epochs": 0}}
    again = opendas.adapt(domain, tmp_path / "again", start=adapted.adapter, **{**settings, **still})
    assert [*again.scores] == ["before", "start", "after_visual", "after"]
    assert again.scores["start"]["w_f1"] == adapted.scores["after"]["w_f1"]
    assert again.scores["after"]["acc"] == adapted.scores["after"]["acc"], "hardly moved, it is where it started"
    afresh = opendas.adapt(domain, tmp_path / "afresh", **{**settings, **still})
    image = opendas.OpenDASCLIP.from_pretrained(adapted.adapter).visual_prompts.tokens
    close, far = (
        (opendas.OpenDASCLIP.from_pretrained(run.adapter).visual_prompts.tokens - image).abs().max().item()
        for run in (again, afresh)
    )
    assert close < 1e-6 < 1e-4 < far
    config = json.loads((again.adapter / "adapter_config.json").read_text())
    assert config["training"]["start"] == str(adapted.adapter)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"prompts": {"visual_tokens": 2}}, "its prompts.visual_tokens is 8, this run's 2"),
        ({"method": "lora"}, "its prompts.visual_tokens is 8, this run's 0"),
        ({"backbone_seed": 5}, "but test-tiny"),
        ({"calibration_folds": 2}, "`calibration_folds` hold training names out"),
    ],
)
def test_adapt_cannot_go_on_from_another_kind_of_adapter(adapted, domain, tiny_backbone, tmp_path, settings, says):
    with pytest.raises(OpenDASError, match=says):
        opendas.adapt(
            domain,
            tmp_path,
            backbone=tiny_backbone,
            pretrained="random",
            start=str(adapted.adapter),
            device="cpu",
            **{**QUICK, **settings},
        )


def test_functions_raise_and_never_exit_or_print(domain, tmp_path, capsys):
    for call in (
        lambda: opendas.adapt(domain, tmp_path / "a", colour="red"),
        lambda: opendas.adapt(domain, tmp_path / "a", recipe="none"),
        lambda: opendas.adapt(domain, tmp_path / "a", method="none"),
        lambda: opendas.evaluate(domain, tmp_path / "b", adapter="x", backbone="y"),
        lambda: opendas.evaluate(tmp_path / "none", tmp_path / "b"),
        lambda: opendas.runs.evaluate_semantic(ground_truth="g", protocol="detectron2", output="o"),
        lambda: opendas.runs.compare(domain, tmp_path / "c", methods=("none",)),
        lambda: opendas.runs.export(to="classifier", output=tmp_path / "d.safetensors"),
    ):
        with pytest.raises(OpenDASError):
            call()
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ConfigError, match="`adapter` has no effect without `masks`"):
        opendas.runs.evaluate_semantic(
            predictions="p", ground_truth="g", protocol="detectron2", output="o", num_classes=3, adapter="/not/there"
        )


def test_what_is_read_is_not_written_over(domain):
    before = {path: path.stat().st_mtime_ns for path in domain.rglob("*")}
    for run in (opendas.evaluate, opendas.runs.compare):
        with pytest.raises(ConfigError, match=r"`output` is what is read as `data`, .*; give a place of its own"):
            run(data=domain, output=domain / "out" / "..")
    assert {path: path.stat().st_mtime_ns for path in domain.rglob("*")} == before
