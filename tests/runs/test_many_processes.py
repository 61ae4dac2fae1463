"""Several processes that share a command's work leave what one leaves, to the byte, also where one was lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opendas_plugin.commands.evaluate import main as evaluate
from opendas_plugin.commands.prepare_data import main as prepare
from tests.commands.segmenting import contents, flags, make_photos
from tests.scenes.scannetpp_rooms import offices

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
PHOTOS = ("1.png", "hall/1.png", "hall/2.png", "hall/3.jpg", "4.png", "5.png")


def classification(domain, output):
    given = ("--data", domain, "--backbone", "office-tiny", "--batch-size", 2, "--device", "cpu", "--output", output)
    return ["classification", *map(str, given)]


def scenes(folder, output):
    """The flags that make OpenMask3D's scenes of two small offices."""
    if not (folder / "scannetpp").exists():
        offices(folder / "scannetpp")
        (folder / "scenes.txt").write_text("a0\nb0\n")
    given = ("--root", folder / "scannetpp", "--scenes", folder / "scenes.txt", "--output", folder / f"scenes {output}")
    return ["openmask3d", *map(str, given), "--every", "2", "--width", "64"]


@pytest.fixture(scope="module")
def outcome(domain, tmp_path_factory):
    """The folder of all outputs, and each job's exit codes."""
    folder = tmp_path_factory.mktemp("workers")
    photos = make_photos(folder / "photos", PHOTOS)
    kinds = {
        "segment": ("segment", lambda output: flags(photos, output, "--superpixels", "12")),
        "evaluate": ("evaluate", lambda output: classification(domain, output)),
    }
    names, jobs = (
        ["scenes two"],
        [{"command": "prepare_data", "argv": scenes(folder, "two"), "workers": 2, "kill": False}],
    )
    for kind, (command, argv) in kinds.items():
        lost = "two, one lost"
        for name, workers, kill in (("one", 1, False), ("four", 4, False), (lost, 2, True), (lost, 2, False)):
            names.append(f"{kind} {name}{' killed' if kill else ''}")
            output = folder / f"{kind} {name}"
            jobs.append({"command": command, "argv": argv(output), "workers": workers, "kill": kill})
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    done = subprocess.run(
        [sys.executable, HERE / "workers.py", path], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return folder, dict(zip(names, json.loads(done.stdout.splitlines()[-1]), strict=True)), done


@pytest.mark.parametrize("workers", ["four", "two, one lost"])
@pytest.mark.parametrize("kind", ["segment", "evaluate"])
def test_the_files_are_those_of_one_process(outcome, kind, workers):
    folder, codes, _ = outcome
    assert set(codes[f"{kind} {workers}"]) == {0}
    assert contents(folder / f"{kind} {workers}") == contents(folder / f"{kind} one")
    assert (folder / f"{kind} {workers}" / "run.json").is_file()


def test_scenes_for_openmask3d_are_shared(outcome):
    folder, codes, _ = outcome
    assert codes["scenes two"] == [0, 0]
    assert prepare(scenes(folder, "one")) == 0
    one, two = contents(folder / "scenes one"), contents(folder / "scenes two")
    assert len(one) > 10 and one == two


@pytest.mark.parametrize("kind", ["segment", "evaluate"])
def test_a_worker_was_lost_on_the_way(outcome, kind):
    _, codes, _ = outcome
    assert codes[f"{kind} two, one lost killed"][1] == -9


def test_the_first_process_alone_prints(outcome):
    _, _, done = outcome
    assert done.stdout.count("photos: 6; see") == 3
    assert done.stdout.count("zero-shot") == 3


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
