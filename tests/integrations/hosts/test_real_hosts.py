"""Five hosts' own code below the switch; ``HOSTS_ROOT`` names a folder of their checkouts, named as on GitHub.

``HOSTS_PYTHON`` names an interpreter with what they import (opencv, hydra, supervision 0.20, munch ...), if it is not
the one that runs the tests. ``pytest -m slow -s tests/integrations/hosts`` prints the differences.
"""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.integrations.hosts.world import KITCHEN, World, differences, make_world

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

    def run(
        self, *program: str | Path, adapter: Path | None = None, flags: tuple[str, ...] = (), expect: int = 0
    ) -> str:
        ours = [] if adapter is None else ["-m", "opendas_plugin.commands.run", "--adapter", str(adapter), *flags]
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
        found = subprocess.run(command, cwd=self.cwd, env=environment, capture_output=True, text=True)
        assert found.returncode == expect, found.stderr[-3000:]
        return found.stderr

    def status(self) -> str:
        return subprocess.run(["git", "status", "--short"], cwd=self.checkout, capture_output=True, text=True).stdout


def judge(host: Host, backbone: str, other: str, program, tolerance: float) -> dict[str, np.ndarray]:
    """Runs a program plainly, with nothing at work, with both kinds of adapter and with one of another backbone.

    ``program(name)`` gives the words that run it and a function that reads its features by name.
    """

    def run(name: str, **options) -> tuple[dict[str, np.ndarray], str]:
        words, read = program(name)
        said = host.run(*words, **options)
        return read(), said

    def adapter(method: str, of: str = backbone) -> Path:
        return host.world.adapter(of, method)

    plain, _ = run("plain")
    assert all(np.isfinite(values).all() and np.abs(values).max() > 0 for values in plain.values())
    for method in ("opendas", "opendas_plus"):
        same, _ = run(f"identity-{method}", adapter=adapter(method), flags=("--identity",))
        off = differences(same, plain)
        adapted, said = run(method, adapter=adapter(method))
        moved = differences(adapted, plain)
        print(f"\n{host.checkout.name} {method}: identity {off}, adapter {moved}")
        assert max(off.values()) < tolerance
        assert min(moved.values()) > 10 * tolerance
        assert "is given with the adapter" in said
    left, said = run("other", adapter=adapter("opendas", other), expect=1)
    assert max(differences(left, plain).values()) == 0
    assert "it stays as it is" in said and "had no effect" in said
    print([line for line in said.splitlines() if line.startswith("error")])
    assert host.status() == ""
    return plain


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


def test_hov_sgs_features_and_labels(world, tmp_path) -> None:
    """Texts by ``get_label_feats``, which keeps them in its checkout; without the switch they are made anew here."""
    host = Host(world, "HOV-SG")

    def program(name):
        keep = "made" if name == "plain" or name == "other" else "kept"
        words = (REAL / "drivers/hov_sg.py", world.weights["ViT-H-14"], PICTURE, tmp_path / f"{name}.npz", keep)
        return words, npz(tmp_path / f"{name}.npz")

    plain = judge(host, "ViT-H-14", "ViT-B-16", program, 1e-6)
    words, read = program("opendas")
    spawned = (*words[:3], tmp_path / "spawned.npz", "kept", "spawn")
    host.run(*spawned, adapter=world.adapter("ViT-H-14", "opendas"))  # a worker, with texts kept by the run before
    assert max(differences(npz(tmp_path / "spawned.npz")(), read()).values()) < 1e-6
    assert max(differences(npz(tmp_path / "spawned.npz")(), plain).values()) > 1e-3
    assert host.status() == ""


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

    plain = judge(host, "ViT-B-16", "ViT-H-14", program, 2e-4)
    kept = sorted((world.folder / "home/features").glob("*/adapted/LERF/*/*/level_0.npy"))
    assert len(kept) == 4  # two adapters, each with and without something at work
    words, read = program("again")
    host.run(*words)
    assert max(differences(read(), plain).values()) == 0


def test_open3diss_refinement(world) -> None:
    host = Host(world, "Open3DIS")
    refined = world.folder / "scannet/exp/kitchen/refined/kitchen.pth"

    def program(name):
        (host.cwd / "tracker_refine.txt").unlink(missing_ok=True)
        refined.unlink(missing_ok=True)

        def read():
            features = torch.load(refined)
            return {"points": features["feat"].numpy(), "masks": features["inst_feat"].numpy()}

        return (
            host.checkout / "tools/refine_grounding_feat.py",
            "--config",
            world.folder / "scannet/open3dis.yaml",
        ), read

    judge(host, "ViT-L-14-336", "ViT-B-16", program, 2e-4)
