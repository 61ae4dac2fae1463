"""Which object each pixel of a ScanNet++ picture shows: the mesh is cast at from the picture's pose, and kept on disk.

The rule is the toolbox's (semantic/prep/semantics_2d.py): pixel -> the face it sees -> the face's first vertex -> the
vertex's object. Its rasteriser takes the same faces; fisheye pictures are straightened first, so that all are pinhole.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import read_upright
from opendas_plugin.errors import DataError
from opendas_plugin.files import atomic_file
from opendas_plugin.scenes.camera import Camera
from opendas_plugin.scenes.colmap import View, read_views
from opendas_plugin.scenes.fisheye import straight_camera, straighten
from opendas_plugin.scenes.raycast import RayCaster, load_mesh
from opendas_plugin.scenes.scannetpp import ScanNetPPScene, Source, objects_of_vertices, read_segments, read_things
from opendas_plugin.stamps import stamp
from opendas_plugin.version import __version__
from opendas_plugin.wording import counted

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ObjectMap:
    """What a picture shows.

    Attributes:
        objects: (H, W) uint16 objectId, 0: none.
        visible: objectId -> share of the object's vertices that belong to a face that is seen.
    """

    objects: NDArray[np.uint16]
    visible: dict[int, float]


class SceneViews:
    """The pictures of a scene and the objects behind their pixels; the mesh is read when it is first needed.

    Args:
        scene: the scene.
        source: which camera.
        every: takes every n-th picture, in COLMAP's order.
        cache: folder for the object maps; None keeps none.

    Raises:
        MissingFileError, DataError: a file of the scene is missing or not as it should be.
    """

    def __init__(self, scene: ScanNetPPScene, source: Source, *, every: int = 1, cache: Path | None = None) -> None:
        self.scene = scene
        self.source = source
        self.views = read_views(scene.poses(source))[::every]
        self._cache = None if cache is None else cache / f"{scene.name}-{source}-{_stamp(scene, source)}"
        self._lock = threading.Lock()
        self._mesh: _LabelledMesh | None = None

    def camera(self, view: View) -> Camera:
        """The pinhole camera of the (straightened) picture."""
        return view.camera if view.distortion is None else straight_camera(view)

    def path(self, view: View) -> Path:
        """The picture's own file."""
        return self.scene.pictures(self.source) / view.name

    def picture(self, view: View) -> NDArray[np.uint8]:
        """The (straightened) picture, (H, W, 3) RGB.

        Raises:
            MissingFileError, DataError: it is missing, cannot be read, or is not of the camera's size.
        """
        picture = read_upright(self.path(view))
        camera = view.camera
        if picture.shape[:2] != (camera.height, camera.width):
            raise DataError(
                f"{self.path(view)} is {picture.shape[1]}x{picture.shape[0]}, but its camera {camera.width}x"
                f"{camera.height}; extract the pictures at their full size"
            )
        return picture if view.distortion is None else straighten(picture, view)

    def objects(self, view: View) -> ObjectMap:
        """The objects that the (straightened) picture shows, from the cache if they are there."""
        path = None if self._cache is None else self._cache / f"{Path(view.name).with_suffix('')}.npz"
        if path is not None and (kept := _read_map(path)) is not None:
            return kept
        found = self.mesh.look(self.camera(view))
        if path is not None:
            ids, shares = np.array(list(found.visible), np.int64), np.array(list(found.visible.values()))
            with atomic_file(path) as temporary, open(temporary, "wb") as file:
                np.savez_compressed(file, objects=found.objects, ids=ids, shares=shares)
        return found

    def depth(self, camera: Camera) -> NDArray[np.float32]:
        """(H, W) metres along the camera's z axis to the mesh, 0 where there is nothing."""
        return self.mesh.depth(camera)

    @property
    def mesh(self) -> _LabelledMesh:
        """The scene's mesh, ready to be cast at."""
        with self._lock:
            if self._mesh is None:
                self._mesh = _LabelledMesh(self.scene)
            return self._mesh

    def close(self) -> None:
        """Lets go of the mesh, which is large."""
        self._mesh = None


class _LabelledMesh:
    def __init__(self, scene: ScanNetPPScene) -> None:
        vertices, self.faces = load_mesh(scene.mesh)
        segments = read_segments(scene)
        if len(segments) != len(vertices):
            raise DataError(
                f"{scene.segments} is about {counted(len(segments), 'vertex', 'vertices')}, but {scene.mesh} "
                f"has {len(vertices):,}"
            )
        self.object_of_vertex = objects_of_vertices(read_things(scene), segments)
        self.vertices_of_object = np.bincount(self.object_of_vertex)
        self.caster = RayCaster(vertices, self.faces)

    def look(self, camera: Camera) -> ObjectMap:
        face, _ = self.caster.cast(*camera.all_rays())
        hit = face >= 0
        objects = np.zeros(len(face), np.uint16)
        objects[hit] = self.object_of_vertex[self.faces[face[hit], 0]]
        seen = np.unique(self.faces[np.unique(face[hit])])
        counts = np.bincount(self.object_of_vertex[seen], minlength=len(self.vertices_of_object))
        ids = [number for number in np.unique(objects).tolist() if number]
        visible = {number: float(counts[number] / self.vertices_of_object[number]) for number in ids}
        return ObjectMap(objects.reshape(camera.height, camera.width), visible)

    def depth(self, camera: Camera) -> NDArray[np.float32]:
        _, distance = self.caster.cast(*camera.all_rays())  # the rays have depth 1 along z
        return np.where(np.isfinite(distance), distance, 0).reshape(camera.height, camera.width).astype(np.float32)


def scaled(camera: Camera, width: int) -> Camera:
    """The same view ``width`` pixels wide, as high as its shape asks for."""
    height = round(camera.height * width / camera.width)
    factors = np.array([[width / camera.width], [height / camera.height], [1.0]])
    return replace(camera, intrinsics=camera.intrinsics * factors, width=width, height=height)


def best_views(maps: Sequence[dict[int, float]], count: int) -> dict[int, set[int]]:
    """Object id -> the places of the ``count`` pictures that show most of it (of equals the first)."""
    shares: dict[int, list[tuple[float, int]]] = {}
    for place, visible in enumerate(maps):
        for number, share in visible.items():
            shares.setdefault(number, []).append((-share, place))
    return {number: {place for _, place in sorted(pairs)[:count]} for number, pairs in shares.items()}


def source_files(scene: ScanNetPPScene, source: Source) -> dict[str, Path]:
    """The files that object maps and depth are made from, by their names."""
    poses = [scene.poses(source) / f"{name}.txt" for name in ("cameras", "images")]
    return {path.name: path for path in (scene.mesh, scene.segments, scene.annotation, *poses)}


def _stamp(scene: ScanNetPPScene, source: Source) -> str:
    """Changes with the package's version and the files that an object map is made from."""
    facts = [__version__, *(stamp(path).rpartition(" ")[2] for path in source_files(scene, source).values())]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _read_map(path: Path) -> ObjectMap | None:
    """An object map from the cache; None: there is none that is whole."""
    try:
        with np.load(path) as kept:
            return ObjectMap(kept["objects"], dict(zip(kept["ids"].tolist(), kept["shares"].tolist(), strict=True)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        log.warning("%s is damaged and is made again", path)
        return None
