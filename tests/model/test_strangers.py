"""An adapter from the hub is a stranger's file: every field has bounds, looked at before anything is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from opendas_plugin.errors import AdapterError
from opendas_plugin.model import adapter_backbone
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.cache import FeatureCache
from opendas_plugin.model.config import PromptConfig, WeightConfig


@pytest.fixture
def folder(tmp_path, tiny_backbone, monkeypatch) -> Path:
    """An adapter with tokens, low-rank updates and stored features, whose backbone must not be built."""
    prompts, weights = PromptConfig(2, 2), WeightConfig("norm+low_rank", "low_rank_all")
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=prompts, weights=weights)
    clip.keep(FeatureCache.of(torch.ones(3, 32), torch.ones(3, 32), 1.0, 5.0))
    clip.save_pretrained(tmp_path / "adapter", base_names=("door",), training={"dataset": "rooms"})
    assert OpenDASCLIP.from_pretrained(tmp_path / "adapter").config == clip.config

    def build(*arguments, **options):
        raise AssertionError("the backbone was built")

    monkeypatch.setattr(adapter_backbone, "build_backbone", build)
    return tmp_path / "adapter"


def edit(folder: Path, where: str, value: object) -> None:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    *outer, last = where.split(".")
    part = config
    for name in outer:
        part = part.setdefault(name, {})
    part[last] = value
    path.write_text(json.dumps(config))


DEEP: list = []
for _ in range(50):
    DEEP = [DEEP]

STRANGE = [
    *((f"prompts.{name}", value) for name in ("visual_tokens", "text_tokens") for value in (10**9, True, 2.0, "2", 3)),
    *((f"prompts.{name}", value) for name in ("visual_depth", "text_depth") for value in (10**9, 0, True, "1")),
    *(("prompts.context", value) for value in (5, "a" * 10**5, "a\x1b[2J")),
    *(("prompts.init_std", value) for value in (float("inf"), "0.1", -1)),
    *(("prompts.form", value) for value in ("round", 5, [], {})),
    *(("prompts.deep_text_init", value) for value in ([], 1)),
    *(("weights.rank", value) for value in (10**9, True, "2", 3)),
    *(("weights.visual", value) for value in ("all+low_rank", 5, [])),
    *((f"weights.{name}", value) for name in ("alpha", "mix") for value in (float("nan"), float("inf"), "1", [])),
    *((f"interpolation.{name}", value) for name in ("visual", "text") for value in (2, float("nan"), "1", True)),
    *(("cache.entries", value) for value in (10**9, 4, -1, True)),
    *((f"cache.{name}", value) for name in ("strength", "sharpness") for value in (float("inf"), float("nan"), "1")),
    *(("crop_policy.size", value) for value in (10**9, 0, True, "224")),
    *(("crop_policy.expand", value) for value in (10**9, -1, float("nan"), "1")),
    *(("template", value) for value in ("{0.__class__}", "{}" * 100_000, "{} {x}", "none", "{}\x1b[31m", "{}\n", 5)),
    *(("base_names", value) for value in ([5], ["a"] * 100_001, ["\x1b]0;x\x07"], ["\u202edoor"], ["\ud800"], "door")),
    *(("method", value) for value in ("x" * 10**4, "a\nb", None)),
    *(("package_version", value) for value in ([], 1, "1\x1b")),
    *(("backbone", value) for value in (5, "a\x00b", "x" * 10**4)),
    *(("pretrained", value) for value in (5, "a\x1bb", [])),
    *(("backbone_seed", value) for value in (1 << 64, "1", 0.5)),
    *(("calibration", value) for value in (float("nan"), 10**9, "1", None)),
    *(("training", value) for value in ({"dataset": "\x1b[2J"}, {"\x07": 1}, {"deep": DEEP}, [])),
    *(("format_version", value) for value in (0, -1, True, 10**30, "1")),
    *(("backbone_facts.mean", value) for value in ([0.5], "abc", [0.5, 0.5, float("nan")], None)),
    *(("backbone_facts.image_size", value) for value in ([10**9, 1], [0, 0], 224)),
    *(("backbone_facts.tokenizer", value) for value in (5, "a" * 10**4, "\x1b")),
    ("backbone_facts.colour", "red"),
    ("backbone_facts", None),
]


@pytest.mark.parametrize(
    ("where", "value"), STRANGE, ids=lambda value: repr(value)[:30].encode("ascii", "replace").decode()
)
def test_a_field_out_of_bounds_is_one_sentence_before_anything_is_built(folder, where, value):
    edit(folder, where, value)
    with pytest.raises(AdapterError) as found:
        OpenDASCLIP.from_pretrained(folder)
    assert str(found.value).isprintable() and len(str(found.value)) < 600 and str(folder) in str(found.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format_version": ' + "9" * 5000 + "}", "[]", "null", ""])
def test_json_that_is_none_of_ours_is_refused(folder, text):
    (folder / "adapter_config.json").write_text(text)
    with pytest.raises(AdapterError):
        OpenDASCLIP.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update({"visual_prompts.tokens": torch.zeros(2, 5, 64)}), "where the configuration says 2"),
        (lambda t: t.update({"text_prompts.tokens": torch.zeros(0, 2, 0)}), "where the configuration says 2"),
        (lambda t: t.update({"text_prompts.tokens": torch.zeros(())}), "where the configuration says 2"),
        (lambda t: t.update({"cache.keys": torch.zeros(9, 32)}), "where the configuration says 3"),
        (lambda t: t.update({"visual_weights.parts.1.down.0": torch.zeros(3, 7, 64)}), "the configuration says 2"),
        (
            lambda t: t.update({"visual_prompts.tokens": torch.zeros(2, 2, 64).half()}),
            "tensors of F16, F32, expected F32",
        ),
        (lambda t: t.pop("cache.keys"), r"lacks cache\.keys"),
    ],
)
def test_tensors_of_other_counts_are_refused_by_their_header(folder, change, message):
    tensors = load_file(folder / "adapter.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter.safetensors")
    with pytest.raises(AdapterError, match=message):
        OpenDASCLIP.from_pretrained(folder)


def test_values_that_are_no_numbers_are_refused(tmp_path, tiny_backbone):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(2, 2))
    with torch.no_grad():
        clip.text_prompts.tokens[0, 0, 0] = float("nan")
    clip.save_pretrained(tmp_path / "adapter")
    with pytest.raises(AdapterError, match=r"text_prompts\.tokens holds values that are no numbers"):
        OpenDASCLIP.from_pretrained(tmp_path / "adapter")
