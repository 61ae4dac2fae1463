"""Stock and adapted side by side: two runs of the stand-in's evaluation, and one table with the difference."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from sklearn.metrics import jaccard_score, recall_score

from integrations.ovseg import OVSegError, datasets, evaluate, launcher
from integrations.ovseg.inputs import run_inputs
from opendas_plugin.errors import ConfigError
from opendas_plugin.eval.label_maps import Labelling
from opendas_plugin.label_values import LabelValues
from opendas_plugin.model.naming import CONFIG_FILE
from opendas_plugin.stamps import Inputs
from tests.integrations.ovseg.conftest import CHECKOUT

ROOT = Path(__file__).parents[3]
CLASSES = ["desk", "office chair", "wall"]


@pytest.fixture
def own(tmp_path) -> Path:
    """Two labelled pictures, as JSON describes them."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / "mine" / name).mkdir(parents=True)
    for stem in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(tmp_path / f"mine/images/{stem}.jpg")
        labels = rng.integers(0, 3, (40, 48), dtype=np.uint8)
        labels[:4] = 7
        Image.fromarray(labels).save(tmp_path / f"mine/labels/{stem}.png")
    described = {"name": "mine", "images": "images", "labels": "labels", "classes": CLASSES, "ignore": 7}
    path = tmp_path / "mine" / "dataset.json"
    path.write_text(json.dumps(described))
    return path


def truth_and_prediction(own, predictions):
    """All labelled pixels of the dataset, and what was predicted for them."""
    predicted = {stem: np.full((40, 48), -1) for stem in ("a", "b")}
    for row in json.loads(predictions.read_text()):
        predicted[Path(row["file_name"]).stem][coco_mask.decode(row["segmentation"]) == 1] = row["category_id"]
    labels = {stem: np.array(Image.open(own.parent / "labels" / f"{stem}.png")) for stem in predicted}
    counted = np.concatenate([labels[stem][labels[stem] != 7] for stem in labels])
    return counted, np.concatenate([predicted[stem][labels[stem] != 7] for stem in labels])


