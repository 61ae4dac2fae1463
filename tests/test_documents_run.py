"""Every command of the documents is run, in the order of the text, in one folder with tiny data.

What is another thing than a reader types stands in :data:`SWAPPED`, what is not run here in :data:`NOT_RUN`, each with
the reason; a line that is in neither is run as it stands. ``pytest -m slow -rs`` of this file lists what is not.
"""

from __future__ import annotations

import importlib
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.tiny_sams import EVERY
from tests.documented import MODULES, ROOT, Line, lines
from tests.negatives.language_model_server import answer, serve
from tests.scenery import KITCHEN, learn_weights, make_scenery

TINY = "--backbone weights/tiny-32.pt"
SWAPPED: dict[str, tuple[str, str]] = {
    # no pretrained CLIP or SAM can be had here: random ones, in the same format
    r"--backbone ViT-\S+ --pretrained \S+": (TINY, "weights"),
    r"--backbone ovseg_\S+": (TINY, "weights"),
    r"--recipe (\w+_vitl\w+)": (r"--recipe \1.yaml", "weights"),
    r"sam:facebook/sam-vit-base": (f"sam:sam {shlex.join(EVERY)}", "weights"),
    r"--predictor sam --sam-checkpoint \S+": ("--predictor boxes", "weights"),
    r"--weights benchmarks": (f"--weights {Path(__file__).parents[1] / 'benchmarks'}", "where the repository is"),
    # small data
    r"(opendas-prepare office) --output (?!DIR)": (r"\1 --train-rooms 2 --val-rooms 1 --output ", "two rooms"),
    r"--val-rooms 10": ("--val-rooms 1", "one room"),
    r"(--root (?:ADEChallengeData2016|KITTI-360)) (?:--every 10 )?": (r"\1 --min-area 10 ", "pictures of 64 pixels"),
    r"(opendas-prepare scannetpp --root scannetpp)": (r"\1 --every 1 --min-side 8", "four pictures a scene"),
    r"--every 40": ("--every 4", "a tenth of the frames"),
    # little work
    r"--seeds 3 --methods zero_shot .* opendas@paper": (
        "--seeds 1 --methods zero_shot vpt opendas opendas@paper",
        "four rows of one seed",
    ),
    r"--ablate triplet": ("--ablate triplet --seeds 1", "one seed"),
    r"(opendas-reproduce) all --rehearsal": (r"\1 check --rehearsal", "a step; tests/runs/reproduce runs all"),
    r"torchrun --no-python --nproc_per_node 4 ": ("torchrun --no-python --nproc_per_node 2 ", "two cores"),
    r"--submitit slurm --submitit-options .*": ("--submitit debug --seeds 1 --methods zero_shot", "no Slurm here"),
    # a user's own things
    r"auto labels": ("auto export", "a folder of labelme"),
    r"--adapter runs/mine/adapter --output runs/mine/clip": (
        "--adapter runs/lora/adapter --output runs/mine/clip",
        "an adapter of weights",
    ),
    r"--support labelled.jsonl": ("--support runs/data/mine/train.jsonl", "the labelled segments that there are"),
    r"/shared/": ("shared/", "a folder that there is"),
    r"\$\{?s\}?": ("b0", "the one scene of offices.txt"),
    r"--source openai": ("--source openai --base-url ADDRESS", "a server that speaks the language model's API"),
}
"""What is replaced in a line: (by what, why)."""

