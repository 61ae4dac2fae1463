"""The labeller against open_clip's own preprocessing and towers, one mask at a time."""

from __future__ import annotations

import types

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from pycocotools import mask as coco_mask

from opendas_plugin import CropPolicy, Labeller, OpenDASCLIP, PromptConfig, Vocabulary
from opendas_plugin.data.segments import encode
from opendas_plugin.errors import AdapterError, ConfigError, DataError, MissingFileError

NAMES = ["red block", "green block", "a thing"]
SIZE = (40, 56)


@pytest.fixture(scope="module")
def clip(tiny_backbone):
    return OpenDASCLIP.from_backbone(tiny_backbone, seed=1)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def masks():
    """A block, a block that touches the border, all of the image, one pixel, two parts, and nothing."""
    masks = np.zeros((6, *SIZE), dtype=bool)
    masks[0, 5:20, 8:30] = True
    masks[1, 30:, :9] = True
    masks[2] = True
    masks[3, 17, 41] = True
    masks[4, 2:6, 3:9] = masks[4, 20:33, 40:50] = True
    return masks


def reference(clip, image, masks, *, expand=0.1, mean=False, square=True, template="a photo of a {}."):
    """Crops by hand, open_clip's preprocessing, its own towers: cosines (M, N), nan where a mask is empty."""
    facts = {**clip.model.visual.preprocess_cfg, "resize_mode": "squash" if square else "shortest"}
    preprocess = image_transform_v2(PreprocessCfg(**facts), is_train=False)
    texts = clip.tokenizer([template.format(name) for name in NAMES])
    rows = []
    with torch.no_grad():
        names = clip.model.encode_text(texts, normalize=True)
        for mask in masks:
            if not mask.any():
                rows.append(torch.full((len(NAMES),), torch.nan))
                continue
            y, x = np.nonzero(mask)
            x0, x1, y0, y1 = x.min(), x.max() + 1, y.min(), y.max() + 1
            dx, dy = round((x1 - x0) * expand / 2), round((y1 - y0) * expand / 2)
            own = image.copy()
            if mean:
                own[~mask] = np.round(255 * np.array(facts["mean"])).astype(np.uint8)
            box = max(x0 - dx, 0), max(y0 - dy, 0), min(x1 + dx, image.shape[1]), min(y1 + dy, image.shape[0])
            pixels = preprocess(Image.fromarray(own).crop(tuple(map(int, box))))
            rows.append((clip.model.encode_image(pixels[None], normalize=True) @ names.T)[0])
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("batch_size", [1, 2, 64])
@pytest.mark.parametrize(
    ("crops", "as_by_hand"),
    [
        (CropPolicy(size=32), {}),
        ({"background": "mean", "expand": 0.5}, {"mean": True, "expand": 0.5}),
        ({"resize": "center"}, {"square": False}),
    ],
)
def test_names_and_cosines_are_those_of_one_mask_at_a_time(clip, image, masks, crops, as_by_hand, batch_size):
    expected = reference(clip, image, masks, **as_by_hand)
    labels = Labeller(clip, NAMES, crops=crops, batch_size=batch_size)(image, masks)
    np.testing.assert_allclose(labels.cosines, expected, atol=1e-5)
    best = expected[:5].argmax(axis=1)
    assert labels.indices.tolist() == [*best, -1]
    assert labels.names == (*(NAMES[place] for place in best), None)
    assert labels.empty.tolist() == [False] * 5 + [True]
    assert labels.classes == tuple(NAMES)
    scale = clip.model.logit_scale.exp().item()
    probabilities = torch.softmax(scale * torch.from_numpy(expected), dim=-1).numpy()
    np.testing.assert_allclose(labels.probabilities, probabilities, atol=1e-5)


def run_lengths(mask):
    """COCO's uncompressed code, by hand: the lengths of runs down the columns, the first one of zeros."""
    flat = mask.ravel(order="F").astype(int)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()}


