"""Memory and SAM's encoder runs of OpenMask3D's mask features: ours, and the checkout's own code at a size that fits.

    OPENMASK3D_ROOT=/path/to/openmask3d python benchmarks/mask_features.py

Stand-ins without weights take the place of SAM and CLIP, so that what is measured is what comes beyond the models. Each
row is a process of its own. Without OPENMASK3D_ROOT, ours alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from instance_memory import resident
from PIL import Image
from torchvision import transforms

from integrations.openmask3d.features import Extraction, LevelCrops
from integrations.openmask3d.settings import FeatureSettings
from opendas_plugin.scenes.folder import open_scene
from opendas_plugin.scenes.mask_arrays import save_masks

ROOM = np.array([6.0, 5.0, 3.0])
WIDTH = 768
PREPROCESS = transforms.Compose([transforms.Resize((16, 16)), transforms.ToTensor()])
MATRIX = torch.randn(3 * 16 * 16, WIDTH, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Size:
    """A scene's size."""

    views: int
    masks: int
    points: int
    height: int
    width: int


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a row for each contestant and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("views", 200), ("masks", 150), ("points", 200_000), ("height", 480), ("width", 640)):
        parser.add_argument(f"--{name}", type=int, default=value)
    large = Size(**vars(parser.parse_args(argv)))
    small = Size(min(30, large.views), min(28, large.masks), min(50_000, large.points), large.height, large.width)
    root = os.environ.get("OPENMASK3D_ROOT")
    print("| | pictures | masks | points | SAM encodes | beyond the process before, MiB | s |\n" + "| --- " * 7 + "|")
    features = {}
    for name, work, size in (("ours", ours, large), ("ours", ours, small), ("OpenMask3D", upstream, small)):
        if work is upstream and root is None:
            continue
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            before, peak, seconds, calls, features[name] = pool.submit(measure, work, size).result()
        row = (name, size.views, size.masks, size.points, calls, f"{(peak - before) / 2**20:.0f}", f"{seconds:.0f}")
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    dense = large.views * large.masks * large.height * large.width + 16 * large.views * large.points
    print(f"OpenMask3D's arrays at the first row's size: {dense / 2**30:.2f} GiB")
    if root is not None:
        print(f"largest difference of the features: {np.abs(features['ours'] - features['OpenMask3D']).max():.1e}")


def measure(work, size: Size) -> tuple[int, int, float, int, np.ndarray]:
    """Runs one contestant; the resident set before and at its peak, in bytes, seconds, SAM's encodes, the features."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make_room(Path(folder), size)
        extract = work(Path(folder))
        before, start = resident("VmRSS"), time.perf_counter()
        sam, features = extract()
        return before, resident("VmHWM"), time.perf_counter() - start, sam.encodes, features


def ours(folder: Path):
    """Our extraction, ready to start."""

    def extract():
        masks, sam, settings = torch.load(folder / "room_masks.pt", weights_only=False), BoxSAM(), FeatureSettings()
        views = open_scene(folder, scaling="upstream")
        extraction = Extraction(views, np.load(folder / "points.npy"), masks, settings)
        regions = extraction.regions(sam, np.random.RandomState(0))
        return sam, extraction.features(regions, LevelCrops(PREPROCESS, settings), encode)

    return extract


def upstream(folder: Path):
    """The checkout's own classes, with SAM and CLIP replaced."""
    sys.path.insert(0, os.environ["OPENMASK3D_ROOT"])
    from openmask3d.data import load
    from openmask3d.mask_features_computation import features_extractor as host

    torch.serialization.add_safe_globals(
        [np.ndarray, np.dtype, type(np.dtype(np.float16)), np.empty(0).__reduce__()[0]]
    )
    sam = BoxSAM()
    host.initialize_sam_model = lambda *_: sam
    host.clip.load = lambda *_: (StandInCLIP(), PREPROCESS)
    s = FeatureSettings()

    def extract():
        cloud = load.PointCloud.__new__(load.PointCloud)
        cloud.points = np.load(folder / "points.npy")
        cloud.num_points = len(cloud.points)
        size = list(Image.open(folder / "depth" / "0.png").size[::-1])
        intrinsic = folder / "intrinsic" / "intrinsic_color.txt"
        camera = load.Camera(intrinsic, tuple(size), folder / "pose", folder / "depth", ".png", 1000)
        indices = np.arange(load.get_number_of_images(folder / "pose"))
        images = load.Images(folder / "color", ".jpg", indices)
        masks = load.InstanceMasks3D(folder / "room_masks.pt")
        extractor = host.FeaturesExtractor(camera, "", images, masks, cloud, "", "", s.threshold, "cpu")
        np.random.seed(0)  # noqa: NPY002
        levels = (s.top_k, s.expansion, s.levels, s.rounds, s.points)
        return sam, extractor.extract_features(*levels, save_crops=False, out_folder=str(folder))

    return extract


