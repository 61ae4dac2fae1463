"""office-bench-v2: what is frozen agrees with the package, every name is novel in turn, and rows are scored once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from opendas_plugin.commands.bench import main as bench_main
from opendas_plugin.commands.prepare_data import main as prepare_main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.manifest import write_manifest
from opendas_plugin.data.segments import Segment
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.office import bench
from opendas_plugin.office.bench_folds import draw_partition, fold_digest, folds, related_names, scored_names
from opendas_plugin.office.bench_means import Gap, means
from opendas_plugin.office.names import NAMES
from opendas_plugin.office.rooms import Pictures, build_room
from opendas_plugin.runs import prepare
from opendas_plugin.runs.bench_again import Reading
from opendas_plugin.runs.bench_rows import Scored, rows_of
from opendas_plugin.runs.classification import evaluate_classification
from opendas_plugin.vocabulary import Vocabulary

FROZEN = bench.V2.frozen


def test_every_scored_name_is_novel_once_in_every_partition() -> None:
    assert set(scored_names()) <= set(NAMES)
    for partition in ("1", "2", "choose"):
        thirds = [fold.novel for fold in folds((partition,))]
        assert Counter(name for third in thirds for name in third) == dict.fromkeys(scored_names(), 1)
        assert max(map(len, thirds)) - min(map(len, thirds)) <= 1
    assert {fold.part for fold in folds(("1", "2"))} == {"test"} and folds(("choose",))[0].part == "tune"


def test_the_page_says_what_is_frozen() -> None:
    page = (Path(__file__).parents[2] / "docs" / "office-bench.md").read_text("utf-8")
    counts = FROZEN["segments"]
    assert f"checksum {bench.checksum(FROZEN['digests'])}: {counts['train']:,} training" in page
    assert f"{counts['tune']:,} tune and {counts['test']:,} test segments" in page
    assert f"{len(scored_names())} names have 20 or more test segments" in page


def test_thirds_are_alike_in_what_plain_clip_knows_and_in_shared_words() -> None:
    f1 = FROZEN["zero_shot_f1"]
    words = Counter(word for name in f1 for word in name.split())
    for partition in FROZEN["partitions"]:
        thirds = [fold.novel for fold in folds((partition,))]
        means = [np.mean([f1[name] for name in third]) for third in thirds]
        sharing = [sum(any(words[word] > 1 for word in name.split()) for name in third) for third in thirds]
        assert max(means) - min(means) < 2 and max(sharing) - min(sharing) <= 1
    assert [list(fold.novel) for fold in folds(("1",))] == draw_partition(f1, 1)


def test_related_names_are_five_and_none_is_a_base_name() -> None:
    for fold in folds():
        vocabulary = Vocabulary(scored_names(), fold.novel)
        for novel in (True, False):
            database = related_names(vocabulary, novel=novel)
            database.validate(vocabulary)
            assert bool(database.leaks(vocabulary)) == novel


def test_the_rooms_are_still_drawn_as_they_are_frozen(tmp_path) -> None:
    settings = bench.V2.settings("test")
    prepare("office", output=tmp_path / "part", workers=1, **{**settings, "train_rooms": 1, "val_rooms": 1})
    domain = load_domain(tmp_path / "part")
    found = bench.digests(tmp_path / "part", domain)["office_train_000"]
    assert found["labels"] == FROZEN["digests"]["office_train_000"]["labels"]
    assert Gap.of([(means(domain)["office_train_000"], FROZEN["means"]["office_train_000"])]).is_rounding


def test_a_room_of_all_kinds_holds_things_beside_those_of_an_office() -> None:
    rooms = [build_room(5, "train", number, "all") for number in range(3)]
    names = {item.name for room in rooms for item in room.items}
    assert len(names & set(NAMES[52:])) > 40 and names <= {*NAMES, "doorway"}
    for room in rooms:
        low, high = np.array([item.bounds for item in room.items]).min((0, 1)), np.array(room.size) * (0.5, 0.5, 1)
        assert (low[:2] > -high[:2] - 0.2).all() and low[2] > -0.02


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A benchmark of a few small rooms with folds, made by the command and frozen as it came out."""
    folder = tmp_path_factory.mktemp("made") / "bench"
    pictures = asdict(replace(Pictures(), width=128, height=96, per_room=3, min_area=40, views=1))
    facts = {**FROZEN, "rooms": {"train": 1, "tune": 1, "test": 1}, "pictures": pictures}
    facts |= {"digests": {}, "means": {}, "folds": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "_frozen", lambda version: facts)
        assert prepare_main(["office-bench-v2", "--output", str(folder), "--workers", "1"]) == 1
        for part in bench.PARTS:
            domain = load_domain(folder / part)
            facts["digests"] |= bench.digests(folder / part, domain)
            facts["means"] |= means(domain)
        seen = {segment.label for segment in load_domain(folder / "test").train}
        facts["scored"] = [name for name in NAMES if name in seen]
        thirds = [facts["scored"][third::3] for third in range(3)]
        facts["partitions"] = dict.fromkeys(("1", "2", "choose"), thirds)
        facts["train_segments"] = 40
        for fold in folds():
            assert prepare_main(["office-bench-v2", "--output", str(folder), "--workers", "1"]) == 1
            facts["folds"][fold.key] = fold_digest(folder / "folds" / fold.key)
        assert prepare_main(["office-bench-v2", "--output", str(folder)]) == 0
        yield folder