def kinds_of_masks(masks):
    runs = [run_lengths(mask) for mask in masks]
    return {
        "bool array": masks,
        "uint8 of 0 and 1": masks.astype(np.uint8),
        "uint8 of 0 and 255": masks.astype(np.uint8) * 255,
        "int8 of 0 and -1": -masks.astype(np.int8),
        "a masked array that hides what is outside": np.ma.masked_array(np.ones_like(masks), mask=~masks),
        "torch": torch.from_numpy(masks),
        "SAM's predictor (M, 1, H, W)": torch.from_numpy(masks[:, None]),
        "list of arrays": list(masks),
        "list of tensors": [torch.from_numpy(mask) for mask in masks],
        "run lengths as text": [encode(mask) for mask in masks],
        "run lengths as bytes": [coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks],
        "uncompressed run lengths": runs,
        "SAM's automatic generator": [{"segmentation": mask, "area": int(mask.sum())} for mask in masks],
        "SAM's automatic generator, coco_rle": [{"segmentation": run, "predicted_iou": 0.9} for run in runs],
        "transformers": {"masks": [torch.from_numpy(mask) for mask in masks], "scores": torch.ones(len(masks))},
        "supervision": types.SimpleNamespace(mask=masks, xyxy=np.zeros((6, 4))),
    }


def test_every_kind_of_masks_gives_the_same(clip, image, masks):
    labeller = Labeller(clip, NAMES)
    expected = reference(clip, image, masks)
    for kind, given in kinds_of_masks(masks).items():
        np.testing.assert_allclose(labeller(image, given).cosines, expected, atol=1e-5, err_msg=kind)


def test_every_kind_of_image_gives_the_same(clip, image, masks, tmp_path):
    picture = Image.fromarray(image)
    picture.save(tmp_path / "image.png")
    labeller, expected = Labeller(clip, NAMES), reference(clip, image, masks)
    for given in (tmp_path / "image.png", str(tmp_path / "image.png"), picture, picture.convert("RGBA"), image):
        np.testing.assert_allclose(labeller(given, masks).cosines, expected, atol=1e-5)


def test_a_box_is_a_mask_of_all_pixels_that_it_touches(clip, image):
    boxes = np.array([[8.0, 5, 30, 20], [3.4, 4.2, 17.6, 9.9], [-10, -10, 500, 500], [60, 3, 70, 9], [5, 5, 5, 9]])
    masks = np.zeros((5, *SIZE), dtype=bool)
    masks[0, 5:20, 8:30] = masks[1, 4:10, 3:18] = masks[2] = True
    labels = Labeller(clip, NAMES)(image, boxes=boxes)
    np.testing.assert_allclose(labels.cosines, reference(clip, image, masks), atol=1e-5)
    assert labels.empty.tolist() == [False, False, False, True, True]
    detections = types.SimpleNamespace(mask=None, xyxy=boxes)
    np.testing.assert_array_equal(Labeller(clip, NAMES)(image, detections).cosines, labels.cosines)
    assert Labeller(clip, NAMES)(image, boxes=torch.from_numpy(boxes)).names == labels.names


def test_features_are_open_clips_of_unit_length(clip, image, masks):
    features = Labeller(clip, NAMES).features(image, masks)
    texts = clip.tokenizer([f"a photo of a {name}." for name in NAMES])
    with torch.no_grad():
        names = clip.model.encode_text(texts, normalize=True).numpy()
    np.testing.assert_allclose(features[:5] @ names.T, reference(clip, image, masks)[:5], atol=1e-5)
    assert np.linalg.norm(features, axis=1) == pytest.approx([1, 1, 1, 1, 1, 0], abs=1e-6)


def test_synonyms_and_templates_are_averaged_as_clips_ensembles_are(clip, image, masks):
    templates = ("a photo of a {}.", "the {}")
    words = {"sofa": ["sofa", "couch", "settee"], "desk": ["desk"]}
    rows = []
    with torch.no_grad():
        for own in words.values():
            texts = [template.format(word) for word in own for template in templates]
            mean = clip.model.encode_text(clip.tokenizer(texts), normalize=True).mean(dim=0)
            rows.append(mean / mean.norm())
    labeller = Labeller(clip, {"sofa": ["couch", "settee"], "desk": "desk"}, template=templates)
    torch.testing.assert_close(labeller.text.features, torch.stack(rows), atol=1e-5, rtol=0)
    assert labeller(image, masks).classes == ("sofa", "desk")


