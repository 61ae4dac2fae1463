"""A small ray-cast scene in OpenMask3D's layout, and stand-ins for its two networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from opendas_plugin.office.geometry import box, merge
from opendas_plugin.scenes.mask_arrays import save_masks
from opendas_plugin.scenes.pointcloud import write_ply
from opendas_plugin.scenes.raycast import RayCaster
from opendas_plugin.scenes.views import Views

INTRINSIC = np.array([[60.0, 0, 39.5], [0, 60.0, 29.5], [0, 0, 1]])
SIZE = (60, 80)
COLOURS = [(0.8, 0.8, 0.7), (0.9, 0.2, 0.1), (0.1, 0.3, 0.9), (0.2, 0.8, 0.3)]


@dataclass
class ToyScene:
    """A room's pictures, points and masks: a wall, three boxes, one mask of nothing in view."""

    views: Views
    points: np.ndarray
    masks: np.ndarray


def make_scene(folder: Path, views: int = 6, seed: int = 0, colour_scale: int = 1) -> ToyScene:
    rng = np.random.default_rng(seed)
    parts = [
        box((4.0, 0.1, 3.0), (0, 3.0, 0), COLOURS[0]),
        box((0.8, 0.6, 0.9), (-0.9, 2.0, 0.2), COLOURS[1]),
        box((0.5, 0.5, 0.5), (0.3, 1.7, -0.4), COLOURS[2]),
        box((0.6, 0.4, 1.2), (1.1, 2.2, 0.1), COLOURS[3]),
    ]
    whole = merge(parts)
    owner = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    points, instance = sample(rng, whole, owner, 3000)
    points = np.concatenate([points, rng.normal((0, -5, 0), 0.1, (20, 3))])  # behind every camera
    masks = np.zeros((len(points), 5), dtype=np.float16)
    for i in range(3):
        masks[:-20, i] = instance == i + 1
    masks[:-20, 3] = instance >= 2  # masks may overlap
    masks[-20:, 4] = 1
    caster = RayCaster(whole.vertices, whole.faces)
    for name in ("color", "depth", "pose", "intrinsic"):
        (folder / name).mkdir(parents=True)
    poses = []
    for i in range(views):
        poses.append(pose(rng.uniform((-0.8, -0.6, -0.3), (0.8, 0.2, 0.4)), rng.uniform(-0.25, 0.25)))
        depth, face = look(caster, poses[-1])
        shade = np.where(face[..., None] >= 0, whole.colours[face], 0.1) * 255
        colour = np.clip(shade + rng.normal(0, 8, shade.shape), 0, 255).astype(np.uint8)
        colour = colour.repeat(colour_scale, 0).repeat(colour_scale, 1)
        Image.fromarray(colour).save(folder / "color" / f"{i}.jpg", quality=95)
        Image.fromarray(np.round(depth * 1000).astype(np.uint16)).save(folder / "depth" / f"{i}.png")
        np.savetxt(folder / "pose" / f"{i}.txt", poses[-1])
    np.savetxt(folder / "intrinsic" / "intrinsic_color.txt", np.pad(INTRINSIC, (0, 1)) + np.diag([0, 0, 0, 1]))
    names = range(views)
    return ToyScene(
        Views(
            [folder / "color" / f"{i}.jpg" for i in names],
            [folder / "depth" / f"{i}.png" for i in names],
            np.array([np.loadtxt(folder / "pose" / f"{i}.txt") for i in names]),
            INTRINSIC,
            SIZE,
        ),
        points,
        masks,
    )


def sample(rng, mesh, owner, count):
    """Points spread over a mesh's faces, and whose they are."""
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(float) for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    face = rng.choice(len(area), count, p=area / area.sum())
    u, v = np.sort(rng.random((2, count, 1)), axis=0)
    return u * a[face] + (v - u) * b[face] + (1 - v) * c[face], owner[face]


def pose(position, yaw):
    """Camera to world: looks along +y, x to the right, y of the picture down."""
    matrix = np.eye(4)
    cos, sin = np.cos(yaw), np.sin(yaw)
    matrix[:3, :3] = np.array([[cos, 0, -sin], [sin, 0, cos], [0, -1, 0]])
    matrix[:3, 3] = position
    return matrix


def look(caster, camera):
    """Depth (H, W) along the optical axis, and the face of each pixel."""
    row, column = np.indices(SIZE)
    rays = np.stack([column + 0.5, row + 0.5, np.ones(SIZE)], -1).reshape(-1, 3) @ np.linalg.inv(INTRINSIC).T
    directions = rays @ camera[:3, :3].T
    length = np.linalg.norm(directions, axis=1)
    face, distance = caster.cast(np.broadcast_to(camera[:3, 3], rays.shape), directions / length[:, None])
    depth = np.where(face >= 0, distance / length, 0)
    return depth.reshape(SIZE), face.reshape(SIZE)


class ColourSAM:
    """Takes what has the colour of the points; where it is moody, some answers are empty or score below 0."""

    def __init__(self, moody: bool = True) -> None:
        self.images, self.moody = 0, moody

    def set_image(self, image):
        self.images += 1
        self.image = image.astype(int)

    def predict(self, *, point_coords, point_labels, multimask_output):
        assert len(point_labels) == len(point_coords)
        assert not multimask_output
        x, y = np.round(np.asarray(point_coords)).astype(int).T
        colour = self.image[y, x].mean(axis=0)
        mask = np.abs(self.image - colour).sum(axis=2) < 60
        mood = int(x.sum() * 7 + y.sum() * 3) % 11 if self.moody else 5
        if mood == 0:
            mask[:] = False
        score = -0.5 if mood < 3 else float(1 + np.sin(x.sum() + 2 * y.sum()))
        return mask[None], np.array([score]), None


def small_clip(width: int = 24):
    """A preprocessing to 16x16 pixels, and a random encoder of them."""
    matrix = torch.randn(3 * 16 * 16, width, generator=torch.Generator().manual_seed(0))
    preprocess = transforms.Compose(
        [transforms.Resize(16, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(16), transforms.ToTensor()]
    )
    return preprocess, lambda pixels: torch.tanh(pixels.flatten(1) @ matrix / 16)


def write_room(folder: Path) -> ToyScene:
    """Writes a scene with its cloud and its masks, as commands read it."""
    scene = make_scene(folder)
    write_ply(folder / "room.ply", scene.points, np.full((len(scene.points), 3), 90, np.uint8))
    save_masks(folder / "room_masks.pt", scene.masks)
    return scene
