"""OVSeg's crashes on images with few valid masks, and what keeps it from running on current libraries."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from integrations.ovseg import hostfixes, patch
from tests.integrations.ovseg.conftest import build, make_inputs, segment


@pytest.fixture
def fixed(host, monkeypatch):
    """The stand-in with the fixes, taken off afterwards."""
    for kind, names in (
        (host.adapter.ClipAdapter, ["__init__"]),
        (host.adapter.MaskFormerClipAdapter, ["_preprocess_image", "forward"]),
        (host.models.OVSeg, ["__init__"]),
        (host.models.OVSegDEMO, ["demo_inference", "forward"]),
    ):
        for name in names:
            monkeypatch.setattr(kind, name, getattr(kind, name))
    monkeypatch.setattr(hostfixes, "_told", set())
    hostfixes.fix_crashes()
    hostfixes.fix_crashes()  # as a worker may
    return host


NO_MASK = make_inputs(queries=4, empty=range(4))
ONE_MASK = make_inputs(queries=4, empty=range(1, 4))
SOME_MASKS = make_inputs(queries=4, empty=(2,))
ALL_MASKS = make_inputs(queries=4, empty=())


@pytest.mark.parametrize("inputs", [NO_MASK, ONE_MASK])
def test_the_host_crashes_without_the_fixes(host, clip_file, inputs):
    with pytest.raises((ValueError, IndexError)):
        segment(build(host, clip_file), inputs)


@pytest.mark.parametrize("with_adapter", [False, True])
@pytest.mark.parametrize("kind", ["OVSeg", "OVSegDEMO"])
@pytest.mark.parametrize("weight", [0.0, 0.7])
@pytest.mark.parametrize("inputs", [NO_MASK, ONE_MASK, SOME_MASKS], ids=["none", "one", "some"])
def test_few_valid_masks_are_no_crash(fixed, clip_file, adapter, kind, weight, inputs, with_adapter):
    model = build(fixed, clip_file, kind, weight)
    if with_adapter:
        patch(model, adapter)
    result = segment(model, inputs)
    assert result.shape == (4, 40, 52) and result.isfinite().all()


def test_an_image_without_a_valid_mask_has_the_maskformer_branchs_scores(fixed, clip_file):
    model = build(fixed, clip_file, weight=0.7)
    embedded = torch.nn.functional.normalize(NO_MASK["pred_logits"], dim=-1)
    with torch.no_grad():
        text = model.clip_adapter.get_text_features(NO_MASK["class_names"])
    classes = (100 * embedded @ text.T).softmax(dim=-1)[:, :-1] ** 0.3
    expected = torch.einsum("qc,qhw->chw", classes, NO_MASK["pred_masks"].sigmoid())
    torch.testing.assert_close(segment(model, NO_MASK), expected)


def test_one_valid_mask_scores_as_it_does_beside_another(fixed, clip_file):
    clip_adapter = build(fixed, clip_file).clip_adapter
    masks = make_inputs(empty=())["pred_masks"].sigmoid()
    with torch.no_grad():
        one, _, valid = clip_adapter(ONE_MASK["image"], ["desk", "wall"], masks[:1])
        both, _, _ = clip_adapter(ONE_MASK["image"], ["desk", "wall"], masks[:2])
    assert valid.tolist() == [True]
    torch.testing.assert_close(one, both[:1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["OVSeg", "OVSegDEMO"])
@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_what_did_not_crash_keeps_its_numbers(host, fixed, clip_file, monkeypatch, kind, weight):
    fixed_result = segment(build(fixed, clip_file, kind, weight), ALL_MASKS)
    monkeypatch.undo()
    assert torch.equal(segment(build(host, clip_file, kind, weight), ALL_MASKS), fixed_result)


def test_a_fix_is_named_once_and_only_where_it_acts(fixed, clip_file, caplog):
    model = build(fixed, clip_file)
    with caplog.at_level(logging.INFO, logger="integrations.ovseg"):
        segment(model, ALL_MASKS)
        assert not caplog.records
        for _ in range(2):
            segment(model, NO_MASK)
            segment(model, ONE_MASK)
    assert len(caplog.records) == 2
    assert "no valid mask" in caplog.text and "exactly one" in caplog.text


def test_numpy_aliases_are_set_where_they_are_missing(monkeypatch, tmp_path):
    for name in ("int", "float"):
        monkeypatch.delattr(np, name, raising=False)
        monkeypatch.setattr(np, name, None, raising=False)
        monkeypatch.delattr(np, name)
    monkeypatch.setattr(np, "str", "kept", raising=False)
    hostfixes.fix_environment(Path(tmp_path))
    assert np.array([1.5], dtype=np.int).tolist() == [1]  # noqa: NPY001
    assert np.array([1], dtype=np.float).dtype == np.float64  # noqa: NPY001
    assert np.str == "kept"  # noqa: NPY001
    for name in ("int", "float", "bool"):
        if name in vars(np):
            monkeypatch.setattr(np, name, getattr(np, name), raising=False)


def test_the_demo_without_the_clip_branch_names_masks_by_the_other_one(fixed, clip_file):
    model, inputs = build(fixed, clip_file, "OVSegDEMO", ensemble=False), make_inputs(queries=5, empty=())
    with torch.no_grad():
        text = model.clip_adapter.get_text_features(inputs["class_names"])
    scores = (100 * torch.nn.functional.normalize(inputs["pred_logits"], dim=-1) @ text.T).softmax(dim=-1)[:, :-1]
    expected = torch.zeros(4, 40, 52)
    for query, mask in enumerate(inputs["pred_masks"].sigmoid() > 0.5):
        if query in scores.argmax(dim=0):  # the queries that are the best for some class
            expected += scores[query][:, None, None] * mask
    torch.testing.assert_close(segment(model, inputs), expected)


def test_one_name_alone_in_the_demo_without_the_clip_branch(fixed, clip_file):
    model, inputs = build(fixed, clip_file, "OVSegDEMO", ensemble=False), make_inputs(queries=5, empty=())
    inputs["class_names"] = ["desk"]
    result = segment(model, inputs)
    assert inputs["class_names"] == ["desk", "others"]
    assert len(result.flatten(1).unique(dim=1).T) == 2  # one query's mask, and nothing


@pytest.mark.parametrize(
    ("typed", "read", "said"),
    [
        (["wall,", "desk"], ["wall", "desk"], "is read as ['wall', 'desk']"),
        (["wall", " desk", ""], ["wall", "desk"], "is read as ['wall', 'desk']"),
        (["wall", ","], ["wall", "others"], "is read as ['wall']"),
        (["wall,desk", "lamp"], ["wall,desk", "lamp"], "'wall,desk' is one class name, with a comma in it"),
        (["wall", "desk"], ["wall", "desk"], ""),
    ],
)
def test_commas_in_the_demos_names(fixed, clip_file, caplog, typed, read, said):
    model, inputs = build(fixed, clip_file, "OVSegDEMO"), make_inputs(empty=())
    names = inputs["class_names"] = list(typed)
    with caplog.at_level(logging.INFO, logger="integrations.ovseg"):
        result = segment(model, inputs)
    assert names == read and len(result) == len(read)  # the caller's own list, which the picture is labelled by
    assert said in caplog.text and bool(said) == bool(caplog.records)
    assert torch.equal(result, segment(model, {**inputs, "class_names": list(read)}))


@pytest.mark.parametrize("kind", ["OVSeg", "OVSegDEMO"])
def test_a_model_without_a_checkpoint_is_said_once(fixed, clip_file, caplog, kind):
    template = build(fixed, clip_file, kind)
    model = type(template)(clip_adapter=template.clip_adapter).eval()
    backbone = {"clip_adapter.pixel_mean": template.clip_adapter.pixel_mean}
    model.load_state_dict(backbone, strict=False)  # a checkpoint, but none of OVSeg's own
    for _ in range(2):
        segment(model, make_inputs(empty=()))
    assert caplog.text.count("random weights") == 1 and "MODEL.WEIGHTS" in caplog.text


@pytest.mark.parametrize("kind", ["OVSeg", "OVSegDEMO"])
@pytest.mark.parametrize("inputs", [NO_MASK, ONE_MASK, SOME_MASKS], ids=["none", "one", "some"])
def test_patch_brings_the_fixes_without_the_launcher(host, clip_file, adapter, kind, inputs):
    model = build(host, clip_file, kind)
    with patch(model, adapter):
        assert segment(model, inputs).isfinite().all()
    with pytest.raises((ValueError, IndexError)), patch(model, adapter, host_fixes=False):
        segment(model, {**NO_MASK})


def test_patch_brings_the_fix_of_the_demo_without_the_clip_branch(host, clip_file, adapter):
    model = build(host, clip_file, "OVSegDEMO", ensemble=False)
    with pytest.raises(UnboundLocalError):
        segment(model, make_inputs())
    with patch(model, adapter):
        assert segment(model, make_inputs()).isfinite().all()