class BoxSAM:
    """Takes the box around the points for the mask, and counts the pictures that it is given."""

    encodes = 0

    def set_image(self, image: np.ndarray) -> None:
        """Counts."""
        self.encodes, self.size = self.encodes + 1, image.shape[:2]

    def predict(self, *, point_coords, point_labels, multimask_output):
        """The box, and how sure it is: the more points, the surer."""
        x, y = np.asarray(point_coords, dtype=int).T
        mask = np.zeros((1, *self.size), dtype=bool)
        mask[0, y.min() : y.max() + 1, x.min() : x.max() + 1] = True
        return mask, np.array([0.5 + 0.1 * np.sin(x.sum() + y.sum())]), None


class StandInCLIP:
    """A random projection of 16 x 16 pixels."""

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, 16, 16) -> (B, 768)."""
        return encode(pixels)


def encode(pixels: torch.Tensor) -> torch.Tensor:
    """(B, 3, 16, 16) -> (B, 768)."""
    return pixels.flatten(1) @ MATRIX


def make_room(folder: Path, size: Size) -> None:
    """An empty room with its walls' points, balls of them as masks, and pictures from its middle."""
    rng = np.random.default_rng(0)
    for name in ("color", "depth", "pose", "intrinsic"):
        (folder / name).mkdir()
    points = rng.uniform(-ROOM / 2, ROOM / 2, (size.points, 3))
    axis = rng.integers(0, 3, size.points)
    points[np.arange(size.points), axis] = np.sign(points[np.arange(size.points), axis]) * ROOM[axis] / 2
    centres = points[rng.integers(0, size.points, size.masks)]
    masks = np.stack([np.linalg.norm(points - centre, axis=1) < 0.6 for centre in centres], axis=1)
    save_masks(folder / "room_masks.pt", masks)
    np.save(folder / "points.npy", points)
    intrinsic = np.diag([size.width / 2, size.width / 2, 1, 1])
    intrinsic[:2, 2] = size.width / 2, size.height / 2
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", intrinsic)
    row, column = np.indices((size.height, size.width))
    rays = np.stack([column + 0.5, row + 0.5, np.ones_like(row)], -1) @ np.linalg.inv(intrinsic[:3, :3]).T
    picture = Image.fromarray(rng.integers(0, 256, (size.height, size.width, 3), dtype=np.uint8))
    for view in range(size.views):
        pose = np.eye(4)
        yaw, pitch = rng.uniform(0, 2 * np.pi), rng.uniform(-0.6, 0.6)
        forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
        right = np.array([np.sin(yaw), -np.cos(yaw), 0])
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
        pose[:3, 3] = rng.uniform(-0.8, 0.8, 3)
        directions = rays @ pose[:3, :3].T
        with np.errstate(divide="ignore"):
            depth = ((np.sign(directions) * ROOM / 2 - pose[:3, 3]) / directions).min(axis=-1)
        Image.fromarray(np.round(depth * 1000).astype(np.uint16)).save(
            folder / "depth" / f"{view}.png", compress_level=1
        )
        picture.save(folder / "color" / f"{view}.jpg")
        np.savetxt(folder / "pose" / f"{view}.txt", pose)


if __name__ == "__main__":
    main()
