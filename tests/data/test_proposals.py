"""Masks without classes: how the ground truth is spoilt, how the over-segmentation cuts, and what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.prepare_data import main
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.images import read_labels
from opendas_plugin.data.proposals import (
    MIN_AREA,
    best_iou,
    describe,
    erode,
    labelled_pictures,
    merge,
    oversegment,
    split,
    spoil,
    write_proposals,
)
from opendas_plugin.errors import DataError
from opendas_plugin.eval.masks import read_proposals
from opendas_plugin.scenes.pictures import scene_pictures


@pytest.fixture
def instances():
    """Two blocks that touch, one apart, and one of fewer pixels than count."""
    numbers = np.zeros((60, 80), np.int64)
    numbers[5:35, 5:25], numbers[5:35, 25:45], numbers[40:55, 60:78], numbers[50:55, 2:10] = 1, 2, 3, 4
    return numbers


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_a_split_is_two_parts_of_a_quarter_at_least(instances, rng):
    for _ in range(20):
        first, second = split(instances == 1, rng)
        assert np.array_equal(first | second, instances == 1)
        assert not (first & second).any()
        assert min(first.sum(), second.sum()) >= 0.2 * (instances == 1).sum()


def test_a_merge_takes_a_neighbour_or_nothing(instances, rng):
    assert np.array_equal(merge(instances == 1, instances, rng), (instances == 1) | (instances == 2))
    assert np.array_equal(merge(instances == 3, instances, rng), instances == 3)


def test_erosion_takes_the_border_away(instances):
    eroded = erode(instances == 1, 0.3)
    assert not (eroded & (instances != 1)).any()
    assert 0.4 * 600 < eroded.sum() <= 0.7 * 600
    assert eroded[20, 15]
    assert not eroded[5, 5:25].any()


def test_every_instance_that_counts_is_spoilt_and_each_in_its_own_way(instances):
    for seed in range(10):
        masks = spoil(instances, np.random.default_rng(seed))
        again = spoil(instances, np.random.default_rng(seed))
        assert all(np.array_equal(one, other) for one, other in zip(masks, again, strict=True))
        assert all(mask.sum() >= MIN_AREA for mask in masks)
        assert {number for mask in masks for number in np.unique(instances[mask])} >= {1, 2, 3}


def test_best_iou_by_hand(instances):
    assert best_iou(instances == 1, instances) == 1
    assert best_iou((instances == 1) | (instances == 2), instances) == 0.5
    half = (instances == 3) & (np.arange(80) < 69)
    assert best_iou(half, instances) == pytest.approx(0.5)
    assert best_iou(instances == 0, instances) == 0


def test_the_over_segmentation_cuts_at_colours_and_at_depth_steps_and_not_on_a_slanted_plane():
    rows, columns = np.mgrid[:120, :160]
    colour = np.full((120, 160, 3), 90, np.uint8)
    colour[30:90, 20:60] = (200, 60, 60)
    depth = 1 / (0.2 + 0.001 * columns + 0.0005 * rows)  # a plane, seen at an angle
    depth[30:90, 100:140] -= 0.8  # a box before it, of one colour with it
    masks = oversegment(colour, depth)
    truth = np.zeros((120, 160), np.int64)
    truth[30:90, 20:60], truth[30:90, 100:140] = 1, 2
    truth[truth == 0] = 3
    assert len(masks) == 3
    assert all(best_iou(mask, truth) > 0.8 for mask in masks)
    assert np.sum(masks, axis=0).min() == np.sum(masks, axis=0).max() == 1


@pytest.fixture
def data(tmp_path, instances):
    """Two pictures in the layout of a domain's scenes."""
    scene = tmp_path / "data" / "scenes" / "office_test_000"
    for name in ("color", "depth", "instance", "class"):
        (scene / name).mkdir(parents=True)
    classes = np.array([255, 0, 1, 1, 255], np.uint8)[instances]
    for number in range(2):
        colour = np.full((60, 80, 3), 60, np.uint8)
        colour[5:35, 5:25] = 220
        Image.fromarray(colour).save(scene / "color" / f"{number}.jpg")
        Image.fromarray(np.full((60, 80), 2000, np.uint16)).save(scene / "depth" / f"{number}.png")
        Image.fromarray(instances.astype(np.uint16)).save(scene / "instance" / f"{number}.png")
        Image.fromarray(classes).save(scene / "class" / f"{number}.png")
    return tmp_path / "data"


