"""Readers of other packages, found by their entry points; the one of the documentation is such a package here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opendas_plugin as opendas
from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.readers import Reader, registry

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "readers.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```python\n(\"\"\"Reader for.*?)```", PAGE, re.DOTALL)[1]


def install(site: Path, name: str, code: str, version: str = "1.2") -> None:
    """Leaves what pip would: a module, and a distribution that names its reader."""
    site.mkdir(exist_ok=True)
    (site / f"{name}.py").write_text(code)
    about = site / f"{name}_reader-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-reader\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {name}:READER\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder for packages, which Python looks into."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def photos(tmp_path):
    """Five photos of the tool that the documentation takes as its example."""
    for number in range(5):
        folder = tmp_path / "photos" / f"photo{number}"
        folder.mkdir(parents=True)
        Image.new("RGB", (40, 30), (9 * number, 60, 90)).save(folder / "image.jpg")
        for place, name in enumerate(("mug.1", "mug.2", "desk.1", "wall.1")):
            mask = np.zeros((30, 40), np.uint8)
            mask[2:28, 10 * place : 10 * place + 8] = 255
            Image.fromarray(mask).save(folder / f"{name}.png")
    return tmp_path / "photos"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.json"}


def test_a_package_of_its_own_brings_a_reader(site, photos, tmp_path):
    """In a process of its own, as it is installed."""
    install(site, "acme", EXAMPLE)
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    flags = ["--root", str(photos), "--skip", "wall", "--novel-fraction", "0.5", "--output", str(tmp_path / "out")]
    command = [sys.executable, str(ROOT / "tools" / "prepare_data.py"), "acme", *flags]
    ran = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert ran.returncode == 0 and "train: " in ran.stdout, ran.stderr
    domain = load_domain(tmp_path / "out")
    assert domain.vocabulary.names == ("desk", "mug") and len(domain.vocabulary.novel) == 1
    assert domain.info["images"] == {"train": 4, "val": 1}
    assert domain.info["dropped"]["val"] == {"class left out": 1}
    assert [segment.area for segment in domain.val] == [26 * 8] * 3


LOOKING = """

def look(folder):
    from opendas_plugin.readers import Sighting

    photos = list(folder.glob("*/image.jpg"))
    return Sighting("each folder has an image.jpg", {"root": folder, "skip": ("wall",)}, 6) if photos else None


READER = Reader("acme", Acme, read, look=look, looks_for="ACME's folders of image.jpg")
"""


def test_it_takes_part_in_auto(site, photos, tmp_path, capsys, caplog):
    install(site, "acme", EXAMPLE + LOOKING)
    assert main(["auto", str(photos)]) == 0
    first, command = capsys.readouterr().out.splitlines()
    assert first == "acme: each folder has an image.jpg"
    assert command == f"opendas-prepare acme --root {photos} --skip wall --output runs/data/photos"
    (tmp_path / "bare").mkdir()
    assert main(["auto", str(tmp_path / "bare")]) == 1
    assert "ACME's folders of image.jpg" in capsys.readouterr().err
    install(site, "odd", EXAMPLE.replace('"acme"', '"odd"').replace("read)", "read, look=lambda folder: 1 / 0)"))
    assert main(["auto", str(photos)]) == 0
    assert "the reader 'odd' could not look into" in caplog.text


def test_its_docstrings_are_the_help(site, capsys):
    install(site, "acme", EXAMPLE)
    assert main(["--help"]) == 0
    assert "Photos of the ACME annotation tool" in capsys.readouterr().out
    assert main(["acme", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for text in ("Photos of the ACME annotation tool, a folder each.", "--skip", "Classes that are left out."):
        assert text in shown
    for text in ("--novel-fraction", "--val-fraction", "--resume", "--min-area", "--debug"):
        assert text in shown


def test_python_does_the_same_by_name_and_with_the_reader_itself(site, photos, tmp_path):
    install(site, "acme", EXAMPLE)
    assert main(["acme", "--root", str(photos), "--skip", "wall", "--output", str(tmp_path / "a" / "out")]) == 0
    for folder, reader in (("b", "acme"), ("c", registry.get("acme"))):
        opendas.runs.prepare(reader, root=photos, skip=("wall",), output=tmp_path / folder / "out")
        assert contents(tmp_path / folder / "out") == contents(tmp_path / "a" / "out")


BROKEN = {
    "import": ("import no_such_module\n", "cannot be imported (ModuleNotFoundError: No module named 'no_such_module')"),
    "syntax": ("def\n", "cannot be imported (SyntaxError: "),
    "absent": ("", "cannot be imported (AttributeError: "),
    "other": ("READER = 5\n", "is 5; expected a Reader of this name, as package.module:READER"),
    "mutable": (
        EXAMPLE.replace("frozen=True, ", "").replace('"acme"', '"odd"'),
        "cannot be imported (ConfigError: the options of the reader 'odd' must be a frozen dataclass",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_package_that_is_broken_is_named_in_one_line_and_the_others_work(
    site, photos, tmp_path, capsys, caplog, case
):
    code, reason = BROKEN[case]
    install(site, "odd", code)
    install(site, "acme", EXAMPLE)
    assert main(["odd", "--root", str(photos), "--output", str(tmp_path / "out")]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert f"the reader 'odd' of odd-reader 1.2 {reason}" in line
    caplog.clear()
    assert main(["acme", "--root", str(photos), "--output", str(tmp_path / "out")]) == 0
    (warning,) = [record.getMessage() for record in caplog.records if "odd" in record.getMessage()]
    assert f"the reader 'odd' of odd-reader 1.2 {reason}" in warning and "\n" not in warning


def test_our_own_names_are_not_taken_over(site, caplog):
    install(site, "folders", EXAMPLE.replace('"acme"', '"folders"'))
    assert registry.readers()["folders"] is registry.built_in()["folders"] is registry.get("folders")
    assert "the reader 'folders' of folders-reader 1.2 is left out" in caplog.text


def test_a_name_that_nobody_has_is_refused(capsys):
    assert main(["mapillary", "--output", "out"]) == 2
    assert "kitti360" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"no reader 'mapillary'; choose one of .*coco, .*eurosat, "):
        opendas.runs.prepare("mapillary", output="out")


def test_every_reader_is_one_file_with_documented_options():
    for name, reader in registry.built_in().items():
        assert isinstance(reader, Reader) and reader.name == name
        assert (ROOT / "opendas_plugin" / "readers" / f"{name}.py").is_file()
        assert reader.options.__doc__
