"""The demo: what is shown of a photo, and the page in a browser, from an upload to the name of what was clicked."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.demo import main
from opendas_plugin.errors import DataError
from opendas_plugin.labeller import Labeller
from opendas_plugin.runs.mask_sources import Superpixels
from opendas_plugin.runs.showing import Showing

NAMES = "door, desk, globe"


def picture() -> np.ndarray:
    """Three fields of one colour each, (96, 144, 3)."""
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]], np.uint8)
    return np.repeat(np.repeat(colours[None], 96, axis=0), 48, axis=1)


@pytest.fixture(scope="module")
def showing():
    pytest.importorskip("skimage")
    return Showing({"plain CLIP": Labeller("office-tiny", ["x", "y"])}, Superpixels(12))


def test_a_click_has_the_names_of_the_mask_below_it(showing) -> None:
    named = showing.name(picture(), NAMES)
    rows = named.at(70, 50)
    place = next(number for number, mask in enumerate(named.masks) if mask[50, 70])
    labels = Labeller("office-tiny", ["door", "desk", "globe"])(picture(), [named.masks[place]])
    expected = dict(zip(labels.classes, (100 * labels.probabilities[0]).tolist(), strict=True))
    assert [name for name, _ in rows] == sorted(expected, key=lambda name: -expected[name])
    assert all(chance == pytest.approx(expected[name], abs=0.06) for name, chance in rows)
    assert list(named.overlays()) == ["plain CLIP"]


def test_the_last_photo_is_kept_until_photo_or_names_change(showing) -> None:
    first = showing.name(picture(), NAMES)
    assert showing.name(picture(), "door,desk , globe") is first
    other = showing.name(picture(), "door, desk")
    assert other is not first and set(other.labels["plain CLIP"].names) <= {"door", "desk"}
    assert showing.name(picture()[:, ::-1], NAMES) is not first


@pytest.mark.parametrize(
    ("image", "words", "said"),
    [
        (None, NAMES, "expected a photo"),
        (picture(), "door", "expected two names or more"),
        (picture(), "door, Door", "door"),
        (picture(), "", "expected two names or more|holds no name"),
    ],
)
def test_what_cannot_be_named_is_one_sentence(showing, image, words, said) -> None:
    with pytest.raises(DataError, match=said):
        showing.name(image, words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scene", "kitchen"], "--scene and --features go together"),
        (["--masks", "masks.json"], "--masks is superpixels, or sam: and a checkpoint"),
        (["--port", "0"], "--port is from 1 to 65535"),
        (["--scene-masks", "m.pt"], "without a --scene"),
    ],
)
def test_flags_that_do_not_fit_are_refused(words, said, capsys) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The page's address, from the command in a process of its own."""
    pytest.importorskip("gradio")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    code = "import sys; from opendas_plugin.commands.demo import main; sys.exit(main(sys.argv[1:]))"
    log = tmp_path_factory.mktemp("demo") / "log.txt"
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "--port", str(port), "--names", NAMES], stdout=file, stderr=file
        )
    try:
        for _ in range(600):
            try:
                urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text("utf-8")
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/", process.pid
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_the_server_listens_on_this_machine_alone(server) -> None:
    address, _ = server
    port = int(address.rstrip("/").rpartition(":")[2])
    tables = [Path(f"/proc/net/{name}").read_text("ascii").splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]


@pytest.mark.slow
def test_a_photo_is_uploaded_and_named_in_a_browser(server, tmp_path) -> None:
    webdriver = pytest.importorskip("selenium.webdriver")
    wait_class = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
    driver_path, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if not driver_path or not chromium:
        pytest.skip("there is no chromium with its driver; apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1300"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    photo = tmp_path / "photo.png"
    Image.fromarray(picture()).save(photo)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        driver.set_page_load_timeout(300)
        driver.get(server[0])
        wait = wait_class(driver, 300)
        wait.until(lambda d: d.find_elements("css selector", "#photo input[type=file]"))[0].send_keys(str(photo))
        shown = wait.until(lambda d: d.find_elements("css selector", "#photo img"))[0]
        driver.find_element("css selector", "#name-all").click()
        wait.until(lambda d: d.find_elements("css selector", "#named-0 img"))
        driver.execute_script("window.scrollTo(0, 0)")
        time.sleep(2)
        webdriver.ActionChains(driver).move_to_element(shown).click().perform()
        words = NAMES.split(", ")

        def rows(d):
            return [
                cell.text
                for cell in d.find_elements("css selector", "#clicked [role=gridcell]")
                if cell.text.strip() in words
            ]

        wait.until(lambda d: len(set(rows(d))) == 3)
        if folder := os.environ.get("OPENDAS_SCREENSHOTS"):
            driver.save_screenshot(str(Path(folder) / "demo.png"))
        asked = {
            found
            for entry in driver.get_log("performance")
            for found in re.findall(r'"url":"(https?://[^"/]+)', entry["message"])
            if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"
        }
        assert asked == {server[0].rstrip("/")}
        errors = [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert [
            error for error in errors if "Method not implemented" not in error
        ] == []  # gradio 6's own, as it starts
    finally:
        driver.quit()