def test_a_folder_that_the_evaluation_reads(data, instances, tmp_path):
    quality = write_proposals(scene_pictures(data / "scenes", ["office_test_000"]), tmp_path / "out", seed=1)
    proposals = read_proposals(tmp_path / "out" / "proposals.json", data / "scenes")
    oracle = read_proposals(tmp_path / "out" / "oracle.json", data / "scenes")
    assert {mask.group for mask in proposals} == {"office_test_000/color/0.jpg", "office_test_000/color/1.jpg"}
    assert len(oracle) == 2 * 3
    assert all(best_iou(mask.mask(), instances) == 1 for mask in oracle)
    labels = read_labels(tmp_path / "out" / "labels" / "office_test_000" / "color" / "1.png")
    assert labels[10, 30] == 1
    ious = [best_iou(mask.mask(), instances) for mask in proposals]
    assert quality["all"] == {
        "masks": len(proposals),
        "mean_iou": pytest.approx(np.mean(ious), abs=1e-4),
        "below_0.25": pytest.approx(np.mean(np.array(ious) < 0.25), abs=1e-4),
    }
    assert json.loads((tmp_path / "out" / "quality.json").read_text()) == quality
    kinds = [quality[kind]["masks"] for kind in ("spoilt ground truth", "over-segmentation")]
    assert sum(kinds) == len(proposals)


def test_a_labelled_domain_gives_its_segments_as_instances(domain):
    data = load_domain(domain)
    pictures = list(labelled_pictures(data.val, data.vocabulary, domain))
    assert [picture.name for picture in pictures] == [f"images/val{number}.png" for number in range(3)]
    for picture in pictures:
        own = [segment for segment in data.val if segment.image == domain / picture.name]
        assert len(np.unique(picture.instances)) == len(own) + 1
        for segment in own:
            assert set(picture.classes[segment.mask()]) == {data.vocabulary.index[segment.label]}
            assert best_iou(segment.mask(), picture.instances) == 1
        assert picture.depth is None
        assert len(oversegment(picture.colour, None)) >= 1


def test_the_command_says_how_good_the_masks_are_and_where_the_pictures_lie(domain, tmp_path, capsys):
    assert main(["proposals", "--data", str(domain), "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    quality = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert f"{quality['all']['masks']} masks, mean IoU with the ground truth {quality['all']['mean_iou']:.3f}" in out
    images = out.splitlines()[-1].removeprefix("--images ")
    assert {mask.group for mask in read_proposals(tmp_path / "out" / "oracle.json", images)} == {
        f"val{number}.png" for number in range(3)
    }
    assert (tmp_path / "out" / "labels" / "val0.png").exists()
    assert main(["proposals", "--data", str(domain), "--part", "train", "--output", str(tmp_path / "learn")]) == 0
    images = capsys.readouterr().out.splitlines()[-1].removeprefix("--images ")
    learnt = {segment.image for segment in load_domain(domain).train}
    assert {mask.image for mask in read_proposals(tmp_path / "learn" / "proposals.json", images)} <= learnt
    assert main(["proposals", "--of", "clouds", "--data", str(domain), "--output", str(tmp_path / "clouds")]) == 1
    assert "has no clouds" in capsys.readouterr().err


def test_nothing_to_propose_is_an_error(data, tmp_path):
    with pytest.raises(DataError, match="got none"):
        write_proposals(scene_pictures(data / "scenes", ["office_test_999"]), tmp_path / "out")
    with pytest.raises(DataError, match="got none"):
        describe({"spoilt ground truth": [], "over-segmentation": []})
