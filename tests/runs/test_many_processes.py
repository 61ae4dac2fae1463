"""Several processes that share a command's work leave what one leaves, to the byte, also where one was lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opendas_plugin.commands.evaluate import main as evaluate
from opendas_plugin.commands.prepare_data import main as prepare
from tests.commands.segmenting import contents, flags, make_photos
from tests.integrations.openmask3d.scenes import write_room
from tests.scenes.scannetpp_rooms import offices

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
COMMANDS = "opendas_plugin.commands"
KINDS = ("segment", "evaluate", "prepare", "features")
PHOTOS = ("1.png", "hall/1.png", "hall/2.png", "hall/3.jpg", "4.png", "5.png")


def undated(files):
    """Contents without the record of a run, and without the date in the record of features."""
    kept = {name: content for name, content in files.items() if not name.endswith("run.json")}
    if "room.json" in kept:
        kept["room.json"] = {**json.loads(kept["room.json"]), "written": None}
    return kept


def classification(domain, output):
    given = ("--data", domain, "--backbone", "office-tiny", "--batch-size", 1, "--device", "cpu", "--output", output)
    return ["classification", *map(str, given)]


def scenes(folder, output):
    """The flags that make OpenMask3D's scenes of two small offices."""
    if not (folder / "scannetpp").exists():
        offices(folder / "scannetpp")
        (folder / "scenes.txt").write_text("a0\nb0\n")
    given = ("--root", folder / "scannetpp", "--scenes", folder / "scenes.txt", "--output", folder / f"scenes {output}")
    return ["openmask3d", *map(str, given), "--every", "2", "--width", "64"]


def folders(folder, output, *more):
    """The flags that prepare the photos with label maps of three classes."""
    labels = folder / "labels"
    for number, name in enumerate(PHOTOS):
        path = (labels / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(number).integers(0, 3, (4, 6)).astype(np.uint8)
        Image.fromarray(values.repeat(16, 0).repeat(16, 1)).save(path)
    given = ("--images", folder / "photos", "--labels", labels, "--classes", "a,b,c", "--output", output / "domain")
    return ["folders", *map(str, given), "--workers", "1", *more]


def features(folder, output):
    """The flags that compute the features of a small scene's masks, a crop a batch."""
    given = ("--scene", folder / "room", "--masks", folder / "room" / "room_masks.pt", "--output", output / "room.npy")
    return ["features", *map(str, given), "--device", "cpu", "--how.batch-size", "2"]


@pytest.fixture(scope="module")
def outcome(domain, tmp_path_factory):
    """The folder of all outputs, and each job's exit codes."""
    folder = tmp_path_factory.mktemp("workers")
    photos = make_photos(folder / "photos", PHOTOS)
    write_room(folder / "room")
    kinds = {
        "segment": (f"{COMMANDS}.segment", lambda output: flags(photos, output, "--superpixels", "12")),
        "evaluate": (f"{COMMANDS}.evaluate", lambda output: classification(domain, output)),
        "prepare": (f"{COMMANDS}.prepare_data", lambda output: folders(folder, output, "--resume")),
        "features": ("integrations.openmask3d.launcher", lambda output: features(folder, output)),
    }
    names, jobs = (
        ["scenes two"],
        [{"module": f"{COMMANDS}.prepare_data", "argv": scenes(folder, "two"), "workers": 2, "kill": False}],
    )
    for kind, (module, argv) in kinds.items():
        lost = "two, one lost"
        for name, workers, kill in (("one", 1, False), ("four", 4, False), (lost, 2, True), (lost, 2, False)):
            names.append(f"{kind} {name}{' killed' if kill else ''}")
            output = folder / f"{kind} {name}"
            jobs.append({"module": module, "argv": argv(output), "workers": workers, "kill": kill})
    names.append("prepare broken")
    argv = folders(folder, folder / "broken", "--labels", str(folder / "broken labels"))
    shutil.copytree(folder / "labels", folder / "broken labels")
    Image.new("L", (5, 5)).save(folder / "broken labels" / "5.png")
    jobs.append({"module": f"{COMMANDS}.prepare_data", "argv": argv, "workers": 2, "kill": False})
    names.append("office")
    argv = ["office", "--output", str(folder / "office")]
    jobs.append({"module": f"{COMMANDS}.prepare_data", "argv": argv, "workers": 2, "kill": False})
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    done = subprocess.run(
        [sys.executable, HERE / "workers.py", path], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return folder, dict(zip(names, json.loads(done.stdout.splitlines()[-1]), strict=True)), done


@pytest.mark.parametrize("workers", ["four", "two, one lost"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_those_of_one_process(outcome, kind, workers):
    folder, codes, _ = outcome
    assert set(codes[f"{kind} {workers}"]) == {0}
    assert undated(contents(folder / f"{kind} {workers}")) == undated(contents(folder / f"{kind} one"))
    assert [*(folder / f"{kind} {workers}").rglob("*run.json")]


def test_scenes_for_openmask3d_are_shared(outcome):
    folder, codes, _ = outcome
    assert codes["scenes two"] == [0, 0]
    assert prepare(scenes(folder, "one")) == 0
    one, two = contents(folder / "scenes one"), contents(folder / "scenes two")
    assert len(one) > 10 and one == two


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_was_lost_on_the_way(outcome, kind):
    _, codes, _ = outcome
    assert codes[f"{kind} two, one lost killed"][1] == -9


def test_the_first_process_alone_prints(outcome):
    _, _, done = outcome
    assert done.stdout.count("photos: 6; see") == 3
    assert done.stdout.count("zero-shot") == 3
    assert done.stdout.count("names: 3") == done.stdout.count("5 masks, 1 of them in no picture") == 3


def test_an_error_of_one_process_is_one_sentence(outcome):
    folder, codes, done = outcome
    assert 1 in codes["prepare broken"] and 0 not in codes["prepare broken"]
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ") and "was lost" not in line]
    assert len(said) == 2 and "broken labels/5.png is 5x5, but its image" in said[0]
    assert not [*(folder / "broken").rglob("*.jsonl")]


def test_what_one_process_makes_is_refused(outcome):
    folder, codes, done = outcome
    assert 1 in codes["office"] and 0 not in codes["office"] and not (folder / "office").exists()
    assert done.stderr.count("error: office is prepared by one process, of which --workers share what takes long;") == 1


def test_parts_of_another_evaluation_are_refused(outcome, domain, capsys):
    folder, _, _ = outcome
    argv = classification(domain, folder / "other")
    parts = folder / "other" / "parts"
    parts.mkdir(parents=True)
    (parts / "inputs.json").write_text(json.dumps({"files": {}, "values": {"`batch_size`": 4}}))
    assert evaluate(argv) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "holds parts of another evaluation, which was not finished: " in said
    shutil.rmtree(parts)
    assert evaluate(argv) == 0


@pytest.mark.slow
def test_torchrun_itself_starts_it(outcome):
    folder, _, _ = outcome
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    argv = flags(folder / "photos", folder / "by torchrun", "--superpixels", "12")
    done = subprocess.run(
        [*torchrun, HERE.parents[1] / "tools" / "segment.py", *argv], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert contents(folder / "by torchrun") == contents(folder / "segment one")
