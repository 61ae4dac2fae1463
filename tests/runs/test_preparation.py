"""The preparing runs from Python: the command's results, its refusals, and a domain's own related names."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opendas_plugin as opendas
from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import Domain, load_domain
from opendas_plugin.errors import ConfigError, MissingFileError, OpenDASError
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.runs.sources import related_names
from tests.data.layouts import make_ade20k, make_kitti360

OWN = Path(str(files("opendas_plugin.office"))) / "negatives.json"
SMALL = ["--pictures.width", "96", "--pictures.height", "72", "--pictures.per-room", "1", "--pictures.min-area", "30"]


@pytest.fixture
def street(tmp_path, monkeypatch):
    """Frames with label maps of sky, road and car; returns the settings that read them."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "labels"):
        Path(folder).mkdir()
    for number in range(6):
        labels = np.zeros((40, 60), np.uint8)
        labels[20:] = 1
        labels[25:35, 5 * number : 5 * number + 12] = 2
        Image.fromarray(labels).save(f"labels/{number}.png")
        Image.new("RGB", (60, 40), (40 * number, 90, 90)).save(f"photos/{number}.png")
    return {"images": "photos", "labels": "labels", "classes": "sky,road,car"}


def contents(folder: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.name != "run.json"}


def flags(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--" + name.replace("_", "-"), value)]


def test_the_function_does_what_the_command_does_to_the_byte(street):
    assert main(["folders", *flags(street), "--novel-fraction", "0.34", "--seed", "3", "--output", "a/mine"]) == 0
    domain = opendas.runs.prepare("folders", **street, novel_fraction=0.34, seed=3, output="b/mine")
    assert contents("a/mine") == contents("b/mine")
    assert domain.vocabulary == load_domain("a/mine").vocabulary
    assert all(segment.image.is_file() for segment in [*domain.train, *domain.val])
    command, function = (json.loads(Path(folder, "mine", "run.json").read_text()) for folder in "ab")
    assert command["command"].startswith("opendas-prepare folders --images photos") and function["command"] is None
    differing = {name for name in command["config"] if command["config"][name] != function["config"].get(name)}
    assert differing == {"output"}


def test_names_may_be_lists(street):
    main(["folders", *flags(street), "--output", "a/mine"])
    opendas.runs.prepare("folders", **{**street, "classes": ["sky", "road", "car"]}, output=Path("b/mine"))
    assert contents("a/mine") == contents("b/mine")
    novel = opendas.runs.prepare("folders", **street, novel=["Cars"], output="c/mine")
    assert novel.vocabulary.novel == ("car",)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"val_images": "photos"}, "`val_images` and `val_labels` go together"),
        ({"novel": "a", "novel_fraction": 0.5}, "give `novel` or `novel_fraction`, not both"),
        ({"min_area": 0}, "`min_area` must be 1 or more, got 0"),
        ({"regions": "superpixel"}, "`regions` must be one of class, component, got 'superpixel'"),
        ({"group_by": "day"}, "`group_by` must be one of image, folder, video, None, got 'day'"),
        ({"val_images": "photos", "val_labels": "labels", "val_fraction": 0.3}, "`val_fraction` has no effect beside"),
        ({"val_images": "photos", "val_labels": "labels", "seed": 4}, "`seed` has no effect where neither"),
    ],
)
def test_settings_that_cannot_be_are_named_before_anything_is_read(street, wrong, message):
    with pytest.raises(ConfigError, match=message):
        opendas.runs.prepare("folders", **{**street, "images": "nowhere", **wrong}, output="out")
    assert not Path("out").exists()


def test_the_command_names_them_as_flags(street, capsys):
    apart = ["--val-images", "photos", "--val-labels", "labels"]
    assert main(["folders", *flags(street), *apart, "--seed", "0", "--output", "out"]) == 2
    assert "error: --seed has no effect where neither" in capsys.readouterr().err
    assert main(["folders", *flags({**street, "classes": "sky,road"}), "--output", "out"]) == 1
    assert "add its name to --classes, or pass --ignore 2" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "make"), [("ade20k", make_ade20k), ("kitti360", make_kitti360)])
def test_a_datasets_own_validation_part_leaves_nothing_to_draw(tmp_path, name, make):
    root = make(tmp_path / name)
    for drawn in ({"val_fraction": 0.3}, {"seed": 1}):
        with pytest.raises(ConfigError, match="has no effect"):
            opendas.runs.prepare(name, root=root, output=tmp_path / "out", **drawn)
    opendas.runs.prepare(name, root=root, output=tmp_path / "out", novel_fraction=0.02, seed=1)


def test_errors_are_our_own_and_leave_nothing(street):
    with pytest.raises(MissingFileError, match="nowhere is not a folder"):
        opendas.runs.prepare("folders", **{**street, "labels": "nowhere"}, output="out")
    with pytest.raises(OpenDASError, match="`output` is what is read as `images`, photos"):
        opendas.runs.prepare("folders", **street, output="photos")
    assert not Path("out").exists() and not Path(".out.partial").exists()


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Path:
    """A small office domain in a folder of another name."""
    folder = tmp_path_factory.mktemp("office") / "rooms"
    rooms = ["--train-rooms", "1", "--val-rooms", "1", "--workers", "1"]
    assert main(["office", *rooms, *SMALL, "--output", str(folder)]) == 0
    return folder


def sources(domain: Domain, clip: OpenDASCLIP) -> set[str]:
    database = related_names(domain, clip, None, drop_novel=False)
    return {item.source for items in database.entries.values() for item in items}


def test_the_office_has_related_names_of_its_own_and_a_fold_keeps_them(office, tmp_path, tiny_backbone):
    clip = OpenDASCLIP.from_backbone(tiny_backbone)
    domain = load_domain(office)
    assert domain.negatives == office / "negatives.json"
    assert domain.negatives.read_bytes() == OWN.read_bytes()
    assert sources(domain, clip) == {"hand"}
    fold = opendas.runs.prepare_fold(data=office, output=tmp_path / "fold")
    assert fold.info["name"] == "office, fold 0 of 3"
    assert fold.negatives == tmp_path / "fold" / "negatives.json"
    assert sources(fold, clip) == {"hand"}
    (office / "negatives.json").rename(office.parent / "kept.json")
    assert sources(fold, clip) == {"hand"}, "the fold has a file of its own"
    (office.parent / "kept.json").rename(office / "negatives.json")


def test_a_folder_that_is_called_office_is_no_office(street, tiny_backbone):
    domain = opendas.runs.prepare("folders", **street, output="data/office")
    assert domain.info["name"] == "office" and domain.negatives is None
    assert "hand" not in sources(domain, OpenDASCLIP.from_backbone(tiny_backbone))
    Path("data/office/negatives.json").write_text("{}")
    assert load_domain("data/office").negatives == Path("data/office/negatives.json")
    opendas.runs.prepare("folders", **street, output="data/office", overwrite=True)  # still a domain


def test_two_ways_to_say_the_smallest_area_are_one_too_many(tmp_path, capsys):
    assert main(["office", *SMALL, "--min-area", "30", "--output", str(tmp_path / "out")]) == 2
    assert "--min-area is short for --pictures.min-area; give one of them" in capsys.readouterr().err
