"""Whether a scene's pictures, depth maps, camera and cloud fit each other, and what is likely wrong where they do not.

A point in front of the surface that a depth map shows cannot be: of scenes whose parts fit, 0.4 to 4% of the points in
the pictures are such (noise, edges), of those with wrong intrinsics, poses or clouds 10 to 60%. Whether another camera
would explain the depth maps better is tried on a part of the points and pictures.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from opendas_plugin.data.images import read_upright
from opendas_plugin.errors import DataError
from opendas_plugin.scenes.views import Fit, Projector, Views

MOST_IN_FRONT = 0.1
"""Share of the points in front of the depth maps' surfaces from which on a scene does not fit."""
_PICTURES, _POINTS = 8, 10_000  # that other cameras are tried on
_BETTER = 1.3  # times as many points explained: the best other camera of scenes that fit has less
_SHAPE = 0.02  # of width / height, by which colour and depth may differ; ScanNet's do by 0.004

logger = logging.getLogger(__name__)

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Guess:
    """Another camera, other poses, depths or axes of the cloud: what a scene would be if it were made another way."""

    cause: str
    views: Views
    intrinsic: NDArray[np.float64]
    turn: NDArray[np.float64]
    depth: float = 1.0


def require_agreement(projector: Projector, *, force: bool = False, flag: str = "`force`") -> None:
    """Looks whether the points lie where the depth maps have surfaces, after :meth:`Projector.counts`.

    Args:
        projector: the scene.
        force: say what is wrong as a warning, where a result is possible at all.
        flag: how the caller's user forces it.

    Raises:
        DataError: they do not.
    """
    fault, usable = find_fault(projector), _nowhere(projector) is None
    if fault is None:
        return
    if not usable:
        raise DataError(fault)
    if not force:
        raise DataError(f"{fault}; look at it with opendas-openmask3d check, and go on all the same with {flag}")
    logger.warning("%s; forced to go on", fault)


def _nowhere(projector: Projector) -> str | None:
    """That next to no point lies at a surface, so that there is nothing to go on with, or None.

    A large building hides most points from most pictures, and a few pictures see few of many: both must fail.
    """
    views, points, whole = projector.views, len(projector.homogeneous), total(projector.fits)
    if not whole.inside:
        return (
            f"none of {points} points falls into any of {len(views)} pictures; "
            "check the poses (camera to world, metres, OpenCV axes) and the intrinsics"
        )
    seen = float(projector.seen.mean())
    if seen >= 0.1 or projector.shown >= 0.05 * whole.inside:
        return None
    known = [ratio for ratio in projector.ratios if np.isfinite(ratio)]
    factor = float(np.median(known)) if known else float("nan")
    return (
        f"only {100 * seen:.1f}% of the points lie where a depth map has a surface, which here is "
        f"{factor:.3g} times as far as the points; check depth_scale ({views.depth_scale:g} a metre) and "
        "the poses (camera to world, metres, OpenCV axes)"
    )


def find_fault(projector: Projector) -> str | None:
    """What does not fit, with the likely cause, or None."""
    views, whole = projector.views, total(projector.fits)
    cause = likely_cause(views, projector.homogeneous[:, :3], projector.threshold)
    nowhere = _nowhere(projector)
    if nowhere is not None:
        return nowhere if cause is None else f"{nowhere}: {cause}"
    height, width = read_upright(views.colour[0]).shape[:2]
    rows, columns = views.size
    if abs(width / height / (columns / rows) - 1) > _SHAPE:
        return (
            f"the colour pictures are {width}x{height} and the depth maps {columns}x{rows}, of another shape: one of "
            "them was cropped, and no one matrix fits both"
        )
    if whole.in_front > MOST_IN_FRONT * whole.known:
        said = cause or "none of the usual causes explains it"
        return (
            f"{100 * whole.in_front / whole.known:.0f}% of the points lie in front of the surfaces that the depth maps "
            f"show, {100 * MOST_IN_FRONT:.0f}% at most where a scene fits; {said}"
        )
    return None if cause is None else f"the points do not fit the depth maps well; {cause}"


def total(fits: Sequence[Fit]) -> Fit:
    """The sum over pictures."""
    return Fit(*(sum(getattr(fit, name) for fit in fits) for name in ("inside", "shown", "hidden", "in_front")))


