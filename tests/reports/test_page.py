"""Pages: whole by themselves, safe whatever the names are, small enough to send, sortable and readable."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from opendas_plugin.reports.figures import class_bars, confusion_chart, curves, score_intervals
from opendas_plugin.reports.page import LARGEST, Cell, Code, Gallery, Page, Picture, Section, Table, write_page
from opendas_plugin.reports.pictures import data_uri
from tests.reports.reading import read_page

HOSTILE = (
    "<script>alert(1)</script>",
    '" onerror="alert(1)',
    "$x^2$ & {{ 7*7 }}",
    "\u6905\u5b50 \U0001fa91",
    "a" * 300,
)


def figures(names):
    novel = [place % 2 == 1 for place in range(len(names))]
    values = np.linspace(0, 100, len(names)).tolist()
    steps = list(range(1, 41))
    return (
        class_bars(names, novel, values, values[::-1], "F1"),
        confusion_chart(np.eye(len(names), dtype=np.int64) * 5, names, novel, "segments"),
        score_intervals({name: {"Acc": (50.0, 40.0, 60.0), "W-F1": None} for name in names}, "Scores"),
        curves({names[0]: {"loss": (steps, [1 / step for step in steps])}}),
    )


def test_names_are_shown_as_they_are_and_never_run(tmp_path):
    rows = tuple((Cell(name, kind="novel"), Cell("1", 1.0)) for name in HOSTILE)
    sections = (Section(HOSTILE[0], (Table(("name", "count"), rows), *figures(HOSTILE))),)
    page = Page(HOSTILE[1], sections, lead=HOSTILE[2], failure=HOSTILE[0])
    write_page(page, tmp_path / "report.html")
    found = read_page(tmp_path / "report.html")
    assert found.scripts == 1  # our own
    for name in HOSTILE[:4]:
        assert name in found.text
    assert "49" not in found.words


def test_figures_are_drawings_whose_colours_are_the_pages_and_whose_words_are_text():
    names = ("desk", "door \u25c6 frame")
    for chart in figures(names):
        root = ElementTree.fromstring(re.sub(r"(xmlns:xlink=\"[^\"]*\")", r"\1", chart.svg))
        assert root.tag.endswith("svg") and root.get("aria-label")
        assert "var(--ink)" in chart.svg and "#1b1f23" not in chart.svg
    drawn = figures(names)[0].svg
    assert "desk" in drawn and "door" in drawn and "var(--series1)" in drawn and "var(--series2)" in drawn


def test_steps_are_whole_numbers_and_a_large_confusion_matrix_has_no_empty_rim():
    drawn = curves({"visual": {"loss": ([1, 2, 3], [300.0, 200.0, 100.0])}}).svg
    words = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert {"1", "2", "3"} <= set(words) and not [word for word in words if "." in word]
    names = [f"a long name {number}" for number in range(70)]
    svg = confusion_chart(np.eye(70, dtype=np.int64), names, [False] * 70, "segments").svg
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    assert height > 0.85 * width - 72 and height < 72 * (0.17 * 70 + 1.6)  # the matrix, its names; it was a full square


def test_a_page_with_too_many_pictures_shows_the_first_and_says_so(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    picture = data_uri(noise)
    count = 2 * LARGEST // len(picture)
    gallery = Gallery(tuple(Picture(picture, (f"picture {place}",)) for place in range(count)), "All of them.")
    write_page(Page("Many", (Section("Pictures", (gallery,)),)), tmp_path / "report.html")
    found = read_page(tmp_path / "report.html")
    shown = found.tags.count("img")
    assert 0 < shown < count and f"The first {shown} of {count}" in found.text and "picture 0" in found.text


def test_a_command_is_shown_as_it_is_and_no_line_breaks_inside_a_flag(tmp_path):
    command = "cd 'a <b> c'\nopendas-train --output-dir runs/a-b --visual.epochs=3 -x '{{ 1 }}'"
    write_page(Page("Command", (Section("To repeat it", (Code(command),)),)), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert html.unescape(re.sub("</?span>", "", re.search("<code>(.*?)</code>", text, re.DOTALL)[1])) == command
    assert re.findall("<span>(.*?)</span>", text) == ["--output-dir", "--visual.epochs", "-x"]
    assert "pre span { white-space: nowrap; }" in text


def chromium(*arguments, page) -> tuple[str, str]:
    """The page after its scripts have run, and what the browser's console says of it."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium; apt-get install chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]
    done = subprocess.run(
        [browser, *flags, *arguments, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.slow
def test_a_click_sorts_a_table_by_numbers_and_the_browser_has_nothing_to_say(tmp_path):
    values = (9.0, 10.0, -3.0, 100.0)
    rows = (*((f"name {value:g}", Cell(f"{value:.1f}", value)) for value in values), ("none", Cell("-")))
    path = tmp_path / "report.html"
    write_page(Page("Sorted", (Section("Scores", (Table(("name", "F1"), rows), *figures(("a", "b")))),)), path)
    click = "<script>document.querySelectorAll('th button')[1].click()</script></body>"
    text = path.read_text().replace("</body>", click)
    path.write_text(text)
    dom, console = chromium(page=path)
    body = dom.split("<tbody>")[1].split("</tbody>")[0]
    order = re.findall(r"name (-?\d+)|>(none)<", body)
    assert ["".join(one) for one in order] == ["100", "10", "9", "-3", "none"]
    assert 'aria-sort="descending"' in dom
    assert console == ""