def test_template_and_crops_are_the_callers_else_the_adapters_else_the_vocabularys(tiny_backbone, tmp_path):
    new = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig())
    words = Vocabulary(("a", "b"), template="words of {}")
    assert Labeller(new, ["a", "b"]).text.template == ("a photo of a {}.",)
    assert Labeller(new, words).text.template == ("words of {}",)
    stored = CropPolicy("mean", 0.3, "center", 32)
    new.save_pretrained(tmp_path / "adapter", template="adapted {}", crop_policy=stored)
    for clip in (tmp_path / "adapter", str(tmp_path / "adapter"), f"opendas:{tmp_path / 'adapter'}"):
        labeller = Labeller(clip, words)
        assert (labeller.text.template, labeller.crops) == (("adapted {}",), stored)
    labeller = Labeller(tmp_path / "adapter", words, template="my {}", crops={"background": "keep"})
    assert (labeller.text.template, labeller.crops) == (("my {}",), CropPolicy("keep", 0.3, "center", 32))
    assert Labeller(tmp_path / "adapter", words, crops=CropPolicy()).crops == CropPolicy(size=32)
    with pytest.raises(ConfigError, match="takes 32 pixels, got crops of size 64"):
        Labeller(tmp_path / "adapter", words, crops=CropPolicy(size=64))


def test_pixel_statistics_and_interpolation_are_the_backbones_own(tiny_backbone, image, masks):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, seed=1)
    plain = Labeller(clip, NAMES)(image, masks).cosines
    facts = {"mean": (0.5, 0.4, 0.3), "std": (0.5, 0.5, 0.25), "interpolation": "bilinear"}
    clip.model.visual.preprocess_cfg = {**clip.model.visual.preprocess_cfg, **facts}
    labels = Labeller(clip, NAMES, crops={"background": "mean"})(image, masks)
    np.testing.assert_allclose(labels.cosines, reference(clip, image, masks, mean=True), atol=1e-5)
    assert np.nanmax(np.abs(labels.cosines - plain)) > 1e-3


def test_other_names_share_the_towers(clip, image, masks):
    labeller = Labeller(clip, NAMES, crops={"expand": 0.4}, template="the {}")
    other = labeller.with_names(["door", "door frame"])
    assert other.clip is labeller.clip
    assert labeller.classes == tuple(NAMES)
    again = Labeller(clip, ["door", "door frame"], crops={"expand": 0.4}, template="the {}")
    np.testing.assert_array_equal(other(image, masks).cosines, again(image, masks).cosines)


def test_image_and_texts_are_of_one_clip_when_the_adapter_is_switched_off_or_changed(tiny_backbone, image, masks):
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=PromptConfig(), prompt_seed=3)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.add_(0.3)
    labeller, plain = Labeller(clip, NAMES), Labeller(OpenDASCLIP.from_backbone(tiny_backbone), NAMES)
    adapted = labeller(image, masks).cosines
    with clip.prompts_disabled():
        np.testing.assert_allclose(labeller(image, masks).cosines, plain(image, masks).cosines, atol=1e-5)
    np.testing.assert_array_equal(labeller(image, masks).cosines, adapted)
    with torch.no_grad():
        for parameter in clip.prompt_parameters():
            parameter.mul_(-2)
    np.testing.assert_array_equal(labeller(image, masks).cosines, Labeller(clip, NAMES)(image, masks).cosines)
    assert np.nanmax(np.abs(labeller(image, masks).cosines - adapted)) > 1e-3