def test_both_runs_are_scored(python, own, adapter, clip_file, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(adapter, tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / CONFIG_FILE).read_text())
    config["training"]["pictures"] = [hashlib.sha256((own.parent / "images" / "a.jpg").read_bytes()).hexdigest()[:12]]
    (tmp_path / "adapter" / CONFIG_FILE).write_text(json.dumps(config))
    flags = ["--output", out, "--opendas-dataset", own, "--opendas-cache", "off"]
    flags += ["--opendas-adapter", tmp_path / "adapter"]
    done = python("-m", "integrations.ovseg", "evaluate", *flags, "CLIP_MODEL_NAME", clip_file)
    assert done.returncode == 0, done.stderr

    summary = json.loads((out / "summary.json").read_text())
    for name in ("stock", "adapted"):
        labels, guesses = truth_and_prediction(own, out / name / "inference" / "sem_seg_predictions.json")
        assert summary[name]["miou"] == pytest.approx(100 * jaccard_score(labels, guesses, average="macro"))
        assert summary[name]["macc"] == pytest.approx(100 * recall_score(labels, guesses, average="macro"))
        assert summary[name] == json.loads((out / name / "summary.json").read_text())
    assert summary["stock"]["miou"] != summary["adapted"]["miou"]
    assert summary["adapted"]["learnt_pictures"] == 1 and "learnt_pictures" not in summary["stock"]
    assert "has learnt from 1 of 2 pictures that it is judged by" in done.stderr

    header, stock, _, difference = (out / "table.txt").read_text().splitlines()
    assert header.split()[:2] == ["mIoU", "mAcc"] and done.stdout.endswith(difference + "\n")
    assert float(stock.split()[1]) == pytest.approx(summary["stock"]["miou"], abs=0.005)
    gain = summary["adapted"]["miou"] - summary["stock"]["miou"]
    assert float(difference.split()[1]) == pytest.approx(gain, abs=0.005)
    with open(out / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == CLASSES
    gains = [float(row["iou_adapted"]) - float(row["iou_stock"]) for row in rows]
    assert [float(row["iou_difference"]) for row in rows] == pytest.approx(gains)
    assert np.mean(gains) == pytest.approx(gain, abs=1e-3)


@pytest.fixture
def runs(monkeypatch):
    """The commands that would have been run, in the place of running them."""
    commands = []

    def run(command, env):
        commands.append(command)
        output = Path(command[command.index("OUTPUT_DIR") + 1])
        (output / "inference").mkdir(parents=True, exist_ok=True)
        (output / "inference" / "sem_seg_predictions.json").write_text("[]")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_a_run_is_made_again_where_anything_it_reads_changed_and_says_what(runs, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DETECTRON2_DATASETS", raising=False)
    out = tmp_path / "adapted"
    names = ("dataset.json", "w.pth", "sub/base.yaml", "c.yaml", "in_base.pth", "clip.pt", "root/train_net.py", "0.jpg",
             "root/open_vocab_seg/config.py", ".cache/clip/ViT-B-16.pt", ".cache/clip/ViT-L-14.pt")  # fmt: skip
    contents = {
        "c.yaml": "_BASE_: sub/base.yaml\nMODEL: {CLIP_ADAPTER: {CLIP_MODEL_NAME: clip.pt}}\n"
        'MIN_SIZE_TRAIN: !!python/object/apply:eval ["[int(x) for x in range(5)]"]',  # as OVSeg's have it
        "sub/base.yaml": "MODEL: {WEIGHTS: in_base.pth, OTHER: ViT-L/14}",
        "root/open_vocab_seg/config.py": 'CLIP_MODEL_NAME = "ViT-B/16"',
    }
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(contents.get(name, "x"))
    given = ["--config-file=c.yaml", "MODEL.WEIGHTS", "w.pth"]

    def made_again(arguments=given):
        before = len(runs)
        arguments = ["OUTPUT_DIR", str(out), *arguments]
        files = ([Path("0.jpg")], [Path("dataset.json")])
        evaluate.run(out, arguments, run_inputs(tmp_path / "root", arguments, *files))
        return len(runs) > before

    assert made_again() and not made_again()
    assert made_again([*given, "TEST", "1"]) and "arguments" in caplog.text
    assert made_again() and not made_again()
    monkeypatch.setenv("DETECTRON2_DATASETS", "/elsewhere")
    assert made_again() and 'DETECTRON2_DATASETS was null, now "/elsewhere"' in caplog.text and not made_again()
    for name in names:
        caplog.clear()
        Path(name).write_text(contents.get(name, "x") + " ")
        assert made_again(), name
        assert f"{tmp_path / name} has changed" in caplog.text
        assert not made_again(), name
    (out / "inference" / "sem_seg_predictions.json").write_text("[ ]")
    assert made_again() and "sem_seg_predictions.json has changed" in caplog.text
    (out / "inference" / "sem_seg_predictions.json").unlink()
    assert made_again() and not made_again()
    (out / "done.json").write_text('{"arguments": [], "sha256": {}}')
    assert made_again() and "an earlier version did not write down" in caplog.text


def test_a_run_that_failed_is_one_sentence_and_not_taken_for_done(monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", lambda command, env: subprocess.CompletedProcess(command, 3))
    with pytest.raises(ConfigError, match=r"run of OVSeg ended with exit code 3"):
        evaluate.run(tmp_path / "stock", [], Inputs())
    assert not (tmp_path / "stock" / "done.json").exists()


def test_names_that_the_adapter_was_not_trained_on_are_novel(adapter, tmp_path):
    assert evaluate.untrained(CLASSES, adapter) == ()  # it does not say what it was trained on
    config = json.loads((adapter / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, "base_names": ["Walls", "lamp"]}))
    (tmp_path / "adapter.safetensors").write_bytes((adapter / "adapter.safetensors").read_bytes())
    assert evaluate.untrained(CLASSES, tmp_path) == ("desk", "office chair")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "x"], "--opendas-adapter"),
        (["--opendas-adapter", "x", "--output", "x", "OUTPUT_DIR", "y"], "OUTPUT_DIR is set by this command"),
        (["--opendas-adapter", "x", "--output", "x", "--clip-backend=stock"], "set by this command"),
        (["--opendas-adapter", "x", "--output", "x", "--opendas-text", "none"], "invalid choice"),
        (
            ["--opendas-adapter", "x", "--output", "x", "--dataset", "ade20k", "--opendas-dataset", "y"],
            "--dataset has no effect beside --opendas-dataset",
        ),
    ],
)
def test_bad_usage_ends_with_2(arguments, message, capsys):
    assert evaluate.main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "stock", "adapted"),
    [
        (["--opendas-chunk=3", "--opendas-text", "clip"], [], ["--opendas-text", "clip", "--opendas-chunk", "3"]),
        (["--opendas-base", "clip"], ["--opendas-base", "weights"], ["--opendas-base", "clip"]),
    ],
)
def test_the_adapters_flags_go_to_its_run_alone(given, stock, adapted, host, adapter, tmp_path, monkeypatch):
    runs = {}
    dataset = evaluate.Dataset("mine", tmp_path, ("desk",), Labelling(*[LabelValues.places(1)] * 2))
    monkeypatch.setattr(evaluate, "install", lambda settings: None)
    monkeypatch.setattr(evaluate, "read_dataset", lambda name: dataset)
    monkeypatch.setattr(evaluate, "run", lambda output, arguments, inputs: runs.update({output.name: arguments}))
    monkeypatch.setattr(evaluate, "score", lambda *given: {})
    monkeypatch.setattr(evaluate, "format_comparison", lambda summaries: "")
    monkeypatch.setattr(evaluate, "_write_per_class", lambda output: None)
    monkeypatch.setattr(evaluate, "write_json", lambda path, value: None)
    monkeypatch.chdir(CHECKOUT)
    evaluate.evaluate(["--opendas-adapter", str(adapter), "--output", str(tmp_path / "out"), *given, "--num-gpus", "2"])
    common = ["--num-gpus", "2", "DATASETS.TEST", '("mine",)', "OUTPUT_DIR"]
    assert runs["stock"] == [*stock, *common, str(tmp_path / "out" / "stock")]
    opendas = ["--clip-backend", "opendas", "--opendas-adapter", str(adapter)]
    assert runs["adapted"] == [*opendas, *adapted, *common, str(tmp_path / "out" / "adapted")]