NOT_RUN: dict[str, str] = {
    r"pip install|git |apt install": "installs; the release workflow does it",
    r"pytest|ruff check|mypy": "is this suite, and what goes in beside it",
    r"WORK=|cd |export |mv |for s in|done": "a line of the shell around commands",
    r"opendas-demo": "serves until it is ended; tests/runs/test_demo.py",
    r"opendas-(prepare|bench|compare) .*office-bench-v\d": "minutes to hours; tests/office/test_bench*.py in small",
    r"opendas-compare .* --backbone office-siglip": "a tower of 35 minutes; tests/office/test_siglip.py",
    r"opendas-prepare office-tower(?!.* --weights)": "35 minutes; tests/office/test_siglip.py",
    r"python -m opendas_plugin.office.relearn": "17 minutes; tests/office/test_relearn.py",
    r"opendas-evaluate office-gates": "needs relearn's pictures; tests/commands/test_evaluate_office_gates.py in small",
    r"opendas-prepare (acme|office --output DIR)": "is what a name or a folder stands for",
    r"opendas-reproduce (all --data|--merge)": "needs the paper's data; tests/runs/reproduce",
    r"torchrun .*--nnodes 2": "needs two machines",
    r"opendas-run .* (conceptgraph|application|preprocess|eval\w*)\b": "needs a host; tests/integrations/hosts",
    r"python -m integrations.openmask3d": "needs OpenMask3D; tests/integrations/openmask3d",
    r"python -m integrations.ovseg": "needs OVSeg; tests/integrations/ovseg",
    r"python -c .from scannet_constants": "needs OpenMask3D's file",
}
"""What is not run: beginning of the line -> why."""

KITCHENS = "runs/kitchen|scenes/kitchen"
CASES = sorted(lines(), key=lambda line: line.document == "docs/ade20k.md")
"""What ADE20K's adapter is tested on is prepared by other documents."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The reader's folder."""
    folder = tmp_path_factory.mktemp("reader")
    make_scenery(folder)
    learn_weights(folder)
    return folder


@pytest.fixture(scope="module")
def address():
    """Of a language model."""
    with serve(lambda headers, request: (200, answer(request))) as found:
        yield found


def why_not(line: Line) -> str | None:
    """Why a line is not run; None: it is."""
    return next((why for start, why in NOT_RUN.items() if re.match(start, line.text)), None)


def swapped(text: str) -> str:
    """A line with what is replaced in it."""
    for pattern, (by, _) in SWAPPED.items():
        text = re.sub(pattern, by, text)
    return text


def clear(words: list[str], place: Path) -> None:
    """Removes what an earlier line has left where this one writes."""
    for flag, value in itertools.pairwise(words):
        if flag in ("--output", "--output-dir"):
            path = place / value
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def in_a_shell(words: str | list[str]) -> int:
    """Runs in a process of its own; returns the exit code."""
    return subprocess.run(words, shell=isinstance(words, str), check=False).returncode


@pytest.mark.parametrize("line", CASES, ids=str)
def test_the_command_does_what_the_document_says(line, place, address, monkeypatch, capsys):
    if why := why_not(line):
        pytest.skip(why)
    if re.search(KITCHENS, line.text) and not KITCHEN.exists():
        pytest.skip("needs RedKitchen's frames")
    if "--of clouds" in line.text or "openmask3d scene" in line.text:
        pytest.importorskip("open3d")
    if re.search("onnx", line.text):
        pytest.importorskip("onnxscript")
    monkeypatch.chdir(place)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{place}")
    text = swapped(line.text).replace("ADDRESS", address)
    words = shlex.split(text)
    clear(words, place)
    if words[0] == "opendas-run":
        code = in_a_shell([sys.executable, str(ROOT / "tools" / "run.py"), *words[1:]])
    elif words[0] in MODULES:
        code = importlib.import_module(MODULES[words[0]]).main(words[1:])
    else:
        code = in_a_shell(text)
    assert code == 0, f"{text}\n{capsys.readouterr().err[-2000:]}"


def test_each_exception_is_one():
    texts = [line.text for line in CASES]
    assert [start for start in NOT_RUN if not any(re.match(start, text) for text in texts)] == []
    run = [line.text for line in CASES if why_not(line) is None]
    assert [pattern for pattern in SWAPPED if not any(re.search(pattern, text) for text in run)] == []
    assert not [line for line in CASES if why_not(line) is None and "..." in line.text]


def test_what_the_last_training_left_is_there(place):
    """The lines ran in one folder: what one wrote is what another read."""
    for name in ("runs/office/adapter", "runs/mine/adapter", "runs/scannetpp/adapter", "runs/ade20k/adapter"):
        assert json.loads((place / name / "adapter_config.json").read_text())["training"]["metrics"]
