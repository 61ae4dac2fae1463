"""What many tests share: a tiny CLIP with random weights, and a small domain of coloured blocks."""

from __future__ import annotations

import importlib
import json
import os
import sys
import types
from pathlib import Path

import hypothesis
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from opendas_plugin.data.manifest import write_manifest
from opendas_plugin.data.segments import Segment
from opendas_plugin.vocabulary import Vocabulary

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # programs that tests start need not compile the package each
hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")

TINY = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
COLOURS = {
    "red block": (200, 40, 40),
    "green block": (40, 180, 60),
    "blue block": (50, 60, 200),
    "yellow block": (220, 200, 40),
    "violet block": (150, 60, 180),
}
NOVEL = ("violet block", "yellow block")
RANDOM = ("--pretrained", "random")
"""The flags of a backbone whose weights are meant to be random."""


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors gain nothing from many threads, and the suite may share its machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory) -> str:
    """The name of a small open_clip model, registered for this session; its weights are random."""
    path = tmp_path_factory.mktemp("configs") / "test-tiny.json"
    path.write_text(json.dumps(TINY))
    open_clip.add_model_config(path)
    return path.stem


@pytest.fixture(scope="session")
def family_names(tmp_path_factory) -> dict[str, str]:
    """The name in open_clip of a small model of each family (:mod:`tests.model.families`); its weights are random."""
    from tests.model import families

    return families.register(tmp_path_factory.mktemp("families"))


@pytest.fixture(scope="session")
def tokenizer_folders(tmp_path_factory) -> dict[str, Path]:
    """The folder of a small tokenizer for each family that has a Hugging Face one (:mod:`tests.model.tokenizers`)."""
    pytest.importorskip("transformers")
    from tests.model import families, tokenizers

    folder = tmp_path_factory.mktemp("tokenizers")
    made = {kind: tokenizers.make(kind, folder / kind) for kind in set(families.TOKENIZERS.values())}
    return {family: made[kind] for family, kind in families.TOKENIZERS.items()}


@pytest.fixture(scope="session")
def domain(tmp_path_factory) -> Path:
    """A prepared domain of coloured blocks, to be read only: 4 images to train on, 3 to validate, 5 names, 2 novel."""
    folder = tmp_path_factory.mktemp("blocks")
    make_domain(folder)
    return folder


def make_domain(folder: Path, seed: int = 0) -> None:
    """Writes the folder that prepare_data.py would: images, train.jsonl, val.jsonl, vocabulary.json, domain.json."""
    rng = np.random.default_rng(seed)
    vocabulary = Vocabulary(names=tuple(COLOURS), novel=NOVEL)
    (folder / "images").mkdir(parents=True)
    for split, names, count in (("train", vocabulary.base, 4), ("val", vocabulary.names, 3)):
        segments = []
        for number in range(count):
            segments += draw_blocks(folder / "images" / f"{split}{number}.png", names, rng)
        write_manifest(folder / f"{split}.jsonl", segments)
    vocabulary.save(folder / "vocabulary.json")
    (folder / "domain.json").write_text(json.dumps({"name": "blocks"}))


def draw_blocks(path: Path, names: tuple[str, ...], rng: np.random.Generator) -> list[Segment]:
    """Saves a 64x96 image with one block a name, in columns, on noise; returns its segments."""
    pixels = rng.integers(90, 130, (64, 96, 3), dtype=np.uint8)
    width = 96 // len(names)
    segments = []
    for place, name in enumerate(names):
        mask = np.zeros((64, 96), dtype=bool)
        top, left = rng.integers(4, 24), place * width + 2
        mask[top : top + 30, left : left + width - 4] = True
        pixels[mask] = np.clip(np.array(COLOURS[name]) + rng.integers(-20, 20, (mask.sum(), 3)), 0, 255)
        segments.append(Segment.from_mask(path, mask, name))
    Image.fromarray(pixels).save(path)
    return segments


@pytest.fixture
def openai_clip(monkeypatch):
    """OpenAI's package, or its copy on PyPI, which asks setuptools for the version parser."""
    packaging = pytest.importorskip("packaging.version")
    monkeypatch.setitem(sys.modules, "pkg_resources", types.SimpleNamespace(packaging=sys.modules["packaging"]))
    assert packaging
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "hosts" not in Path(path).parts])
    for name in [name for name in sys.modules if name.partition(".")[0] == "clip"]:
        monkeypatch.delitem(sys.modules, name)  # a stand-in of another test
    try:
        yield importlib.import_module("clip")
    except ImportError as error:
        pytest.skip(f"OpenAI's clip package is not installed ({error})")
    for name in [name for name in sys.modules if name.partition(".")[0] == "clip"]:
        del sys.modules[name]  # the stand-ins of other tests have the same name
