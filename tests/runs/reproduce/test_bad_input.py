"""What stands in the way of a reproduction is one sentence, and what is done stays."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil

import pytest
import torch

from opendas_plugin.commands.reproduce import main
from opendas_plugin.errors import BackboneError, ConfigError, DataError, MissingFileError
from opendas_plugin.model import downloads
from opendas_plugin.runs.reproduce import sources, store, timing
from opendas_plugin.runs.reproduce.place import Place
from opendas_plugin.runs.reproduce.rehearsal import clip_state, make_rehearsal
from opendas_plugin.runs.reproduce.results import Measured, Result
from opendas_plugin.runs.reproduce.sources import SOURCES
from opendas_plugin.runs.reproduce.tiers import VIT_L, VIT_L_336, Tier
from opendas_plugin.runs.reproduce.weights import FIRST_USE, PUBLISHED, look_up
from opendas_plugin.stamps import Inputs

OPENAIS_VIT_L = "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"


@pytest.fixture
def call(tmp_path, capsys):
    """Runs the command; returns its exit code and the last line of stderr."""

    def run(*arguments):
        code = main([*map(str, arguments), "--output", str(tmp_path / "out"), "--device", "cpu"])
        lines = capsys.readouterr().err.splitlines()
        return code, lines[-1] if lines else ""

    return run


def test_without_the_internet_the_weights_are_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "kept", lambda tag: None)
    monkeypatch.setattr(downloads, "unreachable", lambda address: "huggingface.co cannot be reached: no network")
    with pytest.raises(BackboneError, match=r"^the weights openai of ViT-L-14-quickgelu are not on this machine and "):
        look_up(VIT_L, tmp_path)


@pytest.mark.parametrize("content", [b"half", b""])
def test_half_a_file_or_that_of_another_tag_has_another_checksum(content, tmp_path):
    """The file that OpenAI's URL names lies where the user put it; the URL states its SHA-256."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "ViT-L-14.pt").write_bytes(content)
    found = hashlib.sha256(content).hexdigest()[:12]
    message = f"ViT-L-14.pt has the SHA-256 {found}, but OpenAI's URL states {OPENAIS_VIT_L[:12]}: a half or altered"
    with pytest.raises(BackboneError, match=message):
        look_up(VIT_L, tmp_path)


def test_a_file_in_the_hubs_cache_is_held_against_what_the_hub_states(tmp_path, monkeypatch):
    content = b"weights"
    blob = tmp_path / "blobs" / hashlib.sha256(content).hexdigest()
    link = tmp_path / "snapshots" / "0123abc" / "open_clip_model.safetensors"
    for path in (blob, link):
        path.parent.mkdir(parents=True)
    blob.write_bytes(content)
    link.symlink_to(blob)
    monkeypatch.setattr(downloads, "kept", lambda tag: link)
    found = look_up(VIT_L, tmp_path)
    assert (found.verdict, found.stated_by, found.revision) == (PUBLISHED, "the Hugging Face hub", "0123abc")
    blob.write_bytes(b"weigh")
    with pytest.raises(BackboneError, match="the Hugging Face hub states"):
        look_up(VIT_L, tmp_path)


def test_weights_that_nobody_vouches_for_are_recorded_as_such(tmp_path):
    torch.save(clip_state(32), tmp_path / "own.pt")
    found = look_up((str(tmp_path / "own.pt"), None), tmp_path)
    assert (found.verdict, found.stated_by) == (FIRST_USE, "")
    assert found.sha256 == hashlib.sha256((tmp_path / "own.pt").read_bytes()).hexdigest()
    assert "own.pt" in json.dumps(found.to_json()) and str(tmp_path) not in json.dumps(found.to_json())


def test_another_layout_of_a_dataset_is_named(tmp_path):
    (tmp_path / "ADEChallengeData2016" / "images" / "training").mkdir(parents=True)
    with pytest.raises(
        DataError, match=r"is not ADE20K-150 as its owner lays it out: it has no images/validation; unpack"
    ):
        SOURCES["ade20k"].find(tmp_path)
    with pytest.raises(MissingFileError, match=r"KITTI-360 is not in .*: register at https://www.cvlibs.net"):
        SOURCES["kitti360"].fetch(tmp_path)
    root, _, _ = make_rehearsal(tmp_path / "made")
    with pytest.raises(DataError, match=r"is ADE20K-150 itself; give as `data` the folder around it"):
        SOURCES["ade20k"].find(root / "ADEChallengeData2016")
    assert all(source.find(root) == root / source.folder for source in SOURCES.values())


def test_a_download_that_fails_names_the_way_by_hand(tmp_path, monkeypatch):
    def owner(root):
        raise RuntimeError("File not found or corrupted.")

    source = dataclasses.replace(SOURCES["dtd"], owner=owner)
    with pytest.raises(MissingFileError) as error:
        source.fetch(tmp_path)
    assert "could not be downloaded by torchvision (File not found or corrupted); unpack dtd-r1.0.1" in str(error.value)
    assert "split_zhou_DescribableTextures.json" in str(error.value)


def test_a_picture_that_is_gone_is_an_error_and_no_dataset_to_leave_out(tmp_path):
    root, tier, _ = make_rehearsal(tmp_path / "made")
    sorted((root / "KITTI-360" / "data_2d_raw").rglob("*.png"))[0].unlink()
    with pytest.raises(MissingFileError, match=r"0000000000\.png") as error:
        Place(root, tmp_path / "out", tier, "cpu").prepared("kitti360")
    assert not isinstance(error.value, sources.AbsentError)


