"""Five hosts' own code below the switch; ``HOSTS_ROOT`` names a folder of their checkouts, named as on GitHub.

``HOSTS_PYTHON`` names an interpreter with what they import (opencv, hydra, supervision 0.20, munch ...), if it is not
the one that runs the tests, ``HOSTS_WIDTH`` a width of all layers (a multiple of 64), for a slow machine.
``pytest -m slow -s tests/integrations/hosts`` prints the differences.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.integrations.hosts.world import KITCHEN, World, differences, make_world, units

HOSTS = Path(os.environ.get("HOSTS_ROOT", "/nonexistent"))
PYTHON = os.environ.get("HOSTS_PYTHON", sys.executable)
ROOT = Path(__file__).parents[3]
REAL = ROOT / "tests" / "hosts" / "real"
PICTURE = KITCHEN / "frame-000000.color.jpg"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("HOSTS_ROOT" not in os.environ, reason="HOSTS_ROOT names no folder of hosts' checkouts"),
    pytest.mark.skipif(not KITCHEN.is_dir(), reason=f"{KITCHEN} is not here"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return make_world(tmp_path_factory.mktemp("hosts"))


class Host:
    """A checkout, what is on the path beside it, and a program that makes features."""

    def __init__(self, world: World, checkout: str, packages: tuple[str, ...] = ("packages",)) -> None:
        self.world, self.checkout = world, HOSTS / checkout
        self.path = [str(self.checkout), *(str(REAL / name) for name in packages), str(REAL / "shim"), str(ROOT)]
        self.cwd = world.folder / "work" / checkout
        self.cwd.mkdir(parents=True, exist_ok=True)

    def run(self, *program: str | Path, adapter: Path | None = None, cwd: Path | None = None) -> str:
        ours = [] if adapter is None else ["-m", "opendas_plugin.commands.run", "--adapter", str(adapter)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(self.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOSTS_CONFIGS": str(self.world.folder / "configs"),
            "HF_HUB_CACHE": str(self.world.folder / "hub"),
            "HF_HUB_OFFLINE": "1",
            "OPENDAS_HOME": str(self.world.folder / "home"),
            "MPLBACKEND": "Agg",
            "GSA_PATH": "/nonexistent",
        }
        command = [PYTHON, *ours, *map(str, program)]
        found = subprocess.run(command, cwd=cwd or self.cwd, env=environment, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr[-3000:]
        return found.stderr

    def status(self) -> str:
        return subprocess.run(["git", "status", "--short"], cwd=self.checkout, capture_output=True, text=True).stdout


def judge(host: Host, backbone: str, other: str, program, tolerance: float, *more: str, apart: bool = False) -> None:
    """Runs a program by ``opendas-run`` (with ``more`` words), and in one process in six ways; compares the features.

    ``program(name)`` gives the words that run it and a function that reads its features by name. The ways are: plainly,
    an adapter of tokens and one of weights, each with and without something at work, and one of another backbone.
    ``apart``: each in a folder of its own.
    """

    def folder(name: str) -> Path:
        found = host.cwd / name if apart else host.cwd
        found.mkdir(exist_ok=True)
        return found

    def way(name: str, method: str | None = None, identity: bool = False, of: str = backbone) -> dict[str, Any]:
        adapter = None if method is None else str(host.world.adapter(of, method))
        words, readers[name] = program(name)
        found = {"name": name, "words": list(map(str, words)), "cwd": str(folder(name))}
        return {**found, "adapter": adapter, "identity": identity}

    readers: dict[str, Any] = {}
    words, readers["run"] = program("run")
    said = host.run(*words, *more, adapter=host.world.adapter(backbone, "opendas"), cwd=folder("run"))
    assert "is given with the adapter" in said and "the adapter was at work for" in said
    found = {"run": readers["run"]()}
    names = ("opendas", "opendas_plus")
    ways = [
        way("plain"),
        *(way(f"identity-{name}", name, True) for name in names),
        *(way(name, name) for name in names),
    ]
    said = host.run(REAL / "drivers/ways.py", json.dumps([*ways, way("other", "opendas", of=other)]))
    found |= {name: read() for name, read in readers.items() if name != "run"}
    plain = found["plain"]
    assert all(np.isfinite(values).all() and np.abs(values).max() > 0 for values in plain.values())
    for name in names:
        off, moved = (differences(found[key], plain) for key in (f"identity-{name}", name))
        kinds = ", ".join(f"{kind} {off[kind]:.1e} and {moved[kind]:.1e}" for kind in plain)
        summary = f"identity {max(off.values()):.1e}, adapter {min(moved.values()):.1e}"
        print(f"\n{host.checkout.name}, {name}: {summary} ({kinds})")
        assert max(off.values()) < tolerance
        assert all(moved[kind] > 3 * off[kind] for kind in plain)
        assert max(moved.values()) > tolerance
    assert max(differences(found["run"], found["opendas"]).values()) < tolerance
    assert max(differences(found["other"], plain).values()) == 0
    last = said.partition("== other")[2]
    assert "it stays as it is" in last and "had no effect" in last
    print(next(line for line in last.splitlines() if line.startswith("error")))
    assert host.status() == ""


def npz(path: Path):
    return lambda: dict(np.load(path).items())


def test_langsplats_preprocessing(world) -> None:
    host = Host(world, "LangSplat", ("sam_of_langsplat", "packages"))

    def program(name):
        data = world.folder / f"langsplat-{name}"
        shutil.copytree(world.folder / "photos", data)
        features = data / "language_features"
        return (host.checkout / "preprocess.py", "--dataset_path", data, "--resolution", "160"), lambda: {
            path.stem: np.load(path) for path in sorted(features.glob("*_f.npy"))
        }

    judge(host, "ViT-B-16", "ViT-H-14", program, 2e-4)


def test_concept_graphs_streamlined_detections(world) -> None:
    host = Host(world, "concept-graphs")

    def read(folder):
        found = {}
        for path in sorted(folder.glob("detections/*.pkl.gz")):
            with gzip.open(path) as file:
                found[path.name] = pickle.load(file)["image_feats"]  # noqa: S301  (of a run above)
        return found

    def program(name):
        words = [f"dataset_root={world.folder / 'replica'}", f"dataset_config={world.folder / 'replica/kitchen.yaml'}"]
        words += [f"classes_file={world.folder / 'replica/classes.txt'}", "scene_id=kitchen", "stride=2", "device=cuda"]
        script = host.checkout / "conceptgraph/scripts/streamlined_detections.py"
        command = (script, "--config-name", "base_detections", *words, f"exp_suffix={name}")
        return command, lambda: read(world.folder / "replica" / "kitchen" / f"exp_{name}")

    judge(host, "ViT-H-14", "ViT-B-16", program, 1e-6)


def test_concept_graphs_features_crop_by_crop(world, tmp_path) -> None:
    host = Host(world, "concept-graphs")
    driver = REAL / "drivers/conceptgraphs_one_by_one.py"
    judge(
        host,
        "ViT-H-14",
        "ViT-B-16",
        lambda name: ((driver, PICTURE, tmp_path / f"{name}.npz"), npz(tmp_path / f"{name}.npz")),
        1e-6,
    )


def test_hov_sgs_features_and_labels_also_in_a_worker(world, tmp_path) -> None:
    """Texts by ``get_label_feats``, which keeps them in its checkout; without the switch they are made anew here."""
    host = Host(world, "HOV-SG")

    def program(name):
        keep = "made" if name in ("plain", "other") else "kept"
        words = (REAL / "drivers/hov_sg.py", world.weights["ViT-H-14"], PICTURE, tmp_path / f"{name}.npz", keep)
        return words, npz(tmp_path / f"{name}.npz")

    judge(host, "ViT-H-14", "ViT-B-16", program, 1e-6, "spawn")


def test_hov_sgs_stale_texts_are_not_read(world, tmp_path) -> None:
    host = Host(world, "HOV-SG")
    shutil.copytree(host.checkout / "hovsg", tmp_path / "HOV-SG/hovsg")
    stale = tmp_path / "HOV-SG/hovsg/utils/text_feats_MATTERPORT_LABELS_40.npy"
    np.save(stale, np.ones((40, 1024), np.float32))
    host.path[0] = str(tmp_path / "HOV-SG")
    words = (REAL / "drivers/hov_sg.py", world.weights["ViT-H-14"], PICTURE)
    said = host.run(*words, tmp_path / "a.npz", "kept", adapter=world.adapter("ViT-H-14", "opendas"))
    host.run(*words, tmp_path / "b.npz", "kept")
    assert f"{stale} is there" in said
    assert np.load(tmp_path / "b.npz")["texts"].std() == 0 < np.load(tmp_path / "a.npz")["texts"].std()
    assert np.load(stale).std() == 0


def test_lerfs_encoder_and_pyramid(world, tmp_path) -> None:
    """All runs in one folder, where LERF keeps its pyramid by the backbone's name."""
    host = Host(world, "lerf")

    def program(name):
        return (REAL / "drivers/lerf_pyramid.py", PICTURE, tmp_path / f"{name}.npz"), npz(tmp_path / f"{name}.npz")

    judge(host, "ViT-B-16", "ViT-H-14", program, 2e-4)
    kept = sorted((world.folder / "home/features").glob("*/adapted/LERF/*/*/level_0.npy"))
    assert len(kept) == 4  # two adapters, each with and without something at work
    assert len(list(host.cwd.glob("outputs/kitchen/*/level_0.npy"))) == 1


