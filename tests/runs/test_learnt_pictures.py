"""An adapter knows which pictures it has learnt from, and is not judged by them unnoticed."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path

import pytest

import opendas_plugin as opendas
from integrations.openmask3d.commands import Features
from opendas_plugin.data import learnt_pictures as digests
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.learnt_pictures import learnt_pictures, picture_digests
from opendas_plugin.data.manifest import write_manifest
from opendas_plugin.runs.starts import learnt_before
from tests.conftest import make_domain
from tests.integrations.openmask3d.scenes import write_room

SHORT = {"device": "cpu", "pretrained": "random", "visual": {"epochs": 1}, "text": {"epochs": 1}, "crops": {"size": 32}}


def content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@pytest.fixture
def trained(domain, tiny_backbone, tmp_path) -> Path:
    run = opendas.adapt(domain, tmp_path / "run", backbone=tiny_backbone, **SHORT)
    return Path(run.adapter)


def test_training_notes_its_pictures_and_scores_on_them_are_marked(trained, domain, tmp_path, caplog):
    learnt = {segment.image for segment in load_domain(domain).train}
    config = json.loads((trained / "adapter_config.json").read_text())
    assert config["training"]["pictures"] == sorted(map(content, learnt))
    assert opendas.evaluate(domain, tmp_path / "val", adapter=trained, device="cpu")["learnt_pictures"] == 0
    assert "has learnt from" not in caplog.text
    found = opendas.evaluate(domain, tmp_path / "train", adapter=trained, split="train", device="cpu")
    assert found["learnt_pictures"] == len(learnt)
    assert f"has learnt from {len(learnt)} of {len(learnt)} pictures that it is judged by" in caplog.text
    plain = opendas.evaluate(domain, tmp_path / "plain", adapter=None, backbone="office-tiny", device="cpu")
    assert "learnt_pictures" not in plain


def test_another_split_of_the_same_pictures_under_other_names_is_seen(trained, domain, tmp_path):
    """The domain was prepared anew: two of what the adapter had learnt are judged now."""
    new, old = tmp_path / "new", load_domain(domain)
    shutil.copytree(domain, new)
    for number, path in enumerate(sorted((new).rglob("*.png"))):
        path.rename(path.with_name(f"renamed{number}.png"))
    renamed = {content(path): path for path in new.rglob("*.png")}
    judged = sorted({segment.image for segment in old.train})[:2]
    segments = [s for s in [*old.train, *old.val] if s.image in judged]
    moved = [type(s)(renamed[content(s.image)], s.rle, s.label, s.group) for s in segments]
    rest = [type(s)(renamed[content(s.image)], s.rle, s.label, s.group) for s in old.train if s.image not in judged]
    write_manifest(new / "val.jsonl", moved)
    write_manifest(new / "train.jsonl", rest)
    assert opendas.evaluate(new, tmp_path / "out", adapter=trained, device="cpu")["learnt_pictures"] == 2


def test_an_adapter_that_goes_on_from_another_has_learnt_from_both(trained, tiny_backbone, tmp_path):
    make_domain(tmp_path / "other", seed=5)
    run = opendas.adapt(tmp_path / "other", tmp_path / "on", backbone=tiny_backbone, start=str(trained), **SHORT)
    ours = {content(segment.image) for segment in load_domain(tmp_path / "other").train}
    before = json.loads((trained / "adapter_config.json").read_text())["training"]["pictures"]
    after = json.loads((Path(run.adapter) / "adapter_config.json").read_text())["training"]["pictures"]
    assert after == sorted({*ours, *before}) and ours - set(before)
    config = json.loads((trained / "adapter_config.json").read_text())
    config["training"]["pictures"] = 5  # a stranger's
    (trained / "adapter_config.json").write_text(json.dumps(config))
    assert learnt_before(str(trained)) == []


def test_the_row_of_a_start_has_the_crops_that_it_was_trained_with(trained, domain, tiny_backbone, tmp_path):
    other = {**SHORT, "crops": {"size": 32, "background": "mean", "expand": 0.5, "resize": "center"}}
    opendas.adapt(domain, tmp_path / "on", backbone=tiny_backbone, start=str(trained), **other)
    found = json.loads((tmp_path / "on" / "start" / "summary.json").read_text())
    alone = opendas.evaluate(domain, tmp_path / "alone", adapter=trained, device="cpu")
    assert found["crop"] == alone["crop"] and found["w_f1"] == alone["w_f1"]
    assert json.loads((tmp_path / "on" / "after" / "summary.json").read_text())["crop"] != alone["crop"]


def test_a_validation_picture_that_is_a_copy_of_a_learnt_one_is_said(tiny_backbone, tmp_path, caplog):
    make_domain(tmp_path / "d")
    domain = load_domain(tmp_path / "d")
    shutil.copyfile(domain.train[0].image, domain.val[0].image)
    with caplog.at_level(logging.WARNING):
        opendas.adapt(tmp_path / "d", tmp_path / "run", backbone=tiny_backbone, **SHORT)
    assert "1 validation picture has been learnt from" in caplog.text


def test_a_name_that_few_masks_leave_without_a_segment_is_novel(domain, tiny_backbone, tmp_path, caplog):
    """Proposed masks cover two names alone: what is learnt, stored and scored as base are those names."""
    segments = load_domain(domain).train
    labels = [*dict.fromkeys(segment.label for segment in segments)][:2]
    own = [segment for segment in segments if segment.label in labels]
    masks = [{"file_name": str(s.image.relative_to(domain)), "segmentation": dict(s.rle)} for s in own]
    (tmp_path / "masks.json").write_text(json.dumps(masks))
    proposals = {"proposals": tmp_path / "masks.json", "proposal_images": domain}
    run = opendas.adapt(domain, tmp_path / "run", backbone=tiny_backbone, **proposals, **SHORT)
    config = json.loads((Path(run.adapter) / "adapter_config.json").read_text())
    assert {*config["base_names"]} == {*labels}
    assert "nothing to learn from and counts as novel" in caplog.text
    rows = (tmp_path / "run" / "after" / "per_class.csv").read_text().splitlines()[1:]
    assert {row.split(",")[0] for row in rows if row.split(",")[1] == "base"} == {*labels}


def test_of_very_many_pictures_the_kept_digests_are_a_part_that_still_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "MOST", 20)
    pictures = [tmp_path / str(number) for number in range(100)]
    for picture in pictures:
        picture.write_text(picture.name)
    kept = picture_digests(pictures[:60])
    assert kept == sorted(map(content, pictures[:60]))[:20]
    learnt, known = learnt_pictures(kept, pictures)
    below = [picture for picture in pictures if content(picture) <= kept[-1]]
    assert known == len(below) and set(learnt) == {picture for picture in below if picture in pictures[:60]}
    assert 0 < len(learnt) < known


def test_features_of_a_scene_that_the_adapter_has_learnt_from_are_said(tiny_backbone, tmp_path, caplog):
    write_room(tmp_path / "room")
    photos = sorted((tmp_path / "room" / "color").iterdir())
    clip = opendas.OpenDASCLIP.from_backbone(tiny_backbone, prompts=opendas.PromptConfig(2, 2))
    clip.save_pretrained(tmp_path / "adapter", training={"pictures": sorted(map(content, photos[:2]))})
    masks = tmp_path / "room" / "room_masks.pt"
    run = Features(
        scene=tmp_path / "room",
        masks=masks,
        clip=str(tmp_path / "adapter"),
        output=tmp_path / "f.npy",
        predictor="boxes",
    )
    run()
    assert f"has learnt from 2 of {len(photos)} pictures that it is judged by" in caplog.text
