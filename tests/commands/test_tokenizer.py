"""A backbone with a tokenizer of Hugging Face's, trained and evaluated by the commands without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from opendas_plugin.commands import evaluate, train_prompts
from opendas_plugin.model import downloads
from opendas_plugin.model.tokenizer_files import write_clips_own
from tests.conftest import RANDOM
from tests.model.tokenizers import make


def test_its_folder_is_given_once_and_again_when_it_has_moved(
    domain, family_names, tokenizer_folders, tmp_path, capsys
):
    words = shutil.copytree(tokenizer_folders["siglip"], tmp_path / "words")
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(
        "batch_size: 6\nworkers: 0\ncrops: {expand: 0.0}\nvisual: {epochs: 1}\ntext: {epochs: 1}\n"
        f"triplet: {{mining: training}}\ntokenizer: {words}\nbackbone: {family_names['siglip']}\npretrained: random\n"
    )
    run = tmp_path / "run"
    common = ["--data", str(domain), "--device", "cpu"]
    assert train_prompts.main([*common, "--output-dir", str(run), "--recipe", str(recipe)]) == 0
    said = json.loads((run / "adapter" / "adapter_config.json").read_text())
    assert (said["tokenizer"], said["backbone_facts"]["tokenizer"]) == (str(words), "timm/ViT-B-16-SigLIP")

    def score(name: str, *flags: str) -> tuple[int, Path]:
        folder = tmp_path / name
        return evaluate.main(["classification", *common, "--output", str(folder), *flags]), folder / "summary.json"

    code, summary = score("after", "--adapter", str(run / "adapter"))
    assert code == 0
    assert json.loads(summary.read_text())["w_f1"] == json.loads((run / "after" / "summary.json").read_text())["w_f1"]
    moved = words.rename(tmp_path / "moved")
    code, _ = score("lost", "--adapter", str(run / "adapter"))
    assert code == 1
    assert (
        "needs its tokenizer: the tokenizer's folder" in (error := capsys.readouterr().err) and "--tokenizer" in error
    )
    code, found = score("found", "--adapter", str(run / "adapter"), "--tokenizer", str(moved))
    assert code == 0
    assert json.loads(found.read_text())["w_f1"] == json.loads(summary.read_text())["w_f1"]


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("siglip2", "frames texts by no start, the end 1 and the padding 0, but"),
        ("clipa", "frames texts by the start 101, the end 102 and the padding 0, but"),
        ("small", "makes 300 ids, but siglip-tiny knows 1,000: it is another model's"),
        ("clips", "frames texts by the start 49406, the end 49407 and the padding 49407, but"),
        ("cut", "holds no tokenizer that can be read"),
        ("weights", "holds no tokenizer that can be read"),
        ("nowhere", "the tokenizer's folder"),
    ],
)
def test_another_models_is_one_sentence_and_nothing_is_written(
    domain, family_names, tokenizer_folders, tmp_path, capsys, folder, said
):
    pytest.importorskip("transformers")
    words = tokenizer_folders.get(folder, tmp_path / folder)
    if folder == "small":
        make("siglip", words, 300)
    elif folder == "clips":
        write_clips_own(words, 77)
    elif folder == "cut":
        shutil.copytree(tokenizer_folders["siglip"], words)
        (words / "tokenizer.json").write_bytes((words / "tokenizer.json").read_bytes()[:2000])
    elif folder == "weights":
        words.mkdir()
        (words / "model.safetensors").write_bytes(b"none")
    flags = ["classification", "--data", str(domain), "--backbone", family_names["siglip"], *RANDOM, "--device", "cpu"]
    assert evaluate.main([*flags, "--tokenizer", str(words), "--output", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:] and said in lines[-1]
    assert "Traceback" not in "".join(lines) and not (tmp_path / "out").exists()


def test_without_it_one_sentence_says_what_is_missing_and_which_flag_brings_it(
    domain, family_names, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("transformers")
    monkeypatch.setattr(downloads, "unreachable", lambda address: "huggingface.co cannot be reached")
    flags = ["classification", "--data", str(domain), "--backbone", family_names["siglip2"], *RANDOM]
    assert evaluate.main([*flags, "--output", str(tmp_path / "out"), "--device", "cpu"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: the tokenizer timm/ViT-B-16-SigLIP2 of siglip2-tiny is not on this machine")
    assert error.endswith("and give the folder as --tokenizer")