def test_missing_adapter_is_one_sentence(tmp_path, capsys):
    flags = ["--opendas-adapter", str(tmp_path / "none"), "--output", str(tmp_path / "out")]
    assert evaluate.main(flags) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture
def catalogs(host):
    """detectron2's catalogs, as they were afterwards."""
    from detectron2 import data

    before = [(catalog, dict(catalog)) for catalog in (data.DatasetCatalog, data.MetadataCatalog)]
    yield data
    for catalog, content in before:
        catalog.clear()
        catalog.update(content)


def test_own_dataset_is_registered_as_ovseg_wants_it(catalogs, own):
    datasets.register(own)
    (record, _) = catalogs.DatasetCatalog.get("mine")
    assert record == {
        "file_name": str(own.parent / "images" / "a.jpg"),
        "sem_seg_file_name": str(own.parent / "labels" / "a.png"),
    }
    record["meta"] = {}  # OVSeg adds it to the records, and refuses ones that have it
    assert "meta" not in catalogs.DatasetCatalog.get("mine")[0]
    dataset = evaluate.read_dataset("mine")
    pictures = tuple(own.parent / "images" / name for name in ("a.jpg", "b.jpg"))
    found = (dataset.name, dataset.labels, dataset.names, dataset.pictures)
    assert found == ("mine", own.parent / "labels", tuple(CLASSES), pictures)
    labels = LabelValues.places(len(CLASSES), ignored=(7,))
    assert dataset.labelling == Labelling(labels, LabelValues.places(len(CLASSES)))
    ids = {11: 0, 13: 1, 90: 2}  # as COCO-Stuff has them, with gaps: detectron2 writes these into its predictions
    catalogs.MetadataCatalog.get("mine").set(stuff_dataset_id_to_contiguous_id=ids)
    numbers = Labelling(labels, LabelValues(((11,), (13,), (90,))))
    assert evaluate.read_dataset("mine").labelling == numbers


