"""The benchmarks run to their end on a tiny model; their own checks say that the rivals compute the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image

from opendas_plugin.vocabulary import Vocabulary
from tests.conftest import TINY

FOLDER = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_on_path(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)


def test_text_features_are_compared_and_timed(tiny_backbone, capsys):
    import text_features

    text_features.main(["--backbone", tiny_backbone, "--names", "12", "--repeats", "1"])
    table = capsys.readouterr().out
    assert "open_clip encode_text" in table
    assert "OpenDASCLIP.encode_text" in table


def test_the_labeller_is_compared_with_a_loop_by_hand_and_timed(capsys):
    import labeller

    few = ["--width", "120", "--height", "90", "--masks", "3", "--repeats", "1"]
    labeller.main(few)
    table = capsys.readouterr().out
    assert "a loop by hand" in table
    assert "Labeller" in table
    with pytest.raises(SystemExit, match="differ"):
        labeller.main([*few, "--tolerance", "-1"])


def test_unequal_text_features_are_an_error(tiny_backbone):
    import text_features

    with pytest.raises(SystemExit, match="differ"):
        text_features.main(["--backbone", tiny_backbone, "--names", "12", "--tolerance", "-1"])


def test_both_stages_are_compared_and_timed(tiny_backbone, capsys):
    import train_step

    train_step.main(["--backbone", tiny_backbone, "--names", "12", "--repeats", "1", "--batch-sizes", "4"])
    output = capsys.readouterr().out
    for row in ("naive step", "stage 2 from cache", "bare tower", "stage 1", "crops from disk", "waits for its data"):
        assert row in output


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is known on Linux alone")
def test_options_of_stage_1_are_compared_and_their_memory_measured():
    """In a process of its own, since it forks, which threads of this one would not survive."""
    import first_stage

    command = [sys.executable, first_stage.__file__, "--backbone", "office-tiny", "--names", "12"]
    done = subprocess.run([*command, "--repeats", "1", "--batch-size", "4"], capture_output=True, text=True, check=True)
    rows = done.stdout.splitlines()[2:]
    assert [row.split("  ")[0] for row in rows] == [*first_stage.VARIANTS[:4]]
    assert all(row.endswith("the same bits") for row in rows[:2])


def test_the_formula_of_stage_1_has_the_memory_that_torch_counts(tmp_path, capsys):
    """On 145 tokens, since it leaves what is learnt itself and the numbers of each token out."""
    import costs
    from train_step import Bench, Options

    vision = {"image_size": 48, "layers": 3, "width": 128, "patch_size": 4, "head_width": 64}
    (tmp_path / "test-fine.json").write_text(json.dumps({**TINY, "vision_cfg": vision}))
    open_clip.add_model_config(tmp_path / "test-fine.json")
    counted = costs.kept(Bench(Options(backbone="test-fine", names=12)), 6)
    tower = costs.Tower.of("test-fine")
    assert 6 * tower.kept(bf16=False, recompute=False) / 2**30 == pytest.approx(counted, rel=0.02)
    assert tower.kept(bf16=False, recompute=True) < tower.kept(bf16=False, recompute=False)
    costs.main(["--backbones", "test-fine", "--batch-sizes", "16"])
    assert "GiB checkpointed" in capsys.readouterr().out


def test_the_memory_of_the_instance_evaluation_is_measured(capsys):
    import instance_memory

    instance_memory.main(["--scenes", "2", "--masks", "5", "--points", "2000"])
    assert "resident-set peak" in capsys.readouterr().out


def test_intervals_hold_the_truth_about_as_often_as_they_say(capsys):
    import interval_coverage

    interval_coverage.main(["--repeats", "60", "--draws", "20", "--designs", "0"])
    for line in capsys.readouterr().out.splitlines()[1:]:
        assert 85 < float(line.split("%")[0].split()[-1]) <= 100  # 95, and of 60 test sets' chance 3


def test_many_segments_are_prepared_loaded_and_cropped(tmp_path, capsys):
    import segments

    rows = ["prepare, 2 workers", "crop and pack, 1 worker"]
    segments.main(["--segments", "300", "--size", "16", "--folder", str(tmp_path), "--rows", *rows])
    found = capsys.readouterr().out.splitlines()[-2:]
    assert [(line[:24].strip(), line.split()[-4]) for line in found] == list(zip(rows, ("300", "200"), strict=True))


def test_methods_are_compared_with_the_plain_way_and_timed(tiny_backbone, capsys):
    import methods as benchmark

    benchmark.main(["--backbone", tiny_backbone, "--names", "12", "--images", "2", "--repeats", "1"])
    table = capsys.readouterr().out
    for row in ("classifier()", "tokens behind masks", "tokens that read", "what is frozen once"):
        assert row in table


def test_unequal_results_of_methods_are_an_error(tiny_backbone):
    import methods as benchmark

    with pytest.raises(SystemExit, match="the results differ"):
        benchmark.main(["--backbone", tiny_backbone, "--names", "5", "--images", "1", "--tolerance", "-1"])


def test_a_folds_label_maps_and_clouds_have_its_own_names(tmp_path):
    import predicted_masks

    test, fold = tmp_path / "bench" / "test", tmp_path / "bench" / "folds" / "1-0"
    room = test / "scenes" / "office_test_000"
    for folder in (fold, room / "class", room / "color", test / "ground_truth"):
        folder.mkdir(parents=True)
    Vocabulary(("wall", "lamp", "sofa")).save(test / "vocabulary.json")
    Vocabulary(("sofa", "wall"), novel=("wall",)).save(fold / "vocabulary.json")
    Image.fromarray(np.array([[0, 1], [2, 255]], np.uint8)).save(room / "class" / "0.png")
    (test / "ground_truth" / "office_test_000.txt").write_text("1007\n2008\n3009\n0\n")
    options = predicted_masks.Options(data=tmp_path / "bench", output=tmp_path / "out")
    folder = predicted_masks.view(options, "1-0")
    assert np.array(Image.open(folder / "scenes/office_test_000/class/0.png")).tolist() == [[1, 255], [0, 255]]
    assert (folder / "ground_truth/office_test_000.txt").read_text().split() == ["2007", "0", "1009", "0"]
    assert (folder / "classes.txt").read_text() == "1 sofa\n2 wall\n"
    assert (folder / "scenes/office_test_000/color").resolve() == room / "color"
    assert (folder / "../../test").resolve() == test, "where the manifests' pictures are"


def test_the_best_two_settings_see_the_second_fold_and_the_better_mean_is_chosen(tmp_path, monkeypatch):
    import tune

    means = {"fold0": {"a": 50.0, "b": 40.0, "c": 45.0}, "fold1": {"a": 30.0, "b": 99.0, "c": 36.0}}
    trained = []

    def scores(data, output, rows, options):
        names = [Path(row.partition("@")[2]).stem for row in rows]
        trained.append(names)
        return {name: {"mean": means[data.name][name]} for name in names}

    monkeypatch.setattr(tune, "scores", scores)
    options = tune.Options(data=tmp_path, output=tmp_path)
    found = tune.tune("vpt", {"batch_size": 8}, {name: {} for name in "abc"}, options)
    assert trained == [["a", "b", "c"], ["a", "c"]]
    assert found["chosen"] == "c"


@pytest.mark.slow  # five processes, which import all anew
def test_methods_are_tuned_on_two_folds(domain, tmp_path, capsys):
    import tune

    settings = tmp_path / "settings.yaml"
    quick = "{joint: {epochs: 1}, text: {epochs: 1}, batch_size: 8, workers: 0}"
    settings.write_text(f"common: {quick}\nmethods:\n  wise_ft_text:\n    a: {{}}\n    b: {{seed: 1}}\n    c: {{}}\n")
    tune.main(["--data", str(domain), "--output", str(tmp_path / "out"), "--settings", str(settings)])
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[:2] for line in lines] == [["wise_ft_text", name] for name in "abc"]
    assert sum(line.endswith("yes") for line in lines) == 1
    assert json.loads((tmp_path / "out" / "results.json").read_text())["wise_ft_text"]["chosen"] in "abc"


@pytest.mark.slow  # two processes, which import all anew
def test_mask_features_are_measured(capsys, monkeypatch):
    monkeypatch.delenv("OPENMASK3D_ROOT", raising=False)
    import mask_features

    mask_features.main(["--views", "3", "--masks", "2", "--points", "20000", "--height", "48", "--width", "64"])
    assert "OpenMask3D's arrays" in capsys.readouterr().out


def test_sizes_name_what_the_core_brings(capsys):
    import sizes

    sizes.main()
    rows = dict(line.strip("| ").split(" | ", 1) for line in capsys.readouterr().out.splitlines())
    assert {"torch", "scipy", "all"} <= rows.keys()
    assert rows["trimesh"].endswith("MIT") and int(rows["torch"].split(" | ")[0]) > 50


@pytest.mark.slow  # torch's exporter takes its time
def test_libraries_and_runtimes_are_compared_and_timed(capsys):
    for package in ("onnxruntime", "onnxscript", "transformers"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    import exports

    few = ["--width", "120", "--height", "90", "--masks", "3", "--names", "4", "--repeats", "1"]
    exports.main(["--models", "office-tiny", *few])
    table = capsys.readouterr().out
    for row in ("open_clip", "transformers", "Labeller", "images, onnxruntime", "texts trimmed, onnxruntime"):
        assert row in table
    with pytest.raises(SystemExit, match="differ"):
        exports.main(["--models", "office-tiny", *few, "--tolerance", "-1"])


def test_tables_of_a_document_keep_their_heads_and_get_new_rows():
    import office_tables

    head = "| row | tower | W-F1 |\n| --- | --- | ---: |\n"
    document = (
        f"Before.\n\n{head}| old | `a` | 1.0 |\n| | `b` | 2.0 |\n\nBetween.\n\n| other | table |\n\n"
        f"{head}| old | `a` | 3.0 |\n\nAfter.\n"
    )
    first, second = ["| new | `a` | 4.0 |"], ["| new | `a` | 5.0 |", "| | `b` | 6.0 |"]
    found = office_tables.replaced(document, [("| row |", first), ("| row |", second)])
    assert found == (
        f"Before.\n\n{head}| new | `a` | 4.0 |\n\nBetween.\n\n| other | table |\n\n"
        f"{head}| new | `a` | 5.0 |\n| | `b` | 6.0 |\n\nAfter.\n"
    )
    assert office_tables.words_of("zero_shot, five segments a name") == "plain CLIP, five segments of each name"