def test_a_fold_learns_from_base_names_alone_and_judges_all_scored_ones(small) -> None:
    whole = load_domain(small / "test")
    for fold in folds(("1", "2")):
        domain = load_domain(small / "folds" / fold.key)
        assert domain.vocabulary.names == scored_names() and len(domain.train) <= 40
        assert not {segment.label for segment in domain.train} & set(fold.novel)
        assert len(domain.val) == sum(segment.label in scored_names() for segment in whole.val)


def test_a_changed_fold_is_refused(small, capsys) -> None:
    path = small / "folds" / "2-1" / "negatives.json"
    before = path.read_text("utf-8")
    path.write_text(before.replace('"hand"', '"foot"', 1), encoding="utf-8")
    capsys.readouterr()
    assert prepare_main(["office-bench-v2", "--output", str(small)]) == 1
    assert "is not fold 2-1 of office-bench-v2" in capsys.readouterr().err
    path.write_text(before, encoding="utf-8")


def test_a_fold_whose_masks_are_not_those_of_the_rooms_is_refused_before_anything_is_scored(
    small, tmp_path, capsys
) -> None:
    path = small / "folds" / "2-0" / "val.jsonl"
    before, segments = path.read_text("utf-8"), load_domain(small / "folds" / "2-0").val
    whole = Segment.from_mask(segments[0].image, np.ones_like(segments[0].mask()), segments[0].label, segments[0].group)
    write_manifest(path, [whole, *segments[1:]])
    command = ["--data", str(small), "--output", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    assert bench_main([*command, "--block", "quick", "--rows", "zero_shot"]) == 1
    assert "is not fold 2-0 of office-bench-v2: its masks are not those of the part" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())
    path.write_text(before, encoding="utf-8")


def test_a_row_is_scored_once_and_its_file_holds_what_its_runs_said(small, tmp_path, capsys) -> None:
    command = ["--data", str(small), "--output", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    assert bench_main([*command, "--block", "quick", "--rows", "zero_shot"]) == 0
    path = tmp_path / "results" / "quick" / "zero_shot.json"
    written, scored = path.read_bytes(), Scored.load(path)
    for fold in folds(("1",)):
        folder = tmp_path / "runs" / "runs" / "zero_shot" / fold.key / "seed0" / "before"
        lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]
        found = scored.found["before"][fold.key]
        assert [scored_names()[place] for place in found.predictions[0]] == [line["prediction"] for line in lines]
        kinds = [line["own_kind"] for line in lines]
        assert [scored_names()[place] for place in found.own_kind[0]] == kinds
    assert json.loads(written)["drawn"].startswith(
        f"office-bench-v2, checksum {bench.checksum(bench.V2.frozen['digests'])}"
    )
    assert bench_main([*command, "--block", "quick", "--rows", "zero_shot"]) == 0
    assert path.read_bytes() == written
    content = json.loads(written)
    path.write_text(json.dumps({**content, "tower": "other"}), encoding="utf-8")
    capsys.readouterr()
    assert bench_main([*command, "--block", "quick", "--rows", "zero_shot"]) == 1
    assert "the row zero_shot in" in (error := capsys.readouterr().err) and "is of another tower (other, now" in error