def test_unknown_dataset_is_an_error_that_lists_those_known(catalogs):
    with pytest.raises(ConfigError, match=r"no semantic dataset 'mine'.*ade20k_sem_seg_val"):
        evaluate.read_dataset("mine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": "desk"}, "list of names"),
        ({"classes": []}, "list of names"),
        ({"classes": ["desk,", "wall"]}, r"'desk,' is no name of a class; take the comma away"),
        ({"classes": ["desk", " "]}, r"' ' is no name of a class"),
        ({"classes": {"desk": 3, "wall": 7}}, r"counts classes from 0: python -m integrations.ovseg convert .*dataset"),
        ({"ignore": [7, 9]}, "integrations.ovseg convert"),
        ({"ignore": [7, "x"]}, "whole number"),
        ({"extra": 1}, "expected the fields"),
        ({"name": "ade20k_sem_seg_val"}, "already has a dataset"),
        ({"labels": "nowhere"}, "nowhere is not a folder with label PNGs"),
        ({"images": "labels/.."}, r"no picture for .*a\.png \(2 such"),
    ],
)
def test_a_wrong_description_is_one_sentence(catalogs, own, change, message):
    own.write_text(json.dumps({**json.loads(own.read_text()), **change}))
    with pytest.raises(OVSegError, match=message):
        datasets.register(own)


def test_a_missing_description_is_one_sentence(catalogs, tmp_path):
    with pytest.raises(OVSegError, match="could not be read"):
        datasets.register(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("test", "message"),
    [(("mine",), ""), (("ade20k_sem_seg_val",), r"DATASETS.TEST is ade20k_sem_seg_val; add .*'\(.mine.,\)'")],
)
def test_an_own_dataset_that_the_configuration_does_not_name_is_refused(own, test, message):
    cfg = SimpleNamespace(DATASETS=SimpleNamespace(TEST=test, TRAIN=()))
    with pytest.raises(OVSegError, match=message) if message else contextlib.nullcontext():
        datasets.require_used(own, cfg)


def test_label_values_with_gaps_are_converted(own, catalogs, tmp_path, capsys):
    values = np.array([40, 3, 17])  # of what is 0, 1, 2 in the maps
    for path in (own.parent / "labels").iterdir():
        labels = np.array(Image.open(path))
        gaps = np.where(labels == 7, 0, values[labels.clip(max=2)]).astype(np.uint8)
        gaps[5, :4] = 18  # another number of the third class
        Image.fromarray(gaps).save(path)
    described = json.loads(own.read_text())
    gapped = {**described, "classes": {"desk": 40, "office chair": 3, "wall": [17, 18]}, "ignore": [0, 255]}
    own.write_text(json.dumps(gapped))
    output = tmp_path / "converted"
    assert launcher.main(["convert", str(own), "--output", str(output)]) == 0
    assert "2 label maps of 3 classes, 255 is ignored" in capsys.readouterr().out
    for path in (own.parent / "labels").iterdir():
        gaps, places = np.array(Image.open(path)), np.array(Image.open(output / "labels" / path.name))
        expected = {40: 0, 3: 1, 17: 2, 18: 2, 0: 255}
        assert np.array_equal(places, np.vectorize(expected.get)(gaps))
    datasets.register(output / "dataset.json")
    (record, _) = catalogs.DatasetCatalog.get("mine")
    assert Path(record["file_name"]).resolve() == own.parent / "images" / "a.jpg"
    assert evaluate.read_dataset("mine").names == tuple(CLASSES)
    assert launcher.main(["convert", str(own), "--output", str(output)]) == 1  # what is there stays
    assert "is not empty" in capsys.readouterr().err
    own.write_text(json.dumps({**gapped, "ignore": 255}))
    assert launcher.main(["convert", str(own), "--output", str(tmp_path / "again")]) == 1
    assert "label" in capsys.readouterr().err and not (tmp_path / "again").exists()
    folder = own.parent / "labels"
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    assert launcher.main(["convert", str(own), "--output", str(tmp_path / "again")]) == 1
    assert "c.png has no picture in" in capsys.readouterr().err
    (folder / "deep").mkdir()
    (folder / "c.png").rename(folder / "deep" / "a.png")
    assert launcher.main(["convert", str(own), "--output", str(tmp_path / "again")]) == 1
    assert "label maps in sub-folders (deep/a)" in capsys.readouterr().err and not (tmp_path / "again").exists()
