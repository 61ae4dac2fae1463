"""The demo as a visitor has it: the command in a process of its own, and headless Chromium before its page."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

PATIENCE = 300
"""Seconds, on a machine that does other things."""
CODE = "import sys; from opendas_plugin.commands.demo import main; sys.exit(main(sys.argv[1:]))"


def picture() -> np.ndarray:
    """Three fields of one colour each, (96, 144, 3)."""
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]], np.uint8)
    return np.repeat(np.repeat(colours[None], 96, axis=0), 48, axis=1)


@contextmanager
def serve_demo(log: Path, *flags: object) -> Iterator[str]:
    """Yields the page's address; what the server says goes into a file."""
    pytest.importorskip("gradio")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-c", CODE, "--port", str(port), *map(str, flags)]
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        for _ in range(2 * PATIENCE):
            try:
                urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text("utf-8")
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


class Visit:
    """A visit of a page.

    Attributes:
        driver: selenium's.
    """

    def __init__(self, driver, address: str) -> None:
        self.driver, self.address = driver, address
        driver.set_page_load_timeout(PATIENCE)
        driver.get(address)

    def find(self, selector: str):
        """The first element, once it is there."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE).until(lambda d: d.find_elements("css selector", selector))[0]

    def press(self, selector: str) -> None:
        """Clicks on a button, once it is there."""
        self.find(selector).click()

    def rows(self, selector: str, width: int) -> list[tuple[str, ...]]:
        """The cells of a table, by rows, once there are any."""
        self.find(f"{selector} [role=gridcell]")
        time.sleep(2)  # a table fills up row by row
        cells = [one.text.strip() for one in self.driver.find_elements("css selector", f"{selector} [role=gridcell]")]
        cells = [cell for cell in cells if cell]
        return [tuple(cells[start : start + width]) for start in range(0, len(cells), width)]

    def keep(self, name: str) -> None:
        """Saves what is seen where ``OPENDAS_SCREENSHOTS`` says."""
        if folder := os.environ.get("OPENDAS_SCREENSHOTS"):
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def check(self) -> None:
        """No host but the server was asked, and the console has nothing to say but gradio 6's own, as it starts."""
        asked = {
            found
            for entry in self.driver.get_log("performance")
            for found in re.findall(r'"url":"(https?://[^"/]+)', entry["message"])
            if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"
        }
        assert asked == {self.address.rstrip("/")}
        errors = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        assert [error for error in errors if "Method not implemented" not in error] == []


@contextmanager
def visit(address: str, width: int = 1280, height: int = 1300) -> Iterator[Visit]:
    """Opens a page in headless Chromium, and ends by looking at what it asked for."""
    webdriver = pytest.importorskip("selenium.webdriver")
    driver_path, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if not driver_path or not chromium:
        pytest.skip("there is no chromium with its driver; apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        page = Visit(driver, address)
        yield page
        page.check()
    finally:
        driver.quit()