def likely_cause(views: Views, points: Points, threshold: float) -> str | None:
    """The cause that explains the depth maps much better than the scene as it is, or None."""
    usable = np.flatnonzero(np.isfinite(views.poses).all(axis=(1, 2)))
    chosen = usable[np.linspace(0, len(usable) - 1, min(_PICTURES, len(usable))).astype(int)]
    depths = [views.read_depth(view) for view in chosen.tolist()]
    poses = views.poses[chosen]
    some = points[np.linspace(0, len(points) - 1, min(_POINTS, len(points))).astype(int)]

    def score(guess: Guess) -> int:
        """Points at the surfaces less points in front of them."""
        fits = [
            _fit(some @ guess.turn.T, pose, guess.intrinsic, depth * guess.depth, threshold)
            for pose, depth in zip(guess.views.poses, depths, strict=True)
        ]
        return total(fits).shown - total(fits).in_front

    small = replace(views, poses=poses)
    as_it_is = score(Guess("", small, views.scaled_intrinsic, np.eye(3)))
    best, found = _BETTER * max(as_it_is, 0) + 0.02 * len(some), None
    for guess in _guesses(small):
        explained = score(guess)
        if explained > best:  # the first of equals is the simplest
            best, found = 1.05 * explained, guess.cause
    if found is None and _outside(views):
        return f"{_outside(views)}: the intrinsics are of pictures of another size"
    return found


def _guesses(views: Views) -> Iterator[Guess]:
    matrix, (height, width) = views.scaled_intrinsic, views.size
    plain = Guess("", views, matrix, np.eye(3))
    factor = 2 * matrix[0, 2] / width
    if matrix[0, 2] > 0 and abs(np.log(factor)) > 0.05:
        colour = views.intrinsic_size
        size = f"{factor * colour[1]:.0f}x{factor * colour[0]:.0f}"
        outside = _outside(views)
        said = f"the intrinsics look like those of pictures of {size}, not of {colour[1]}x{colour[0]}"
        cause = f"{said} ({outside})" if outside else said
        yield replace(plain, cause=cause, intrinsic=matrix / [[factor], [factor], [1]])
    swapped = matrix.copy()
    swapped[0, 2], swapped[1, 2] = views.intrinsic[1, 2], views.intrinsic[0, 2]
    swapped[0, 2] *= width / views.intrinsic_size[1]
    swapped[1, 2] *= height / views.intrinsic_size[0]
    yield replace(plain, cause="cx and cy of the intrinsics look swapped", intrinsic=swapped)
    inverse = replace(views, poses=np.linalg.inv(views.poses).astype(np.float64))
    yield replace(plain, cause="the poses look like world to camera; invert them", views=inverse)
    flip = np.diag([1.0, -1, -1, 1])
    said = "the poses look like OpenGL's or Blender's (y up, z backwards); turn their second and third column round"
    yield replace(plain, cause=said, views=replace(views, poses=views.poses @ flip))
    for axis, name in enumerate("xyz"):
        for quarters in (1, 2, 3):
            said = f"the cloud looks rotated: turning it by {90 * quarters} degrees about {name} makes it fit"
            yield replace(plain, cause=said, turn=_rotation(axis, quarters))
    for times in (0.001, 0.1, 0.2, 0.25, 4.0, 5.0, 10.0, 1000.0):
        said = f"the depths look wrong: with a depth_scale of {views.depth_scale / times:g} they fit"
        yield replace(plain, cause=said, depth=times)
    for step in (0.4, 0.5, 0.58, 0.67, 0.75, 0.8, 0.87, 0.93, 1.07, 1.15, 1.25, 1.33, 1.5, 1.75, 2.0, 2.5):
        for along, scale in (("fx and fy", (step, step)), ("fx", (step, 1.0)), ("fy", (1.0, step))):
            changed = matrix.copy()
            changed[0, 0] *= scale[0]
            changed[1, 1] *= scale[1]
            said = f"a picture was cropped or stretched, or the focal length is wrong: {step:g} times {along} fits"
            yield replace(plain, cause=said, intrinsic=changed)


def _outside(views: Views) -> str | None:
    """That the principal point lies outside the picture, or None."""
    (x, y), (height, width) = views.intrinsic[:2, 2], views.intrinsic_size
    if 0 < x < width and 0 < y < height:
        return None
    return f"the principal point ({x:g}, {y:g}) lies outside {width}x{height} pixels"


def _rotation(axis: int, quarters: int) -> NDArray[np.float64]:
    """A turn by ``quarters`` of 90 degrees about an axis."""
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    first, second = [other for other in range(3) if other != axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def _fit(points: Points, pose: NDArray, intrinsic: NDArray, depth: NDArray, threshold: float) -> Fit:
    """How points fit one depth map."""
    inverse = np.linalg.inv(pose)
    local = points @ inverse[:3, :3].T + inverse[:3, 3]
    local = local[local[:, 2] > 0.05]
    image = local @ intrinsic.T
    column, row = image[:, 0] / image[:, 2], image[:, 1] / image[:, 2]
    inside = (column >= 0) & (row >= 0) & (column < depth.shape[1]) & (row < depth.shape[0])
    sensor = depth[row[inside].astype(int), column[inside].astype(int)]
    return Fit.of(sensor, local[inside, 2], threshold)
