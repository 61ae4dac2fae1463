"""ScanNet++'s layout, written from meshes: a room of boxes, and rooms of the office domain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from scipy.spatial.transform import Rotation

from opendas_plugin.scenes.camera import Camera


def write_scene(root, name, vertices, faces, things, views, *, colours=None, source="iphone", distortion=None):
    """Writes one scene.

    Args:
        things: (objectId, label, vertex numbers).
        views: (file name, camera, picture); the first is number 1 in COLMAP's list.
        distortion: four numbers of a fisheye camera.
    """
    scans = root / "data" / name / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    mesh = trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False)
    mesh.export(scans / "mesh_aligned_0.05.ply")
    (scans / "mesh_aligned_0.05_mask.txt").write_text("0\n1\n")
    (scans / "segments.json").write_text(json.dumps({"segIndices": list(range(len(vertices)))}))
    groups = [
        {"id": row, "objectId": number, "label": label, "segments": [int(vertex) for vertex in segments]}
        for row, (number, label, segments) in enumerate(things)
    ]
    (scans / "segments_anno.json").write_text(json.dumps({"segGroups": groups}))
    folder = root / "data" / name / source
    (folder / "colmap").mkdir(parents=True, exist_ok=True)
    camera = views[0][1]
    k = camera.intrinsics
    numbers = [k[0, 0], k[1, 1], k[0, 2], k[1, 2], *([] if distortion is None else distortion)]
    model = "PINHOLE" if distortion is None else "OPENCV_FISHEYE"
    words = " ".join(f"{number:.12g}" for number in numbers)
    (folder / "colmap" / "cameras.txt").write_text(f"# cameras\n1 {model} {camera.width} {camera.height} {words}\n")
    lines = ["# images"]
    for number, (file, camera, picture) in enumerate(views, 1):
        inverse = np.linalg.inv(camera.pose)
        x, y, z, w = Rotation.from_matrix(inverse[:3, :3]).as_quat()
        pose = " ".join(f"{value:.12g}" for value in (w, x, y, z, *inverse[:3, 3]))
        lines += [f"{number} {pose} 1 {file}", "" if number % 2 else "1.0 2.0 -1"]
        path = folder / ("rgb" if source == "iphone" else "resized_images") / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    (folder / "colmap" / "images.txt").write_text("\n".join(lines) + "\n")


def box(centre, size):
    """Vertices (V, 3) and faces (F, 3) of a finely cut box."""
    mesh = trimesh.creation.box(size).subdivide().subdivide().subdivide()
    return mesh.vertices + np.array(centre), mesh.faces


def boxes_room(root: Path, name: str, labels: dict[str, tuple], *, pictures: int = 4, seed: int = 0) -> None:
    """A floor and boxes on it: ``labels`` maps a label to a box's centre; pictures from a circle around them."""
    rng = np.random.default_rng(seed)
    parts = [("floor", box((0, 0, -0.05), (4, 4, 0.1)))]
    parts += [(label, box(centre, (0.6, 0.6, 0.8))) for label, centre in labels.items()]
    vertices, faces, things = [], [], []
    for number, (label, (points, triangles)) in enumerate(parts, 1):
        first = sum(map(len, vertices))
        things.append((number, label, range(first, first + len(points))))
        vertices.append(points)
        faces.append(triangles + first)
    views = []
    for number in range(pictures):
        angle = 2 * np.pi * number / pictures
        eye = (3.2 * np.cos(angle), 3.2 * np.sin(angle), 1.8)
        camera = Camera.look_at(eye, (0, 0, 0.3), width=160, height=120, fov=60)
        views.append((f"frame_{10 * number:06d}.jpg", camera, rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)))
    write_scene(root, name, np.concatenate(vertices), np.concatenate(faces), things, views)


def offices(root: Path) -> Path:
    """Three scenes of three lists: two to train, one to judge; "monitor" and "mug" are in validation alone."""
    places = [(-1, -1, 0.4), (1, -1, 0.4), (1, 1, 0.4), (-1, 1, 0.4)]
    for name, labels in {
        "a0": ["office chair", "office desk", "keyboard", "remove"],
        "a1": ["Office Chair", "office desk", "keyboard", "office chairs"],
        "b0": ["office chair", "office desk", "monitor", "mug"],
    }.items():
        boxes_room(root, name, dict(zip(labels, places, strict=True)))
    boxes_room(root, "kitchen", dict(zip(["sink", "office chair", "stove", "pan"], places, strict=True)))
    (root / "splits").mkdir()
    (root / "splits" / "nvs_sem_train.txt").write_text("a0\na1\nkitchen\nnot_downloaded\n")
    (root / "splits" / "nvs_sem_val.txt").write_text("b0\n")
    return root


def office_room(root: Path, *, pictures: int = 3, width: int = 240, height: int = 180):
    """A room of the office domain as the scene ``room``; returns its frames, whose instances are object ids, and it."""
    from opendas_plugin.office.rooms import Pictures, build_room, photograph

    settings = Pictures(width=width, height=height, per_room=pictures)
    room = build_room(0, "tune", 0)
    frames = photograph(0, "tune", 0, room, settings)
    owner = np.zeros(len(room.mesh.vertices), np.int64)
    owner[room.mesh.faces.ravel()] = np.repeat(room.owner + 1, 3)
    things = [(row, item.name, np.flatnonzero(owner == row)) for row, item in enumerate(room.items, 1)]
    views = [(f"frame_{number:06d}.jpg", frame.camera, frame.colour) for number, frame in enumerate(frames)]
    write_scene(root, "room", room.mesh.vertices, room.mesh.faces, things, views)
    return frames, room
