"""office-bench-v1: what is frozen agrees with the package, and a change of one label, mask or pixel is seen."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.manifest import write_manifest
from opendas_plugin.data.segments import Segment
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.office import bench
from opendas_plugin.office.bench_means import Gap, means
from opendas_plugin.office.names import BASE, NOVEL_TEST, NOVEL_TUNE
from opendas_plugin.office.rooms import Pictures
from opendas_plugin.runs import prepare
from opendas_plugin.train.recipe import read_recipe

ROOT = Path(__file__).parents[2]
FROZEN = bench.V1.frozen


def test_what_is_frozen_is_what_the_default_command_makes() -> None:
    assert {name: tuple(names) for name, names in FROZEN["names"].items()} == {
        "base": BASE, "tune": NOVEL_TUNE, "test": NOVEL_TEST,
    }  # fmt: skip
    assert (FROZEN["seed"], FROZEN["rooms"], bench.V1.pictures()) == (
        0, {"train": 44, "tune": 28, "test": 28}, Pictures(),
    )  # fmt: skip
    rooms = [f"office_{split}_{number:03d}" for split, count in FROZEN["rooms"].items() for number in range(count)]
    assert list(FROZEN["digests"]) == rooms


def test_the_protocol_is_what_the_package_has() -> None:
    crops = read_recipe("office").crops
    assert FROZEN["crops"] == {name: value for name, value in crops.to_dict().items() if name != "size"}
    related = json.loads((ROOT / "opendas_plugin" / "office" / "negatives.json").read_text("utf-8"))
    assert bench.checksum(related) == FROZEN["related_names"]
    clip = OpenDASCLIP.from_backbone(FROZEN["backbone"]["name"], prompts=PromptConfig(), device="cpu")
    assert clip.config.backbone_sha256 == FROZEN["backbone"]["sha256"]
    page = (ROOT / "docs" / "office-bench-v1.md").read_text("utf-8")
    assert bench.checksum(FROZEN["digests"]) in page
    assert all(f"{count:,}" in page for count in FROZEN["segments"].values())


def test_the_rooms_are_still_drawn_as_they_are_frozen(tmp_path) -> None:
    prepare("office", output=tmp_path / "part", train_rooms=1, val_rooms=1, pictures=bench.V1.pictures(), workers=1)
    domain = load_domain(tmp_path / "part")
    found = bench.digests(tmp_path / "part", domain)["office_train_000"]
    assert found["labels"] == FROZEN["digests"]["office_train_000"]["labels"]
    assert Gap.of([(means(domain)["office_train_000"], FROZEN["means"]["office_train_000"])]).is_rounding
    # which segments of rare names a validation room has depends on the other rooms, too


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A benchmark of two small rooms a part, made by the command and frozen as it came out."""
    folder = tmp_path_factory.mktemp("made") / "bench"
    pictures = asdict(replace(Pictures(), width=96, height=72, per_room=2, min_area=30))
    facts = {**FROZEN, "rooms": {"train": 1, "tune": 1, "test": 1}, "pictures": pictures, "digests": {}, "means": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "_frozen", lambda version: facts)
        assert main(["office-bench-v1", "--output", str(folder), "--workers", "1"]) == 1  # nothing is frozen yet
        for part in bench.PARTS:
            domain = load_domain(folder / part)
            facts["digests"] |= bench.digests(folder / part, domain)
            facts["means"] |= means(domain)
        yield folder


