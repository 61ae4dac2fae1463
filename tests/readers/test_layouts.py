"""The same ten photos in every layout: `auto` names each, its command prepares it, and all give the same label maps."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opendas_plugin as opendas
from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain
from tests.readers.ten_photos import COUNT, HEIGHT, LAYOUTS, NAMES, WIDTH, objects, truth

PARTS = ("yolo", "yolo of Roboflow", "supervisely")
"""Layouts that do not say which polygons are parts of one object: there each part is a segment."""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes a layout once; its folder's name needs quoting in a shell."""
    made: dict[str, Path] = {}

    def folder_of(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("layout") / "Anna's photos"
            made[name].mkdir()
            LAYOUTS[name].write(made[name])
        return made[name]

    return folder_of


def printed_command(folder: Path, capsys) -> tuple[list[str], list[str]]:
    """The lines that `auto` prints, and the words of the command among them."""
    assert main(["auto", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    command = shlex.split(next(line for line in lines if line.startswith("opendas-prepare ")))
    return lines, command[1:]


def label_maps(domain) -> dict[int, np.ndarray]:
    """Number of a photo -> its label map, 0 where no segment is, else 1 and the place of the name."""
    found: dict[int, np.ndarray] = {}
    for segment in (*domain.train, *domain.val):
        frame = re.sub(r"_leftImg8bit|_jpg\.rf.*|.*photo ", "", segment.image.stem)
        number = int(re.findall(r"\d+", frame)[-1])
        labels = found.setdefault(number, np.zeros((HEIGHT, WIDTH), np.uint8))
        assert not labels[segment.mask()].any(), "two segments share a pixel"
        labels[segment.mask()] = 1 + NAMES.index(segment.label)
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_auto_names_the_layout_and_its_command_gives_the_same_label_maps(name, written, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    layout = LAYOUTS[name]
    lines, command = printed_command(written(name), capsys)
    assert lines[0].startswith(f"{layout.reader}: ") and command[0] == layout.reader
    assert [line.split(":")[0] for line in lines if line.startswith("or ")] == [f"or {one}" for one in layout.others]
    extra = ["--ignore-classes", "background"] if name == "folders" else []
    assert main([*command, *extra, "--min-area", "20"]) == 0
    domain = load_domain(Path(command[command.index("--output") + 1]))
    if not layout.own_names:
        assert domain.vocabulary.names == NAMES
    cars = [segment for segment in (*domain.train, *domain.val) if segment.label == "car"]
    assert len(cars) == COUNT * (2 if name in PARTS else 1)
    maps = label_maps(domain)
    assert sorted(maps) == list(range(COUNT))
    for number, labels in maps.items():
        assert np.array_equal(labels, truth(number))


def test_the_truth_of_upright_shapes_is_counted_by_hand():
    """Corners at whole numbers enclose whole pixels: from 4 to 34 are 30. So it is in every layout of polygons."""
    labels = truth(0)
    assert labels[6:16, 4:34].all() and labels[16:40, 4:16].all() and (labels == 1).sum() == 30 * 10 + 12 * 24
    assert labels[50:66, 40:58].all() and labels[52:64, 64:80].all() and (labels == 2).sum() == 18 * 16 + 16 * 12
    (_, [triangle]) = objects(0)[2]
    (x0, y0), (x1, y1), (x2, y2) = triangle
    area = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) / 2
    assert (labels == 3).sum() == pytest.approx(area, rel=0.03)


def test_a_contact_sheet_lies_beside_the_manifests(written, tmp_path, capsys):
    """It shows the masks: most of its pixels in their colours, and is left by no failure."""
    _, command = printed_command(written("labelme"), capsys)
    command[-1] = str(tmp_path / "out")
    assert main(command) == 0
    with Image.open(tmp_path / "out" / "preview.jpg") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    assert pixels.shape[1] > 1000
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > 60
    assert 0.1 < coloured.mean() < 0.6
    first = (tmp_path / "out" / "preview.jpg").read_bytes()
    assert main([*command, "--overwrite"]) == 0
    assert (tmp_path / "out" / "preview.jpg").read_bytes() == first


def test_auto_says_what_an_export_lacks(written, tmp_path, capsys):
    """CVAT's masks without the images, and label maps whose names nobody wrote down."""
    shutil.copytree(written("voc of CVAT"), tmp_path / "a", ignore=shutil.ignore_patterns("JPEGImages"))
    first, lacks, _ = printed_command(tmp_path / "a", capsys)[0]
    assert first.startswith("folders: ") and lacks.startswith(
        f"put the images into {tmp_path / 'a' / 'JPEGImages'} first"
    )
    shutil.copytree(written("folders"), tmp_path / "b", ignore=shutil.ignore_patterns("classes.txt"))
    first, lacks, _ = printed_command(tmp_path / "b", capsys)[0]
    assert "one name a line, in the order of the label values (a few maps have 0 to 3)" in lacks


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: shutil.rmtree(root / "images"), "first mend this: .*yaml, train: .*images/train is not a folder"),
        (lambda root: shutil.rmtree(root / "labels"), "first mend this: there are no labels yet, such as .*0.txt$"),
        (lambda root: [p.write_text("0 0.5 0.5 0.2 0.2\n") for p in root.glob("labels/*/*.txt")],
         "first mend this: the labels are boxes, of a detection dataset, and a box says nothing of which pixels"),
    ],
)  # fmt: skip
def test_auto_says_where_yolos_file_lies_and_why_it_cannot_be_read(spoil, said, written, tmp_path, capsys):
    shutil.copytree(written("yolo"), tmp_path / "zip" / "my-export")
    spoil(tmp_path / "zip" / "my-export")
    (first, lacks, _), command = printed_command(tmp_path / "zip", capsys)
    assert first == "yolo: in my-export, data.yaml has YOLO's names and train" and re.search(said, lacks), lacks
    assert command[:3] == ["yolo", "--data", str(tmp_path / "zip" / "my-export")]


def test_python_looks_too(written):
    (found,) = opendas.runs.look(written("yolo"))
    assert found.layout == "yolo" and found.settings == {"data": written("yolo")}


def test_auto_looks_one_folder_down_and_says_what_it_looked_for(written, tmp_path, capsys):
    folder = written("cvat")
    lines, command = printed_command(folder.parent, capsys)
    assert lines[0].startswith("cvat: ") and str(folder / "annotations.xml") in command
    shutil.copytree(written("yolo"), tmp_path / "zip" / "my-export" / "my-export")
    (tmp_path / "zip" / "__MACOSX").mkdir()
    lines, command = printed_command(tmp_path / "zip", capsys)
    assert lines[0].startswith("yolo: in my-export/my-export, data.yaml has YOLO's names and train")
    assert command[:3] == ["yolo", "--data", str(tmp_path / "zip" / "my-export" / "my-export")]
    (tmp_path / "bare").mkdir()
    assert main(["auto", str(tmp_path / "bare")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "have no layout that is known; looked for ADE20K's" in line and "YOLO's data.yaml" in line
    assert main(["auto", str(tmp_path / "gone")]) == 1
    assert "gone is not a folder" in capsys.readouterr().err
    assert main(["auto"]) == 2
