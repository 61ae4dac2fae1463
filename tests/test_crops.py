"""A crop is what open_clip would make of the same box."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import image_transform
from PIL import Image

from opendas_plugin.crops import CLIP_MEAN, CLIP_STD, OPENAI_PIXELS, CropPolicy, crop, expand_box, mask_box
from opendas_plugin.errors import ConfigError, DataError

OPEN_CLIP_MODE = {"squash": "squash", "center": "shortest"}


@st.composite
def boxes(draw):
    """An image size and a box inside it."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return (height, width), (x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height)))


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def box_mask(shape, box):
    mask = np.zeros(shape, bool)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


@settings(max_examples=60)
@given(boxes(), st.sampled_from(["squash", "center"]), st.sampled_from([7, 32, 65]))
def test_a_crop_equals_open_clips_transform_of_the_box(sized_box, resize, size):
    shape, box = sized_box
    image = picture(*shape)
    ours = crop(image, box_mask(shape, box), CropPolicy("keep", expand=0, resize=resize, size=size))
    transform = image_transform(size, is_train=False, resize_mode=OPEN_CLIP_MODE[resize])
    expected = transform(Image.fromarray(image).crop(box))
    assert torch.equal(OPENAI_PIXELS.normalise(torch.from_numpy(ours)[None])[0], expected)


@pytest.mark.parametrize("size", [224, 336])
def test_a_whole_image_under_center_is_clips_own_preprocessing(size):
    image = picture(300, 401)
    ours = crop(image, np.ones((300, 401), bool), CropPolicy("keep", 0, "center", size))
    expected = image_transform(size, is_train=False)(Image.fromarray(image))
    assert torch.equal(OPENAI_PIXELS.normalise(torch.from_numpy(ours)[None])[0], expected)


def test_the_statistics_are_openais():
    assert CLIP_MEAN == open_clip.OPENAI_DATASET_MEAN
    assert CLIP_STD == open_clip.OPENAI_DATASET_STD


@settings(max_examples=100)
@given(boxes())
def test_the_box_of_a_mask_is_tight(sized_box):
    shape, box = sized_box
    assert mask_box(box_mask(shape, box)) == box


@settings(max_examples=200)
@given(boxes(), st.floats(0, 3))
def test_expansion_grows_both_sides_alike_and_stays_in_the_image(sized_box, expand):
    (height, width), (x0, y0, x1, y1) = sized_box
    left, top, right, bottom = expand_box((x0, y0, x1, y1), expand, width, height)
    grow_x, grow_y = (x1 - x0) * expand / 2, (y1 - y0) * expand / 2
    assert 0 <= left <= x0 < x1 <= right <= width
    assert 0 <= top <= y0 < y1 <= bottom <= height
    assert left == 0 or abs(x0 - left - grow_x) <= 0.5
    assert right == width or abs(right - x1 - grow_x) <= 0.5
    assert top == 0 or abs(y0 - top - grow_y) <= 0.5
    assert bottom == height or abs(bottom - y1 - grow_y) <= 0.5


def test_a_tenth_of_expansion_worked_by_hand():
    assert expand_box((100, 50, 200, 110), 0.1, 640, 480) == (95, 47, 205, 113)
    assert expand_box((0, 50, 200, 480), 0.1, 640, 480) == (0, 28, 210, 480)


def test_the_mean_background_is_clips_mean_and_the_segment_is_untouched():
    image, mask = picture(40, 60), np.zeros((40, 60), bool)
    mask[10:30, 20:40] = np.eye(20, dtype=bool)
    ours = crop(image, mask, CropPolicy("mean", 0, "squash", 20))  # the box is 20x20: nothing is scaled
    inside = np.eye(20, dtype=bool)
    assert np.array_equal(ours[inside], image[10:30, 20:40][inside])
    assert (ours[~inside] == [123, 117, 104]).all()
    assert OPENAI_PIXELS.normalise(torch.from_numpy(ours)[None])[0][:, ~torch.from_numpy(inside)].abs().max() < 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
@pytest.mark.parametrize("resize", ["squash", "center", "pad"])
@pytest.mark.parametrize("background", ["keep", "mean", "black"])
def test_boxes_of_one_pixel_make_a_crop(shape, resize, background):
    image, mask = picture(64, 64), np.zeros((64, 64), bool)
    mask[: shape[0], : shape[1]] = True
    ours = crop(image, mask, CropPolicy(background, 0.1, resize, 32))
    assert ours.shape == (32, 32, 3)
    assert ours.dtype == np.uint8


@pytest.mark.parametrize(("height", "width"), [(20, 13), (13, 20), (20, 20), (1, 9)])
@pytest.mark.parametrize(
    ("background", "colour"), [("black", (0, 0, 0)), ("mean", (123, 117, 104)), ("keep", (123, 117, 104))]
)
def test_padding_makes_the_box_a_square_around_its_middle(height, width, background, colour):
    """As LangSplat's ``get_seg_img`` and ``pad_img`` do it in black, worked out pixel by pixel."""
    image, mask = picture(30, 40), np.zeros((30, 40), bool)
    mask[5 : 5 + height, 6 : 6 + width] = np.random.default_rng(1).random((height, width)) < 0.7
    mask[5, 6] = mask[4 + height, 5 + width] = True
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    expected = np.zeros((side, side, 3), np.uint8)
    for row in range(side):
        for column in range(side):
            y, x = row - top, column - left
            inside = 0 <= y < height and 0 <= x < width and (mask[5 + y, 6 + x] or background == "keep")
            expected[row, column] = image[5 + y, 6 + x] if inside else colour
    assert np.array_equal(crop(image, mask, CropPolicy(background, 0, "pad", side)), expected)


def test_normalise_equals_torchvision_for_every_value():
    crops = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(2, 1, 1, 3)
    expected = image_transform(16, is_train=False)(Image.fromarray(crops[0].numpy()))
    ours = OPENAI_PIXELS.normalise(crops)
    assert ours.dtype == torch.float32
    assert ours.is_contiguous()
    assert torch.equal(ours[0], expected)
    assert torch.equal(ours[1], expected)


def test_bad_masks_and_images_are_refused():
    image, policy = picture(30, 40), CropPolicy()
    with pytest.raises(DataError, match="at least one pixel"):
        crop(image, np.zeros((30, 40), bool), policy)
    with pytest.raises(DataError, match="40x30, got 30x40"):
        crop(image, np.ones((40, 30), bool), policy)
    with pytest.raises(DataError, match="RGB"):
        crop(image[:, :, 0], np.ones((30, 40), bool), policy)
    with pytest.raises(DataError, match="uint8"):
        crop(image / 255, np.ones((30, 40), bool), policy)


@given(
    st.builds(
        CropPolicy,
        background=st.sampled_from(["keep", "mean", "black"]),
        expand=st.floats(0, 5),
        resize=st.sampled_from(["squash", "center", "pad"]),
        size=st.integers(1, 500),
    )
)
def test_a_policy_comes_back_from_its_dict(policy):
    assert CropPolicy.from_dict(policy.to_dict()) == policy


@pytest.mark.parametrize(
    "values",
    [{"background": "blur"}, {"expand": -0.1}, {"resize": "stretch"}, {"size": 0}, {"size": 2.5}, {"colour": 1}],
)
def test_a_policy_that_does_not_exist_is_refused(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        CropPolicy.from_dict(values)