def test_a_single_step_without_its_data_fails_with_the_manual_step(call, tmp_path):
    code, error = call("kitti360", "--data", tmp_path, "--yes")
    assert code == 1 and error.startswith("error: KITTI-360 is not in ") and "register at" in error


def test_without_a_yes_the_plan_is_shown_and_nothing_begins(call, tmp_path, capsys, monkeypatch):
    code = main(["check", "--rehearsal", "--output", str(tmp_path / "out"), "--device", "cpu"])
    out, err = capsys.readouterr()
    assert code == 2 and err.splitlines()[-1].startswith("error: nothing was started: say --yes to the plan")
    assert out.startswith("Plan for cpu") and not (tmp_path / "out" / "check").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["all"], "--data says where the datasets are"),
        (["all", "--rehearsal", "--tier", "full"], "--tier has no effect on a --rehearsal"),
        (["anchor", "--data", "d", "--skip", "check"], "--skip has no effect on one step"),
        (["anchor", "--data", "d", "--ovseg", "o"], "--ovseg has no effect without the step hosts"),
        (["hosts", "--data", "d", "--sam", "s"], "--sam has no effect without --proposals"),
        (["all", "--data", "d", "--jobs", "0"], "--jobs must be 1 or more"),
    ],
)
def test_flags_without_effect_are_refused(call, flags, message):
    code, error = call(*flags)
    assert code == 2 and message in error


def test_reports_of_which_nothing_says_what_they_were_made_from_are_not_taken(tmp_path):
    """The figures of the old weights would have stood beside the new weights' name."""
    before, now = Inputs({}, {"weights": "old"}), Inputs({}, {"weights": "new"})
    store.open_step(tmp_path, before)
    (tmp_path / "ade20k").mkdir()
    (tmp_path / store.BEGUN).unlink()
    with pytest.raises(ConfigError, match=r"holds work of a step, and neither .* remove it"):
        store.open_step(tmp_path, now)
    shutil.rmtree(tmp_path)
    assert store.open_step(tmp_path, now) is None


def test_a_step_of_another_configuration_is_not_gone_on_with(tmp_path):
    before, now = Inputs({}, {"tier": "quick", "shots": 16}), Inputs({}, {"tier": "full", "shots": None})
    assert store.open_step(tmp_path, before) is None
    with pytest.raises(ConfigError, match='is of another configuration: tier was "quick", now "full"'):
        store.open_step(tmp_path, now)  # begun with it
    done = store.Done([Result("a", "b", {"acc": Measured(1.0)})], ["note"], {"crops": 1}, 2.0, 3.0)
    store.write_step(tmp_path, before, done)
    with pytest.raises(ConfigError, match="or remove that folder to do this step again"):
        store.open_step(tmp_path, now)
    assert store.open_step(tmp_path, before) == done
    (tmp_path / store.FILE).write_text("{}")
    with pytest.raises(DataError, match=r"is damaged; remove .*step\.json, and the step is done again"):
        store.open_step(tmp_path, before)


def test_data_that_were_prepared_for_another_tier_are_refused(tmp_path):
    root, tier, _ = make_rehearsal(tmp_path / "made")
    place = Place(root, tmp_path / "out", tier, "cpu")
    place.prepared("kitti360")
    place.prepared("kitti360")
    other = dataclasses.replace(place, tier=dataclasses.replace(tier, every=2))
    with pytest.raises(ConfigError, match="was prepared otherwise: every was 1, now 2"):
        other.prepared("kitti360")


def test_crops_of_another_tiers_anchor_are_refused(tmp_path):
    place = Place(tmp_path, tmp_path, Tier("quick"), "cpu")
    assert place.anchored.whence.startswith("the default")
    facts = {"crops": {"background": "mean", "expand": 0.1, "resize": "center"}, "anchor": 1, "whence": "x"}
    store.write_step(tmp_path / "anchor", Inputs({}, {"tier": "full"}), store.Done(facts=facts))
    with pytest.raises(ConfigError, match="is of the tier full, now quick"):
        _ = Place(tmp_path, tmp_path, Tier("quick"), "cpu").anchored
    found = Place(tmp_path, tmp_path, Tier("full"), "cpu")
    assert (str(found.anchored.crops), found.trained) == ("mean 0.1 center", VIT_L_336)


def test_the_batch_that_fits_is_said(tmp_path, monkeypatch):
    root, tier, _ = make_rehearsal(tmp_path / "made")
    recipe = Place(root, tmp_path, tier, "cpu").write_recipe(tmp_path / "recipe.yaml", tier.anchors[0], {})
    real = timing.train

    def train(clip, data, config, output):
        if config.batch_size > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        real(clip, data, config, output)

    monkeypatch.setattr(timing, "train", train)
    message = (
        "cpu has too little memory for opendas on tiny-32 with 16 segments a step; give `batch_size` 2, which fits"
    )
    with pytest.raises(ConfigError, match=message):
        timing.pace(tier.anchors[0], "opendas", 3, recipe, torch.device("cpu"))


def test_memory_grows_linearly_with_the_batch():
    assert timing.fitting_batch([(1, 2.0), (2, 2.5)], 16.0) == 29  # 1.5 + 0.5 x
    assert timing.fitting_batch([(1, 20.0), (2, 21.0)], 16.0) == 0


def test_there_is_a_source_for_every_reader():
    assert set(sources.SOURCES) == {"ade20k", "kitti360", "scannetpp", "dtd", "eurosat"}
