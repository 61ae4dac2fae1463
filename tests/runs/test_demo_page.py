"""The demo's page in a browser: from an upload to the name of what was clicked, a scene's query, and SAM's masks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from integrations.openmask3d.launcher import main as openmask3d
from opendas_plugin.commands import visualize
from opendas_plugin.labeller import Labeller
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.runs.mask_sources import Superpixels
from opendas_plugin.runs.showing import Showing
from tests.data.tiny_sams import EVERY, make_sam
from tests.integrations.openmask3d.scenes import write_room
from tests.runs.demo_browser import picture, serve_demo, visit

NAMES = "door, desk, globe"
TEXT = "a door frame"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def things(tmp_path_factory) -> Path:
    """A photo, an adapter moved away from where it starts, and a scene with its features."""
    folder = tmp_path_factory.mktemp("things")
    Image.fromarray(picture()).save(folder / "photo.png")
    clip = OpenDASCLIP.from_backbone("office-tiny", prompts=PromptConfig())
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    clip.save_pretrained(folder / "adapter")
    write_room(folder / "room")
    given = ["--scene", folder / "room", "--masks", folder / "room/room_masks.pt", "--output", folder / "room.npy"]
    assert openmask3d(["features", *map(str, given), "--clip", f"opendas:{folder / 'adapter'}"]) == 0
    return folder


@pytest.fixture(scope="module")
def address(things):
    """Of a page with an adapter and a scene."""
    model = ("--adapter", things / "adapter", "--names", NAMES, "--superpixels", 12)
    scene = ("--scene", things / "room", "--features", things / "room.npy")
    with serve_demo(things / "log.txt", *model, *scene) as found:
        yield found


def test_the_server_listens_on_this_machine_alone(address) -> None:
    port = int(address.rstrip("/").rpartition(":")[2])
    tables = [Path(f"/proc/net/{name}").read_text("ascii").splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]


def upload(page, photo: Path):
    """Puts a photo in, has its masks named, and returns the picture on the page."""
    page.find("#photo input[type=file]").send_keys(str(photo))
    shown = page.find("#photo img")
    page.press("#name-all")
    return shown


def click(page, shown) -> None:
    """Clicks into the middle of a picture."""
    from selenium.webdriver import ActionChains

    page.driver.execute_script("window.scrollTo(0, 0)")
    time.sleep(2)
    ActionChains(page.driver).move_to_element(shown).click().perform()


def test_a_photo_is_named_by_plain_clip_and_the_adapter_side_by_side(address, things) -> None:
    own = Labeller(things / "adapter", ["x", "y"])
    plain = Labeller(own.clip.plain(), ["x", "y"], template=own.text.template, crops=own.crops)
    expected = Showing({"plain": plain, "own": own}, Superpixels(12)).name(picture(), NAMES).at(72, 48)
    with visit(address) as page:
        shown = upload(page, things / "photo.png")
        titles = [page.find(f"#named-{n} img") and page.find(f"#named-{n} label").text for n in (0, 1)]
        assert titles == ["plain CLIP", "with the adapter"]
        click(page, shown)
        rows = page.rows("#clicked", 3)
        page.keep("demo-photo")
    assert [name for name, _, _ in rows] == [name for name, _, _ in expected]
    for row, (_, before, after) in zip(rows, expected, strict=True):
        assert [float(cell) for cell in row[1:]] == pytest.approx([before, after], abs=0.11)


def test_a_scene_is_asked_for_a_text(address, things) -> None:
    model = ("--features", things / "room.npy", "--adapter", things / "adapter")
    given = ["--scene", things / "room", *model, "--text", TEXT, "--output", things / "asked"]
    assert visualize.main(["query", *map(str, given)]) == 0
    best = json.loads((things / "asked" / "query.json").read_text())["best"]
    with visit(address) as page:
        page.press("[role=tab]:nth-of-type(2)")
        box = page.find("#text textarea, #text input")
        page.driver.execute_script("arguments[0].value = ''", box)
        box.clear()
        box.send_keys(TEXT)
        page.press("#find")
        page.find("#found img")
        rows = page.rows("#masks", 4)
        page.keep("demo-scene")
    found = [(int(rank), int(mask), float(cosine), int(points)) for rank, mask, cosine, points in rows]
    assert found == [(one["rank"], one["mask"], pytest.approx(one["cosine"], abs=6e-4), one["points"]) for one in best]


def test_masks_of_sam_are_named(things) -> None:
    pytest.importorskip("transformers")
    masks = ("--masks", f"sam:{make_sam(things / 'sam')}", *EVERY)
    with serve_demo(things / "sam.txt", "--names", NAMES, *masks) as address, visit(address) as page:
        upload(page, things / "photo.png")
        page.find("#named-0 img")
        page.keep("demo-sam")


def test_a_sentence_is_shown_where_there_is_no_photo(address) -> None:
    with visit(address) as page:
        page.press("#name-all")
        assert "expected a photo" in page.find(".toast-body").text
        page.keep("demo-said")