def test_an_adapter_whose_texts_depend_on_the_image_names_masks_too(tiny_backbone, image, masks):
    prompts = PromptConfig(visual_tokens=0, text_tokens=4, text_depth=1, form="conditional")
    clip = OpenDASCLIP.from_backbone(tiny_backbone, prompts=prompts)
    labeller = Labeller(clip, NAMES)
    features = torch.from_numpy(labeller.features(image, masks)[:5])
    with torch.no_grad():
        expected = clip.classifier(clip.tokenize([f"a photo of a {name}." for name in NAMES]))(features).numpy()
    np.testing.assert_allclose(labeller(image, masks).cosines[:5], expected, atol=1e-5)
    with pytest.raises(ConfigError, match="one text a name"):
        Labeller(clip, {"sofa": ["couch"]})
    with pytest.raises(AdapterError, match="depend on the image"):
        _ = labeller.text.features


def test_no_masks_are_no_names(clip, image):
    for none in ([], np.zeros((0, *SIZE), dtype=bool), torch.zeros((0, *SIZE), dtype=torch.bool), np.array([])):
        labels = Labeller(clip, NAMES)(image, none)
        assert (len(labels), labels.cosines.shape, labels.names) == (0, (0, 3), ())
    assert Labeller(clip, NAMES)(image, boxes=np.zeros((0, 4))).names == ()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"masks": np.ones((2, 30, 56), dtype=bool)}, "mask 0 is 56x30, but its image is 56x40"),
        ({"masks": [np.ones(SIZE, dtype=bool), np.ones((40, 50), dtype=bool)]}, "mask 1 is 50x40"),
        ({"masks": np.random.default_rng(0).random((1, *SIZE))}, "compare it with a threshold"),
        ({"masks": torch.rand((1, *SIZE)).to(torch.bfloat16)}, "compare it with a threshold"),
        ({"masks": np.arange(40 * 56).reshape(SIZE)}, "labels == number"),
        ({"masks": [{"size": [2, 2], "counts": "04"}]}, r"has the size \[2, 2\]"),
        ({"masks": [{"size": list(SIZE), "counts": [1, 2]}]}, "add up to 56x40"),
        ({"masks": [{"size": list(SIZE), "counts": "~~~"}]}, "not a compressed run-length code"),
        ({"masks": [{"bbox": [1, 2, 3, 4]}]}, "got a dict with bbox"),
        ({"masks": 7}, "expected masks as an array"),
        ({"masks": "photo.png"}, "expected masks as an array"),
        ({"boxes": [[1, 2, 3]]}, r"numbers \(M, 4\)"),
        ({"boxes": [[1, 2, np.nan, 4]]}, "box 0 is not finite"),
        ({}, "masks or boxes, one of the two"),
        ({"masks": np.ones((1, *SIZE), dtype=bool), "boxes": [[1, 2, 3, 4]]}, "one of the two"),
    ],
)
def test_masks_that_do_not_fit_are_refused_with_what_to_do(clip, image, given, says):
    with pytest.raises((DataError, ConfigError), match=says):
        Labeller(clip, NAMES)(image, **given)


@pytest.mark.parametrize(
    ("picture", "error", "says"),
    [
        (np.zeros((40, 56)), DataError, "got float64"),
        (np.zeros((3, 40, 56), dtype=np.uint8), DataError, r"uint8 \(H, W, 3\)"),
        (None, DataError, "got NoneType"),
        ("none.png", MissingFileError, "does not exist"),
    ],
)
def test_images_that_cannot_be_read_are_refused(clip, picture, error, says):
    with pytest.raises(error, match=says):
        Labeller(clip, NAMES)(picture, np.ones((1, *SIZE), dtype=bool))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "got none"),
        ("door", "put it into a list"),
        (["door", "_Door"], "same name"),
        (["door", " "], "empty"),
        ({"door", "desk"}, "got set"),
        (7, "got int"),
    ],
)
def test_names_that_cannot_compete_are_refused(clip, names, says):
    with pytest.raises(DataError, match=says):
        Labeller(clip, names)


def test_a_clip_may_be_given_by_any_name_of_it(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert Labeller("office-tiny", NAMES, device="cpu").clip.backbone.name == "office-tiny"
    with pytest.raises(ConfigError, match="does not say which weights"):
        Labeller("no-such-thing", NAMES)
    with pytest.raises(MissingFileError, match="neither a folder nor an adapter on the hub"):
        Labeller("somebody/adapter-that-is-not-there", NAMES)
