"""Segments of ScanNet++ pictures: one for each annotated object that a picture shows well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from opendas_plugin.data.reading import ImageReading, too_small
from opendas_plugin.data.segments import Segment, encode
from opendas_plugin.names import NameTable, spell_name
from opendas_plugin.scenes.colmap import View
from opendas_plugin.scenes.scannetpp import ScanNetPPScene, Source, class_names, is_class, read_things
from opendas_plugin.scenes.scannetpp_views import ObjectMap, SceneViews, best_views

NO_NAME = "label that is no class"
HIDDEN = "mostly hidden"
NARROW = "narrow box"
SEEN = "seen better in other pictures"


@dataclass(frozen=True)
class Limits:
    """Which objects of which pictures become segments; the defaults are the toolbox's (semantics_2d.yaml).

    Attributes:
        source: the phone's pictures, or the straightened ones of the dslr.
        every: takes every n-th picture.
        min_area: pixels at least.
        min_side: sides of the object's box in pixels, at least.
        min_visible: share of the object's vertices that are seen, at least.
        views: pictures of one object at most, those that show most of it.
    """

    source: Source = "iphone"
    every: int = 20
    min_area: int = 100
    min_side: int = 50
    min_visible: float = 0.1
    views: int = 3


def scene_labels(scenes: Sequence[ScanNetPPScene]) -> list[str]:
    """The label of every annotated object."""
    return [thing.label for scene in scenes for thing in read_things(scene)]


def split_names(
    train: Sequence[ScanNetPPScene], val: Sequence[ScanNetPPScene]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Spelling key -> class name over all scenes, and the names that only validation scenes have: the novel ones.

    A name that is a class beside its plural is novel where training scenes have the other alone.
    """
    names = class_names([*scene_labels(train), *scene_labels(val)])
    seen = NameTable(class_names(scene_labels(train)).values()).find_all(names.values())
    return names, tuple(name for name, own in seen.items() if own is None)


def raw_names(scenes: Sequence[ScanNetPPScene], names: dict[str, str]) -> dict[str, str]:
    """Class name -> a label of the scenes that means it, where they differ; ``names`` as of :func:`split_names`."""
    raw = {names[spell_name(label)]: label for label in scene_labels(scenes) if is_class(label)}
    return {name: label for name, label in sorted(raw.items()) if name != label}


def read_scene(
    scene: ScanNetPPScene,
    names: dict[str, str],
    limits: Limits,
    *,
    straightened: Path,
    cache: Path | None = None,
    each: Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]] = map,
) -> Iterator[ImageReading]:
    """Reads the segments of a scene, which is their group.

    Args:
        scene: where from.
        names: see :func:`split_names`.
        limits: what is taken.
        straightened: folder for the straightened fisheye pictures, which segments refer to.
        cache: folder for the object maps, the slow part, by which an interrupted run goes on.
        each: applies a function to every picture, in order; it may do so in threads.

    Raises:
        MissingFileError, DataError: a file of the scene is missing or not as it should be.
        MissingDependencyError: fisheye pictures without OpenCV.
    """
    reader = _SceneReader(scene, names, limits, straightened, cache)
    views = reader.views.views
    best = best_views(list(each(lambda view: reader.views.objects(view).visible, views)), limits.views)
    yield from each(lambda place: reader.read(place, best), range(len(views)))
    reader.views.close()


class _SceneReader:
    def __init__(
        self, scene: ScanNetPPScene, names: dict[str, str], limits: Limits, straightened: Path, cache: Path | None
    ) -> None:
        self.scene, self.limits, self.straightened = scene, limits, straightened
        self.views = SceneViews(scene, limits.source, every=limits.every, cache=cache)
        self.name_of = {
            thing.id: names[spell_name(thing.label)] for thing in read_things(scene) if is_class(thing.label)
        }

    def read(self, place: int, best: dict[int, set[int]]) -> ImageReading:
        view = self.views.views[place]
        shown = self.views.objects(view)
        found = ImageReading(self.scene.name)
        kept: list[tuple[np.ndarray, str]] = []
        for number in shown.visible:
            mask = shown.objects == number
            reason = self._why_not(number, mask, shown, place in best[number])
            if reason:
                found.dropped[reason] += 1
            else:
                kept.append((mask, self.name_of[number]))
        if kept:
            image = self._image(view)
            found.segments += [Segment(image, encode(mask), name, found.group) for mask, name in kept]
        return found

    def _why_not(self, number: int, mask: np.ndarray, shown: ObjectMap, among_best: bool) -> str | None:
        if number not in self.name_of:
            return NO_NAME
        if mask.sum() < self.limits.min_area:
            return too_small(self.limits.min_area)
        if min(np.ptp(np.flatnonzero(mask.any(axis=axis))) for axis in (0, 1)) + 1 < self.limits.min_side:
            return NARROW
        if shown.visible[number] < self.limits.min_visible:
            return HIDDEN
        return None if among_best else SEEN

    def _image(self, view: View) -> Path:
        """The picture's file; a fisheye picture is straightened into one of its own. Its size is checked either way."""
        picture = self.views.picture(view)
        if view.distortion is None:
            return self.views.path(view)
        path = self.straightened / self.scene.name / f"{Path(view.name).stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, quality=95)
        return path
