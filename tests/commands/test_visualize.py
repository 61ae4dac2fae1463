import json

import numpy as np
import pytest
import torch
from PIL import Image

from opendas_plugin.commands.visualize import main
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.scenes.feature_records import describe
from opendas_plugin.scenes.feature_source import FeatureSource
from opendas_plugin.scenes.mask_arrays import sparse_masks
from opendas_plugin.scenes.mask_features import save_features
from opendas_plugin.scenes.pointcloud import read_ply
from tests.integrations.openmask3d.scenes import SIZE, write_room

TEXT = "a door frame"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A scene whose mask 2 has the text's own feature, masks 0 and 1 others, and mask 4 none."""
    folder = tmp_path_factory.mktemp("scenes") / "room"
    scene = write_room(folder)
    clip = OpenDASCLIP.from_backbone("office-tiny")
    with torch.no_grad():
        texts = clip.encode_text(clip.tokenize(["a wall", "a globe", TEXT, "a door"])).numpy()
    features = np.concatenate([texts, np.zeros((1, texts.shape[1]))])
    described = describe(FeatureSource("office-tiny", clip), sparse_masks(scene.masks, len(scene.points)), {})
    save_features(folder / "features.npy", features, described)
    return folder, scene


def query(folder, output, *flags):
    return main(["query", "--scene", str(folder), "--features", str(folder / "features.npy"), "--text", TEXT,
                 "--output", str(output), *map(str, flags)])  # fmt: skip


def test_the_best_masks_are_listed_and_painted(room, tmp_path, capsys):
    folder, scene = room
    assert query(folder, tmp_path, "--best", 9) == 0
    found = json.loads((tmp_path / "query.json").read_text())
    assert found["text"] == TEXT
    assert found["best"][0]["mask"] == 2
    assert found["best"][0]["cosine"] == pytest.approx(1, abs=1e-5)
    assert sorted(row["mask"] for row in found["best"]) == [0, 1, 2, 3], "a mask without a feature is never found"
    cosines = [row["cosine"] for row in found["best"]]
    assert cosines == sorted(cosines, reverse=True)
    assert capsys.readouterr().out.startswith("mask    2   cosine 1.0000")

    points, colours = read_ply(tmp_path / "query.ply")
    np.testing.assert_allclose(points, scene.points, atol=1e-6)
    inside, outside = scene.masks[:, 2] > 0, ~(scene.masks > 0).any(axis=1)
    assert (colours[inside] == (230, 40, 40)).all()
    assert (colours[outside] == colours[outside][0]).all()


def test_the_picture_shows_the_masks_where_they_are(room, tmp_path):
    folder, scene = room
    assert query(folder, tmp_path, "--best", 1) == 0
    picture = np.asarray(Image.open(tmp_path / "query.png")).astype(int)
    assert picture.shape == (SIZE[0], 2 * SIZE[1], 3)
    cloud = picture[:, SIZE[1] :]
    red = (cloud == (230, 40, 40)).all(axis=2)
    photos = [scene.views.read_colour(view).astype(int) for view in range(len(scene.views))]
    blue = max((photo[..., 2] > photo[..., 0] + 60).sum() for photo in photos)  # mask 1 is blue, mask 2 green
    green = [photo[..., 1] > photo[..., 0] + 60 for photo in photos]
    best = max(range(len(photos)), key=lambda view: (red & green[view]).sum())
    assert blue > 0
    assert (red & green[best]).sum() > 0.8 * red.sum(), "the painted points lie on the green box of some picture"


def test_another_clips_features_are_refused(room, tmp_path, capsys):
    folder, _ = room
    clip = OpenDASCLIP.from_backbone("office-tiny", prompts=PromptConfig(visual_tokens=1, text_tokens=1))
    clip.save_pretrained(tmp_path / "adapter")
    assert query(folder, tmp_path / "output", "--adapter", tmp_path / "adapter") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert "must come from the same CLIP" in error
    assert not (tmp_path / "output").exists()


def test_bad_usage_is_one_line(room, tmp_path, capsys):
    folder, _ = room
    assert query(folder, tmp_path, "--best", 0) == 2
    assert query(folder, tmp_path, "--masks", tmp_path / "none.pt") == 1
    assert "none.pt does not exist; compute the masks first" in capsys.readouterr().err