@pytest.fixture
def small(made, tmp_path) -> Path:
    """A copy to change, as another machine has it."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_the_command_checks_what_lies_there_and_makes_what_does_not(small, capsys) -> None:
    capsys.readouterr()
    (small / "test" / "negatives.json").unlink()  # as earlier versions left it
    assert main(["office-bench-v1", "--output", str(small)]) == 0
    assert f"{small} is office-bench-v1, checksum " in capsys.readouterr().out
    related = json.loads((small / "test" / "negatives.json").read_text("utf-8"))
    assert bench.checksum(related) == FROZEN["related_names"]
    shutil.rmtree(small / "tune")
    assert main(["office-bench-v1", "--output", str(small), "--workers", "1"]) == 0  # the same again


def test_other_drawing_packages_are_named_before_anything_is_drawn(small, caplog, monkeypatch) -> None:
    monkeypatch.setattr(bench, "_version", lambda name: "0.1" if name == "pillow" else FROZEN["made_with"][name])
    assert main(["office-bench-v1", "--output", str(small)]) == 0
    assert not [message for message in caplog.messages if "pillow" in message]  # nothing is to be drawn
    shutil.rmtree(small / "tune")
    assert main(["office-bench-v1", "--output", str(small), "--workers", "1"]) == 0
    wanted = f"pillow=={FROZEN['made_with']['pillow']}"
    said = next(message for message in caplog.messages if "pillow" in message)
    assert said.startswith(f"office-bench-v1 was drawn with {wanted}, here is pillow 0.1: ")
    assert said.endswith(f"pip install {wanted}")


def test_other_data_is_not_the_benchmark(small, domain, capsys) -> None:
    shutil.rmtree(small / "tune")
    shutil.copytree(domain, small / "tune")
    assert main(["office-bench-v1", "--output", str(small)]) == 1
    error = capsys.readouterr().err
    assert "the names of tune, the rooms of tune differ" in error and "figures cannot be compared" in error


def relabel(folder: Path, segment: Segment) -> Segment:
    return replace(segment, label="floor" if segment.label == "wall" else "wall")


def cut(folder: Path, segment: Segment) -> Segment:
    return without(segment, int(segment.mask().sum()) // 4)


def darken(folder: Path, segment: Segment) -> Segment:
    pixels = np.array(Image.open(segment.image))
    Image.fromarray(pixels // 2).save(segment.image, "PNG")
    return segment


def cut_one_pixel(folder: Path, segment: Segment) -> Segment:
    return without(segment, 1)


def paint_one_pixel(folder: Path, segment: Segment) -> Segment:
    pixels = np.array(Image.open(segment.image))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(segment.image, "PNG")  # keeps each pixel
    return segment


def without(segment: Segment, pixels: int) -> Segment:
    mask = segment.mask().copy()
    mask[tuple(np.argwhere(mask)[:pixels].T)] = False
    return Segment.from_mask(segment.image, mask, segment.label, segment.group)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (relabel, "the labels of test (office_train_000) differ; its figures cannot be compared with"),
        (cut, "the masks of test (office_train_000) differ; these are the benchmark's segments with other outlines"),
        (darken, "the pixels of test (office_train_000) differ; these are the benchmark's segments in pictures"),
    ],
    ids=["label", "mask", "pixel"],
)
def test_another_label_mask_or_picture_is_seen_and_its_meaning_said(change, message, small, capsys) -> None:
    segments = list(load_domain(small / "test").train)
    write_manifest(small / "test" / "train.jsonl", [change(small, segments[0]), *segments[1:]])
    capsys.readouterr()
    assert main(["office-bench-v1", "--output", str(small)]) == 1
    error = capsys.readouterr().err
    assert f"error: {small} is not office-bench-v1: {message}" in error.replace(f" ({drawn_by()})", "")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(("change", "what"), [(cut_one_pixel, "masks"), (paint_one_pixel, "pixels")])
def test_a_single_pixel_is_told_from_the_benchmark_and_taken_for_rounding(change, what, small, capsys) -> None:
    segments = list(load_domain(small / "test").train)
    write_manifest(small / "test" / "train.jsonl", [change(small, segments[0]), *segments[1:]])
    capsys.readouterr()
    assert main(["office-bench-v1", "--output", str(small)]) == 0
    said = capsys.readouterr().out.replace(f" ({drawn_by()})", "")
    assert (
        ", as another processor draws it: " in said and f"equal in labels; rounding moves {what}, at most 0.0" in said
    )


def drawn_by() -> str:
    """What a message adds where other versions are installed than those that the benchmark was frozen with."""
    others = [
        f"{name} {installed(name)} for {then}" for name, then in FROZEN["made_with"].items() if installed(name) != then
    ]
    return f"drawn here by {', '.join(others)}"


def installed(name: str) -> str:
    """The version of a package; none: it has no wheel for this machine."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
