import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from integrations.openmask3d.launcher import main as openmask3d
from opendas_plugin.commands.visualize import main
from opendas_plugin.eval.queries import BEST
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


def query(folder, output, *flags, text=(TEXT,)):
    return main(["query", "--scene", str(folder), "--features", str(folder / "features.npy"), "--text", *text,
                 "--output", str(output), *map(str, flags)])  # fmt: skip


def test_the_best_masks_are_listed_and_painted(room, tmp_path, capsys):
    folder, scene = room
    assert query(folder, tmp_path, "--best", 9) == 0
    found = json.loads((tmp_path / "query.json").read_text())
    assert found["text"] == TEXT
    assert found["best"][0] == {"rank": 1, "mask": 2, "cosine": pytest.approx(1, abs=1e-5),
                                "points": int((scene.masks[:, 2] > 0).sum())}  # fmt: skip
    assert sorted(row["mask"] for row in found["best"]) == [0, 1, 2, 3], "a mask without a feature is never found"
    cosines = [row["cosine"] for row in found["best"]]
    assert cosines == sorted(cosines, reverse=True)
    assert found["lowest_cosine"] == cosines[-1]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'"{TEXT}": cosines of the masks from {cosines[-1]:.4f} to {cosines[0]:.4f}'
    assert lines[1].startswith("  1. mask    2   cosine 1.0000")

    points, colours = read_ply(tmp_path / "query.ply")
    np.testing.assert_allclose(points, scene.points, atol=1e-6)
    inside, outside = scene.masks[:, 2] > 0, ~(scene.masks > 0).any(axis=1)
    assert (colours[inside] == (213, 94, 0)).all()
    assert (colours[outside] == colours[outside][0]).all()


def test_the_heat_map_has_the_best_cosine_of_every_points_masks(room, tmp_path):
    folder, scene = room
    assert query(folder, tmp_path) == 0
    points, colours = read_ply(tmp_path / "heat.ply")
    np.testing.assert_allclose(points, scene.points, atol=1e-6)
    best = json.loads((tmp_path / "query.json").read_text())["best"]
    inside = scene.masks > 0
    assert (colours[inside[:, 2]] == (253, 231, 37)).all(), "the highest cosine"
    low, middle, high = best[-1]["cosine"], best[2]["cosine"], best[0]["cosine"]
    share = (middle - low) / (high - low) * 4 - 2  # between the third and the fourth of five colours
    expected = np.array((33, 145, 140)) + share * (np.array((94, 201, 98)) - (33, 145, 140))
    assert best[2]["mask"] == 0
    np.testing.assert_allclose(colours[inside[:, 0]][0], expected, atol=0.51)
    assert (colours[inside[:, 4] | ~inside.any(axis=1)] == 225).all(), "no mask, or one that no picture shows"


def test_the_picture_shows_the_masks_where_they_are(room, tmp_path):
    folder, scene = room
    assert query(folder, tmp_path, "--best", 1) == 0
    picture = np.asarray(Image.open(tmp_path / "query.png")).astype(int)
    height, width, bar = 6 * SIZE[0], 6 * SIZE[1], 26  # small pictures are enlarged
    assert picture.shape == (bar + 2 * (bar + height) + bar, 2 * width, 3)
    cloud = picture[2 * bar : 2 * bar + height, width:][3::6, 3::6]
    painted = (cloud == (213, 94, 0)).all(axis=2)
    photos = [scene.views.read_colour(view).astype(int) for view in range(len(scene.views))]
    green = [photo[..., 1] > photo[..., 0] + 60 for photo in photos]  # mask 2
    best = max(range(len(photos)), key=lambda view: (painted & green[view]).sum())
    assert (painted & green[best]).sum() > 0.8 * painted.sum() > 0, "the painted points lie on the green box"
    heat = picture[3 * bar + height : 3 * bar + 2 * height, width:]
    assert (heat == (253, 231, 37)).all(axis=2).any()


def test_words_and_figures_stand_in_the_picture(room, tmp_path, monkeypatch):
    folder, _ = room
    written = []
    draw = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda own, at, words, **more: (written.append(words), draw(own, at, words, **more)),
    )
    assert query(folder, tmp_path) == 0
    best = json.loads((tmp_path / "query.json").read_text())["best"]
    assert f'"{TEXT}"' in written
    for row in best:
        start = f"{row['rank']}.   cosine {row['cosine']:.4f}   mask {row['mask']}, {row['points']:,} points"
        assert any(words.startswith(start) for words in written)
        assert str(row["rank"]) in written
    assert f"{best[0]['cosine']:.4f}   (light grey: in no mask that a picture shows)" in written


def test_several_texts_are_asked_at_once(room, tmp_path):
    folder, _ = room
    assert query(folder, tmp_path / "all", text=("a wall", TEXT)) == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["1_a_wall", "2_a_door_frame", "run.json"]
    assert query(folder, tmp_path / "one") == 0
    places = (tmp_path / "all" / "2_a_door_frame", tmp_path / "one")
    both = [json.loads((place / "query.json").read_text()) for place in places]
    assert [row["mask"] for row in both[0]["best"]] == [row["mask"] for row in both[1]["best"]]
    assert both[0]["lowest_cosine"] == pytest.approx(both[1]["lowest_cosine"], abs=1e-6)


SIGHT = {  # Machado, Oliveira and Fernandes (2009), complete: linear RGB as it is seen without a kind of cone
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_the_five_colours_can_be_told_apart(sight):
    """By 20 in CIELAB, where 2.3 is what an eye just tells apart."""
    colours = [to_lab(np.array(SIGHT[sight]), colour) for colour in BEST[:5]]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(colours, 2)) > 20


def to_lab(sight, colour):
    """CIELAB of sRGB values."""
    values = colour / 255
    linear = np.clip(sight @ np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4), 0, 1)
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(matrix) @ linear / (0.95047, 1, 1.08883)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("text", [("",), ("  ",), ("a door", "")])
def test_an_empty_text_is_refused(room, tmp_path, capsys, text):
    assert query(room[0], tmp_path / "out", text=text) == 2
    assert "--text must say what to look for" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_adapter_may_be_named_with_and_without_opendas(room, tmp_path, capsys):
    folder = shutil.copytree(room[0], tmp_path / "room")
    adapter = tmp_path / "adapter"
    clip = OpenDASCLIP.from_backbone("office-tiny", prompts=PromptConfig(visual_tokens=1, text_tokens=1))
    clip.save_pretrained(adapter)
    flags = ["features", "--scene", folder, "--masks", folder / "room_masks.pt", "--output", folder / "features.npy"]
    assert openmask3d([*map(str, flags), "--clip", str(adapter)]) == 0
    assert json.loads((folder / "features.json").read_text())["clip"]["adapter"] == str(adapter)
    assert query(folder, tmp_path / "out", "--adapter", f"opendas:{adapter}") == 0
    capsys.readouterr()
    assert openmask3d([*map(str, flags), "--clip", f"opendas:{adapter}", "--resume"]) == 0
    assert "is complete and stays" in capsys.readouterr().out


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
