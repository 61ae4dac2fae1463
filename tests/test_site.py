"""The documentation as a site: it builds without a warning, has a page for every question, and asks no other host."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

import opendas_plugin
from opendas_plugin import runs

ROOT = Path(__file__).parent.parent
SCRIPTS = re.findall(r'"(opendas-[\w-]+) = [\w.]+:main"', (ROOT / "setup.py").read_text("utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; warnings are errors."""
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_command_has_a_part_with_its_own_help(site) -> None:
    page = unescape((site / "reference" / "commands.html").read_text("utf-8"))
    for script in SCRIPTS:
        assert f'id="{script}"' in page and f"usage: {script}" in page
    for own in ("opendas-evaluate instance3d", "opendas-openmask3d features", "opendas-ovseg convert"):
        assert f"usage: {own}" in page


def test_every_command_is_explained_on_a_page_beside_its_help(site) -> None:
    apart = {"reference/commands.html", "changelog.html", "contributing.html", "404.html"}
    pages = [path for path in site.rglob("*.html") if path.relative_to(site).as_posix() not in apart]
    texts = [re.sub(r"<[^>]*>", "", path.read_text("utf-8")) for path in pages]
    assert [script for script in SCRIPTS if not any(f"{script} " in text for text in texts)] == []


def test_every_public_name_is_in_the_reference(site) -> None:
    page = (site / "reference" / "python.html").read_text("utf-8")
    names = {name for name in opendas_plugin.__all__ if name[0] != "_"} - {"methods", "runs"}
    for name in names - {"evaluate"}:  # which stands under its own name
        assert re.search(rf'id="opendas_plugin\.([\w.]+\.)?{name}"', page), name
    for name in runs.__all__:
        assert re.search(rf'id="opendas_plugin\.runs\.([\w.]+\.)?{name}"', page), name
    assert ":func:" not in page and ":class:" not in page


def test_a_reader_finds_every_page_from_the_first_one(site) -> None:
    first = (site / "index.html").read_text("utf-8")
    linked = {link.partition("#")[0] for link in re.findall(r'href="([^"]+)"', first)}
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"}
    assert pages - {"index.html"} <= linked


def test_no_page_loads_anything_from_another_host(site) -> None:
    loads = re.compile(r'<(?:script|img|iframe|link)\b[^>]*?(?:src|href)="(https?:)?//[^"]*"')
    assert [
        (page.name, found.group(0)) for page in site.rglob("*.html") if (found := loads.search(page.read_text()))
    ] == []
    assert not [sheet for sheet in site.rglob("*.css") if re.search(r"url\(['\"]?https?:|@import", sheet.read_text())]