def test_a_setting_that_was_chosen_on_another_tower_is_not_taken(small, tmp_path, capsys) -> None:
    command = ["--data", str(small), "--output", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    known = {"bench": f"office-bench-v2 {bench.checksum(bench.V2.frozen['digests'])}", "block": "tuned"}
    path = tmp_path / "results" / "tuned" / "ln_bias.choice.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**known, "tower": "other", "chosen": "lr0.001"}), encoding="utf-8")
    assert bench_main([*command, "--block", "tuned", "--rows", "ln_bias"]) == 1
    assert "ln_bias.choice.json was made with another tower (other, now" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tuned_row_takes_the_setting_that_is_best_on_the_fold_to_choose_on(small, tmp_path) -> None:
    command = ["--data", str(small), "--output", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    assert bench_main([*command, "--block", "tuned", "--rows", "ln_bias", "--jobs", "2"]) == 0
    row = next(row for row in rows_of("tuned") if row.title == "ln_bias")
    harmonic = {}
    for setting in row.settings or {}:
        folder = tmp_path / "runs" / "runs" / f"ln_bias__{setting}" / "choose-0"
        found = [json.loads((folder / f"seed{seed}" / "after" / "summary.json").read_text("utf-8")) for seed in (0, 1)]
        base, novel = (np.mean([summary[metric] for summary in found]) for metric in ("b_f1", "n_f1"))
        harmonic[setting] = 2 * base * novel / (base + novel) if base and novel else 0.0
    scored = json.loads((tmp_path / "results" / "tuned" / "ln_bias.json").read_text("utf-8"))
    assert harmonic[scored["setting"]] == pytest.approx(max(harmonic.values())) and scored["tried"] == 6
    judged = {path.parent.name for path in (tmp_path / "runs" / "runs").glob("*/[12]-*/seed0")}
    assert judged == {"1-0", "1-1", "1-2", "2-0", "2-1", "2-2"}
    assert {path.parents[1].name for path in (tmp_path / "runs" / "runs").glob("*/[12]-*/seed0")} == {
        f"ln_bias__{scored['setting']}"
    }  # only the chosen setting is scored on the test rooms


@pytest.mark.slow
def test_a_row_that_reads_adapters_again_says_what_an_evaluation_says(small, tmp_path) -> None:
    command = ["--data", str(small), "--output", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    title = "zero_shot, five segments a name"
    assert bench_main([*command, "--block", "tuned", "--rows", title, "--jobs", "2"]) == 0
    row = next(row for row in rows_of("tuned") if row.title == title)
    found = Scored.load(row.file(tmp_path / "results" / "tuned"))
    weight = (row.settings or {})[found.facts["setting"]]["support_weight"]
    fold, support = small / "folds" / "1-1", small / "test" / "train.jsonl"
    crops = {"background": "mean", "expand": 0.3, "resize": "center"}
    settings = {"support": (support,), "support_shots": 5, "support_weight": weight, **crops}
    evaluate_classification(fold, tmp_path / "again", backbone="office-tiny", **settings)
    lines = (tmp_path / "again" / "predictions.jsonl").read_text("utf-8").splitlines()
    given = [scored_names()[place] for place in found.found["before"]["1-1"].predictions[0]]
    assert given == [json.loads(line)["prediction"] for line in lines]
    plain = [json.loads(line)["prediction"] for line in _plain(tmp_path, "1-1").read_text("utf-8").splitlines()]
    assert given != plain


def test_a_calibrated_reading_takes_its_constant_from_learnt_names_alone(small) -> None:
    clip = OpenDASCLIP.from_backbone("office-tiny")
    names = load_domain(small / "folds" / "1-1").vocabulary
    clip.config = replace(clip.config, base_names=names.base)
    labeller = Reading(calibration=0.03).of(clip, small / "folds" / "1-1", small / "test")
    cosines = torch.rand(50, len(labeller.classes), generator=torch.Generator().manual_seed(0)) / 10
    learnt = torch.tensor([name in set(names.base) for name in labeller.classes])
    assert 0 < learnt.sum() < len(learnt)
    expected = (cosines - 0.03 * learnt).argmax(dim=1)
    assert torch.equal(labeller.text.choose(cosines), expected)
    assert not torch.equal(expected, cosines.argmax(dim=1))


def _plain(folder: Path, fold: str) -> Path:
    return folder / "runs" / "runs" / "zero_shot" / fold / "seed0" / "before" / "predictions.jsonl"


def test_every_row_to_be_tuned_has_six_settings() -> None:
    assert {len(row.settings or ()) for row in rows_of("tuned") if row.learns or row.of} == {6}
    assert all(row.settings is None for row in rows_of("published"))
    assert len(rows_of("quick")) == 5


def test_an_unknown_row_is_refused(small, tmp_path, capsys) -> None:
    command = ["--data", str(small), "--output", str(tmp_path / "a"), "--results", str(tmp_path / "b")]
    assert bench_main([*command, "--rows", "opendas2"]) == 2
    assert "--rows 'opendas2' is no row of published; choose of zero_shot" in capsys.readouterr().err
