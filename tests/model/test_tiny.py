"""The tiny CLIPs in the package: small, whole, and able to tell what they were pre-trained on."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from opendas_plugin.model.checkpoint import rebuild_token_table
from opendas_plugin.model.tiny_clips import TINY_CLIPS
from opendas_plugin.office.names import CLASSES, NAMES
from opendas_plugin.office.pretrain import top1
from opendas_plugin.office.web import web_image

FOLDER = Path(str(files("opendas_plugin.model"))) / "tiny"
TABLE_SHA256 = {
    "weights.safetensors": "352be3912bf7304192baba7e0acbb591ce4782c850391faad3cd162a02b041c2",
    "v1_text.safetensors": "32ea622e2166de1397c690bc90be37d7e51e23938d0c40a436016052b4c6dc5b",
}


@pytest.fixture(scope="module", params=TABLE_SHA256)
def tiny(request):
    """Each model put together by hand, as a second opinion on the package's own loader."""
    state = load_file(FOLDER / "weights.safetensors") | load_file(FOLDER / request.param)
    config = json.loads((FOLDER / "config.json").read_text())
    text = config["text_cfg"]
    rows, values = state.pop("token_rows"), state.pop("token_values")
    state["token_embedding.weight"] = rebuild_token_table(rows, values, text["vocab_size"], text["width"])
    clip = open_clip.CLIP(**config)
    clip.load_state_dict({key: value.float() for key, value in state.items()})
    return clip.eval()


def test_the_weights_are_small_and_the_config_is_one_that_openai_clip_can_express():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8_000_000
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["quick_gelu"] is True
    assert config["vision_cfg"]["head_width"] == 64
    assert config["vision_cfg"]["image_size"] == 224
    assert config["text_cfg"]["width"] == 64 * config["text_cfg"]["heads"]
    assert (config["text_cfg"]["context_length"], config["text_cfg"]["vocab_size"]) == (77, 49408)


def test_the_token_table_is_rebuilt_to_the_bit(tiny, request):
    table = tiny.token_embedding.weight.detach().numpy()
    assert hashlib.sha256(table.tobytes()).hexdigest() == TABLE_SHA256[request.node.callspec.params["tiny"]]


@pytest.mark.parametrize("file", TABLE_SHA256)
def test_every_name_is_made_of_stored_rows(file):
    rows = set(load_file(FOLDER / file)["token_rows"].tolist())
    assert set(open_clip.SimpleTokenizer()([f"a photo of a {name}." for name in NAMES]).flatten().tolist()) <= rows


def test_its_logit_scale_is_within_clips_bound(tiny):
    assert 1 < tiny.logit_scale.exp() <= 100.1


@pytest.fixture(scope="module")
def new_pictures():
    """Three of every class, (classes, 3, 224, 224, 3)."""
    return np.array(
        [[web_image(name, np.random.default_rng([99, i, j]))[0] for j in range(3)] for i, name in enumerate(CLASSES)]
    )


def test_it_tells_new_pictures_of_the_classes(tiny, new_pictures):
    with torch.no_grad():
        assert 100 * top1(tiny, new_pictures, CLASSES).mean() >= 80


def test_the_logs_have_the_figures_and_no_path_of_the_machine_they_were_made_on():
    first, second = ((FOLDER / name).read_text() for name in ("pretrain.log", "relearn.log"))
    assert "top-1 on held-out pictures" in first
    for log in (first, second):
        assert "/work" not in log and "/home" not in log and "/tmp" not in log
    assert re.findall("[0-9a-f]{64}", second) == [TINY_CLIPS[name].sha256 for name in ("office-tiny-v1", "office-tiny")]
