"""opendas-segment interrupted and gone on with, and what it refuses: one sentence each, and what is done stays."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from opendas_plugin.commands.segment import main
from opendas_plugin.runs import segmentation
from tests.commands.segmenting import contents, flags, make_photos, overlapping_masks, write_masks


@pytest.fixture(scope="module")
def by_superpixels(photos, tmp_path_factory):
    """The output of a run on superpixels of the first photo."""
    output = tmp_path_factory.mktemp("by_superpixels") / "out"
    assert main(flags(photos, output, "--superpixels", "12", "--limit", "1")) == 0
    return output


def test_an_interrupted_run_goes_on_to_the_same_bytes(photos, by_file, masks, tmp_path, monkeypatch):
    path, write = write_masks(tmp_path / "masks.json", masks), segmentation.write_photo

    def interrupted(output, stem, *rest):
        if stem == "hall/1":
            raise KeyboardInterrupt
        write(output, stem, *rest)

    argv = flags(photos, tmp_path / "out", "--masks", path)
    monkeypatch.setattr(segmentation, "write_photo", interrupted)
    assert main(argv) == 130
    assert not (tmp_path / "out" / "instances.json").exists()
    done = []
    monkeypatch.setattr(
        segmentation, "write_photo", lambda output, stem, *rest: [done.append(stem), write(output, stem, *rest)]
    )
    assert main(argv) == 0
    assert done == ["hall/1", "hall/2"]
    ours, whole = contents(tmp_path / "out"), contents(by_file)
    record = ours.pop("inputs.json"), whole.pop("inputs.json")  # the date of the file of masks
    assert json.loads(record[0])["values"] == json.loads(record[1])["values"]
    assert ours == whole


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (("--names", "a desk, a door"), "the list of names was"),
        (("--backbone", "office-tiny-v1"), "the hash of the CLIP was"),
        (("--superpixels", "20"), "--superpixels was 12, now 20"),
        (("--unknown", "0.5"), "--unknown was null, now 0.5"),
        (("--template", "a {}"), "the template was"),
    ],
)
def test_a_folder_of_other_masks_is_refused(photos, by_superpixels, capsys, other, says):
    before, page = contents(by_superpixels), by_superpixels / "report.html"
    said = page.read_bytes()
    given = () if "--superpixels" in other else ("--superpixels", "12")
    assert main(flags(photos, by_superpixels, "--limit", "1", *given, *other)) == 1
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert contents(by_superpixels) == before and page.read_bytes() == said


def test_a_changed_photo_is_refused_and_further_photos_are_added(tmp_path, capsys):
    photos = make_photos(tmp_path / "photos", ["a.png", "b.png"])
    argv = flags(photos, tmp_path / "out", "--superpixels", "12")
    assert main([*argv, "--limit", "1"]) == main(argv) == 0
    assert len(json.loads((tmp_path / "out" / "instances.json").read_text())["images"]) == 2
    make_photos(photos, ["b.png"], seed=5)
    assert main(argv) == 1
    assert "b.json is of other files: the photo has changed" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["semantic/a.png", "overlays/a.jpg", "detections/a.npz"])
def test_a_photo_whose_files_are_lost_is_named_again(tmp_path, lost):
    photos = make_photos(tmp_path / "photos", ["a.png", "b.png"])
    argv = flags(photos, tmp_path / "out", "--superpixels", "12")
    assert main(argv) == 0
    before = contents(tmp_path / "out")
    (tmp_path / "out" / lost).unlink()
    assert main(argv) == 0
    assert contents(tmp_path / "out") == before


def test_photos_of_kinds_that_are_not_read_are_said(tmp_path, caplog):
    photos = make_photos(tmp_path / "photos", ["a.png"])
    for name in ("b.HEIC", "c.gif", "notes.txt", ".d.gif"):
        (photos / name).touch()
    assert main(flags(photos, tmp_path / "out", "--superpixels", "12")) == 0
    assert "2 photos are of a kind that is not read and are left out, b.HEIC first" in caplog.text


def small_masks(folder):
    return write_masks(folder / "m.json", {"1.png": overlapping_masks((32, 96), 1, 0)})


def map_of_another_size(folder):
    (folder / "maps").mkdir()
    Image.new("L", (30, 20), 1).save(folder / "maps" / "1.png")
    return folder / "maps"


def map_of_colours(folder):
    (folder / "maps").mkdir()
    Image.new("RGB", (96, 64), "red").save(folder / "maps" / "1.png")
    return folder / "maps"


def other_photos(folder):
    return write_masks(folder / "m.json", {"nowhere.png": overlapping_masks((64, 96), 1, 0)})


def maps_of_other_photos(folder):
    (folder / "maps").mkdir()
    Image.new("L", (96, 64), 1).save(folder / "maps" / "nowhere.png")
    return folder / "maps"


def results_alone(folder):
    (folder / "m.json").write_text('[{"image_id": 1, "category_id": 1, "segmentation": {}, "score": 1}]')
    return folder / "m.json"


@pytest.mark.parametrize(
    ("masks", "says"),
    [
        (small_masks, "is 96x32, but its image"),
        (map_of_another_size, "1 of 3 photos could not be done"),
        (map_of_colours, "mode 'RGB'; store the number of an instance at each pixel"),
        (other_photos, "nowhere.png does not exist"),
        (maps_of_other_photos, "give masks of these photos"),
        (results_alone, "names pictures by image_id alone"),
        (lambda folder: "nothing.json", "nothing.json is no file or folder of masks"),
        (lambda folder: "sam:/no/such", "there is no SAM checkpoint '/no/such'"),
        (lambda folder: "sam:", "there is no SAM checkpoint ''"),
        (lambda folder: f"sam:{folder}", "has no config.json"),
    ],
)
def test_masks_that_do_not_fit_are_one_sentence(photos, tmp_path, capsys, masks, says):
    assert main(flags(photos, tmp_path / "out", "--masks", masks(tmp_path))) == 1
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out" / "instances.json").exists()


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--names", "a door, A_Door"), 1, "are the same name"),
        (("--names", " "), 1, "expected names as a,b,c or a file of names, got an empty text"),
        (("--names", "no.txt"), 1, "no.txt is not a file of names"),
        (("--unknown", "1.5"), 2, "--unknown is a probability"),
        (("--sam.points-per-side", "8"), 2, "--sam has no effect without --masks of SAM"),
        (("--masks", "m.json", "--superpixels", "8"), 2, "--superpixels has no effect with other --masks"),
        (("--exif", "turned"), 2, "--exif has no effect"),
        (("--limit", "0"), 2, "--limit must be 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_said(photos, tmp_path, capsys, more, code, says):
    assert main(flags(photos, tmp_path / "out", *more)) == code
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_an_output_among_the_photos_is_refused(photos, capsys):
    assert main(flags(photos, photos / "hall" / "out")) == 2
    assert "--output lies in --images" in capsys.readouterr().err
    assert not (photos / "hall" / "out").exists()


def test_an_unreadable_photo_stops_nothing_and_loses_nothing(tmp_path, capsys):
    photos = make_photos(tmp_path / "photos", ["a.png", "b.png", "c.png"])
    whole = (photos / "b.png").read_bytes()
    (photos / "b.png").write_bytes(whole[:90])
    argv = flags(photos, tmp_path / "out", "--superpixels", "12")
    assert main(argv) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "1 of 3 photos could not be done" in said and "b.png cannot be read as a picture" in said
    kept = (tmp_path / "out" / "parts" / "c.json").stat().st_mtime_ns
    (photos / "b.png").write_bytes(whole)
    assert main(argv) == 0
    assert (tmp_path / "out" / "parts" / "c.json").stat().st_mtime_ns == kept
    assert len(json.loads((tmp_path / "out" / "instances.json").read_text())["images"]) == 3


def test_photos_that_went_are_said_and_a_folder_of_them_is_not_gone_on_with_by_other_names(tmp_path, caplog, capsys):
    make_photos(tmp_path / "photos", ["one.png", "two.png"])
    argv = flags(tmp_path / "photos", tmp_path / "out", "--superpixels", "12")
    assert main(argv) == 0
    (tmp_path / "photos" / "one.png").unlink()
    assert main(argv) == 0
    assert "holds 1 photo that is not among these, one first" in caplog.text
    (tmp_path / "photos" / "two.png").unlink()
    make_photos(tmp_path / "photos", ["three.png"])
    before = contents(tmp_path / "out")
    assert main([*argv, "--names", "a desk, a door"]) == 1
    assert "holds masks that were made or named by something else: the list of names was" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before
