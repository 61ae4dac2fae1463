"""Embree, Intel's ray caster, from whichever wheel there is: ``embreex``, or libigl's, which Linux aarch64 has too.

libigl casts one ray a call, from Python: 0.8 million rays a second on one core, where embreex casts 7 million.
"""

from __future__ import annotations

from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.errors import MissingDependencyError


class Engine(Protocol):
    """A triangle mesh in Embree's tree; origins and directions are (N, 3) float32, contiguous."""

    def __init__(self, vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> None:
        """Builds the tree of (V, 3) vertices and (F, 3) faces, contiguous."""

    def first(
        self, origins: NDArray[np.float32], directions: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The first face on each ray, (N,), -1 for none, and its distance in lengths of the direction, (N,)."""

    def blocked(self, origins: NDArray[np.float32], directions: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether a face lies between ``origins`` and ``origins + directions``, (N,)."""


def find_engine() -> type[Engine]:
    """The faster of the engines that can be imported.

    Raises:
        MissingDependencyError: there is none.
    """
    for engine in (Embreex, Libigl):
        try:
            engine.load()
        except ImportError:
            continue
        return engine
    raise MissingDependencyError(
        "casting rays (the office domain, ScanNet++) needs embreex or, where it has no wheel, libigl, and neither can "
        "be imported; pip install embreex, or pip install libigl"
    )


class Embreex:
    """Through ``embreex``: all rays in one call."""

    def __init__(self, vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._scene = EmbreeScene(robust=True)
        self._mesh = TriangleMesh(scene=self._scene, vertices=vertices, indices=faces)

    @staticmethod
    def load() -> None:
        """Imports the wheel; ImportError: it is not there."""
        import embreex.mesh_construction  # noqa: F401

    def first(
        self, origins: NDArray[np.float32], directions: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As :meth:`Engine.first`."""
        hits = self._scene.run(origins, directions, output=1)
        return hits["primID"], hits["tfar"]

    def blocked(self, origins: NDArray[np.float32], directions: NDArray[np.float32]) -> NDArray[np.bool_]:
        """As :meth:`Engine.blocked`."""
        return self._scene.run(origins, directions, query="OCCLUDED", dists=np.ones(len(origins), np.float32)) == 0


class Libigl:
    """Through ``igl.embree``: a call for each ray."""

    def __init__(self, vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> None:
        from igl.embree import EmbreeIntersector

        self._scene = EmbreeIntersector()
        self._scene.init(np.asfortranarray(vertices), np.asfortranarray(faces), True)

    @staticmethod
    def load() -> None:
        """Imports the wheel; ImportError: it is not there."""
        import igl.embree  # noqa: F401

    def first(
        self, origins: NDArray[np.float32], directions: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As :meth:`Engine.first`."""
        hits = [hit[:2] for hit in map(self._scene.intersectRay_first, origins, directions)]
        face, distance = np.array(hits, float).reshape(-1, 2).T
        return face.astype(np.int32), np.where(face < 0, np.inf, distance).astype(np.float32)

    def blocked(self, origins: NDArray[np.float32], directions: NDArray[np.float32]) -> NDArray[np.bool_]:
        """As :meth:`Engine.blocked`."""
        hits = map(self._scene.intersectRay_first, origins, directions, repeat(0.0), repeat(1.0))
        return np.array([hit[0] >= 0 for hit in hits], bool)
