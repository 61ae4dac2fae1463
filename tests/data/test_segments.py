"""Segments against numpy, and against pycocotools, whose code they keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask

from opendas_plugin.crops import mask_box
from opendas_plugin.data.segments import Segment, check_rle, check_rles, encode
from opendas_plugin.errors import DataError

IMAGE = Path("room/frame.png")
MASKS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)).filter(np.any)


@settings(max_examples=200)
@given(MASKS)
def test_a_mask_comes_back_with_its_area_and_box(mask):
    segment = Segment.from_mask(IMAGE, mask, "wall")
    assert np.array_equal(segment.mask(), mask)
    assert segment.mask().dtype == bool
    assert segment.size == mask.shape
    assert segment.area == mask.sum()
    assert segment.box == mask_box(mask)
    assert check_rle(segment.rle) is None


@settings(max_examples=100)
@given(MASKS)
def test_the_code_is_pycocotools_own(mask):
    expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    segment = Segment.from_mask(IMAGE, mask, "wall")
    assert segment.rle["counts"] == expected["counts"].decode()
    x0, y0, x1, y1 = segment.box
    assert coco_mask.toBbox(expected).tolist() == [x0, y0, x1 - x0, y1 - y0]


def test_large_masks_pass_the_check():
    mask = np.zeros((2000, 3000), bool)
    mask[5, 7] = mask[1900, 2900] = True
    assert check_rle(Segment.from_mask(IMAGE, mask, "wall").rle) is None


def test_an_empty_mask_is_refused():
    with pytest.raises(DataError, match=r"frame\.png.*'wall'.*empty"):
        Segment.from_mask(IMAGE, np.zeros((4, 4), bool), "wall")


def test_the_group_is_the_image_unless_given():
    mask = np.ones((2, 2), bool)
    assert Segment.from_mask(IMAGE, mask, "wall").group == "frame"
    assert Segment.from_mask(IMAGE, mask, "wall", "scene 1").group == "scene 1"


@settings(max_examples=200)
@given(MASKS, st.data())
def test_a_code_that_was_cut_off_is_found(mask, data):
    rle = Segment.from_mask(IMAGE, mask, "wall").rle
    end = data.draw(st.integers(0, len(rle["counts"]) - 1))
    assert check_rle({**rle, "counts": rle["counts"][:end]}) is not None


@pytest.mark.parametrize(
    ("rle", "said"),
    [
        (None, "size"),
        ({"size": [4, 4]}, "counts"),
        ({"size": [4, 4], "counts": [16]}, "counts"),
        ({"size": [4], "counts": "02"}, "size"),
        ({"size": [4, -4], "counts": "02"}, "size"),
        ({"size": [4, 4], "counts": "hello world"}, "not a compressed"),
        ({"size": [4, 4], "counts": "0`1"}, "add up"),
        ({"size": [4, 4], "counts": "`0"}, "empty"),
    ],
)
def test_what_is_wrong_with_a_code_is_said(rle, said):
    assert said in check_rle(rle)


def test_of_many_codes_the_first_wrong_one_is_told():
    rng = np.random.default_rng(0)
    codes = [encode(rng.random((rng.integers(2, 30), rng.integers(2, 30))) < 0.5) for _ in range(40)]
    assert check_rles(codes) is None and check_rles([]) is None
    short = {**codes[20], "size": [codes[20]["size"][0] + 1, codes[20]["size"][1]]}
    empty = encode(np.zeros((4, 5), bool))
    for wrong, said in (
        (short, "do not add up"),
        (empty, "is empty"),
        ({"size": [2, 2]}, "expected"),
        (None, "expected"),
    ):
        place, what = check_rles([*codes[:20], wrong, *codes[21:30], empty, *codes[31:]])
        assert place == 20 and said in what
