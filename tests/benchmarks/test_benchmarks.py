"""The benchmarks run to their end on a tiny model; their own checks say that the rivals compute the same."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_the_memory_of_the_instance_evaluation_is_measured(capsys):
    import instance_memory

    instance_memory.main(["--scenes", "2", "--masks", "5", "--points", "2000"])
    assert "resident-set peak" in capsys.readouterr().out


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


@pytest.mark.slow  # two processes, which import all anew
def test_mask_features_are_measured(capsys, monkeypatch):
    monkeypatch.delenv("OPENMASK3D_ROOT", raising=False)
    import mask_features

    mask_features.main(["--views", "3", "--masks", "2", "--points", "20000", "--height", "48", "--width", "64"])
    assert "OpenMask3D's arrays" in capsys.readouterr().out
