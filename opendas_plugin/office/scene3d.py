"""Rooms as point clouds, and as folders that OpenMask3D reads.

A scene's folder holds ``<scene>.ply``, ``color/<i>.jpg``, ``depth/<i>.png`` (16-bit, millimetres, as large as
the colour), ``pose/<i>.txt`` (4x4 camera to world, metres, OpenCV axes), ``intrinsic/intrinsic_color.txt`` (4x4) and,
for evaluation, ``instance/<i>.png`` (16-bit, 0: none) and ``class/<i>.png`` (8-bit, row of the vocabulary, 255: none).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opendas_plugin.office.geometry import Mesh
from opendas_plugin.office.layout import Room
from opendas_plugin.scenes.camera import Camera

NO_CLASS = 255
_DENSITY, _FEWEST = 250, 300  # points a square metre, and at least this many a thing


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points on the surfaces of a room.

    Attributes:
        points: (N, 3) float32, metres.
        colours: (N, 3) uint8 RGB.
        instances: (N,) int32, the row in the room's items plus one.
    """

    points: NDArray[np.float32]
    colours: NDArray[np.uint8]
    instances: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a room.

    Attributes:
        camera: where it was taken from.
        colour: (H, W, 3) uint8 RGB.
        depth: (H, W) float32, metres.
        instance: (H, W) int32, the row in the room's items plus one.
    """

    camera: Camera
    colour: NDArray[np.uint8]
    depth: NDArray[np.float32]
    instance: NDArray[np.int32]


def sample_points(rng: np.random.Generator, room: Room) -> PointCloud:
    """Draws points evenly from each item's surface, as many as its area asks for and enough on small things."""
    parts = [_on_surface(rng, item.mesh) for item in room.items]
    counts = [len(points) for points, _ in parts]
    return PointCloud(
        np.concatenate([points for points, _ in parts]),
        np.concatenate([colours for _, colours in parts]),
        np.repeat(np.arange(1, len(parts) + 1, dtype=np.int32), counts),
    )


def visible_share(cloud: PointCloud, frame: Frame, items: int) -> NDArray[np.float64]:
    """Which share of each item's points a picture shows, (items,); a whole closed thing shows about half of them."""
    image, depth = frame.camera.project(cloud.points)
    inside = (depth > 0) & (image >= 0).all(axis=1) & (image < (frame.camera.width, frame.camera.height)).all(axis=1)
    column, row = image[inside].astype(int).T
    seen = frame.instance[row, column] == cloud.instances[inside]
    seen &= np.abs(frame.depth[row, column] - depth[inside]) < 0.03
    total = np.bincount(cloud.instances - 1, minlength=items)
    return np.bincount(cloud.instances[inside][seen] - 1, minlength=items) / np.maximum(total, 1)


def write_scene(folder: Path, cloud: PointCloud, frames: list[Frame], classes: NDArray[np.uint8]) -> None:
    """Writes a scene's folder, named after the scene; ``classes`` has the class of each item (or ``NO_CLASS``)."""
    for name in ("color", "depth", "pose", "intrinsic", "instance", "class"):
        (folder / name).mkdir(parents=True)
    _write_ply(folder / f"{folder.name}.ply", cloud)
    intrinsic = np.eye(4)
    intrinsic[:3, :3] = frames[0].camera.intrinsics
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", intrinsic, fmt="%.9g")
    with_none = np.concatenate([[NO_CLASS], classes]).astype(np.uint8)
    for i, frame in enumerate(frames):
        Image.fromarray(frame.colour).save(folder / "color" / f"{i}.jpg", quality=95)
        np.savetxt(folder / "pose" / f"{i}.txt", frame.camera.pose, fmt="%.9g")
        for name, pixels in (
            ("depth", np.round(frame.depth * 1000).astype(np.uint16)),
            ("instance", frame.instance.astype(np.uint16)),
            ("class", with_none[frame.instance]),
        ):
            Image.fromarray(pixels).save(folder / name / f"{i}.png", compress_level=1)


def write_ground_truth(path: Path, cloud: PointCloud, classes: NDArray[np.uint8]) -> None:
    """Writes one line a point: (class index + 1) * 1000 + instance, 0 where the item has no class."""
    labels = np.where(classes == NO_CLASS, 0, (classes.astype(np.int64) + 1) * 1000 + np.arange(1, len(classes) + 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(str, labels[cloud.instances - 1].tolist())) + "\n", encoding="ascii")


def _on_surface(rng: np.random.Generator, mesh: Mesh) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    count = max(_FEWEST, round(_DENSITY * area.sum()))
    face = rng.choice(len(area), count, p=area / area.sum())
    u, v = rng.random((2, count, 1))
    root = np.sqrt(u)  # uniform on a triangle (Osada et al., Shape Distributions, 2002)
    points = (1 - root) * a[face] + root * (1 - v) * b[face] + root * v * c[face]
    return points.astype(np.float32), (np.sqrt(np.clip(mesh.colours[face], 0, 1)) * 255).round().astype(np.uint8)


def _write_ply(path: Path, cloud: PointCloud) -> None:
    rows = np.empty(len(cloud.points), [("point", "<f4", 3), ("colour", "u1", 3)])
    rows["point"], rows["colour"] = cloud.points, cloud.colours
    fields = [f"property float {axis}" for axis in "xyz"] + [f"property uchar {c}" for c in ("red", "green", "blue")]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}", *fields, "end_header"]
    path.write_bytes(("\n".join(header) + "\n").encode("ascii") + rows.tobytes())