def open3dis_experiment(world: World, name: str) -> Path:
    """Makes an experiment of its own; returns its configuration, beside which ``exp/<name>`` is its output."""
    place = world.folder / "scannet"
    shutil.copytree(place / "exp/kitchen", place / "exp" / name)
    config = json.loads((place / "open3dis.yaml").read_text())
    config["exp"]["exp_name"] = name
    (place / f"{name}.yaml").write_text(json.dumps(config))
    return place / f"{name}.yaml"


def test_open3diss_refinement(world) -> None:
    host = Host(world, "Open3DIS")

    def program(name):
        config = open3dis_experiment(world, name)

        def read():
            features = torch.load(config.parent / "exp" / name / "refined/kitchen.pth")
            return {"points": features["feat"].numpy(), "masks": features["inst_feat"].numpy()}

        return (host.checkout / "tools/refine_grounding_feat.py", "--config", config), read

    judge(host, "ViT-L-14-336", "ViT-B-16", program, 2e-4, apart=True)


def test_open3diss_vocabulary_whose_texts_are_kept(world) -> None:
    """All runs beside one ``pretrains/text_features``, where Open3DIS keeps its texts."""
    host = Host(world, "Open3DIS")
    kept, home = host.cwd / "pretrains/text_features/scannet200_text_features.pth", world.folder / "home/features"
    before = {*home.glob("**/*.pth")}

    def program(name):
        config = open3dis_experiment(world, f"vocabulary-{name}")

        def read():
            place = config.parent / "exp" / f"vocabulary-{name}"
            features = torch.load(place / "refined/kitchen.pth")["inst_feat"].numpy()
            scores = torch.load(place / "final/kitchen.pth", weights_only=False)["conf"].numpy()
            return {"masks": features, "scores": scores.reshape(len(features), -1)}

        words = (REAL / "drivers/open3dis_maskwise.py", host.checkout / "tools/maskwise_vocab.py")
        return (*words, "--config", config, "--type", "3D"), read

    judge(host, "ViT-L-14-336", "ViT-B-16", program, 2e-3, apart=True)
    assert len({*home.glob("*/adapted/Open3DIS/*/*.pth")} - before) == 4  # two adapters, each with and without
    plain, *others = [units(torch.load(path).float().numpy()) for path in (kept, *home.glob("*/adapted/Open3DIS/*/*"))]
    off = sorted(float(np.abs(other - plain).max()) for other in others)
    assert off[1] < 1e-3 < off[2] / 5  # with nothing at work, and with an adapter
