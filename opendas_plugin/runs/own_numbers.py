"""The numbers that the datasets of our readers have in their label maps, for vocabularies that do not state them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opendas_plugin.label_values import LabelValues
from opendas_plugin.names import spell_name
from opendas_plugin.readers import ade20k, kitti360, voc


def table_of(dataset: str, names: Sequence[str]) -> LabelValues | None:
    """The numbers of ``names`` in ``kitti360``, ``ade20k`` or ``voc``; None: another word, or a name is none of its."""
    for title, own, values in _tables():
        if title == dataset:
            table = _chosen(names, own, values)
            if table is not None:
                return table
    return None


def dataset_of(names: Sequence[str]) -> str | None:
    """The dataset that the names look like, if its label maps have other numbers than the places of the names.

    They look like it where all of them are names of it, and at least half of its names are there.
    """
    for title, own, values in _tables():
        table = _chosen(names, own, values)
        if table is not None and 2 * len(names) >= len(own) and table.of != LabelValues.places(len(names)).of:
            return title
    return None


def _tables() -> Iterator[tuple[str, tuple[str, ...], LabelValues]]:
    yield "kitti360", kitti360.class_names(37), kitti360.label_values(37)
    yield "kitti360", kitti360.class_names(19), kitti360.label_values(19)
    yield "ade20k", ade20k.NAMES, LabelValues.places(len(ade20k.NAMES), 1, (ade20k.OTHER,))
    yield "voc", voc.NAMES, LabelValues.places(len(voc.NAMES), 1, (voc.BACKGROUND, voc.VOID))


def _chosen(names: Sequence[str], own: Sequence[str], values: LabelValues) -> LabelValues | None:
    row = {spell_name(name): place for place, name in enumerate(own)}
    places = [row.get(spell_name(name)) for name in names]
    if None in places:
        return None
    return LabelValues(tuple(values.of[place] for place in places if place is not None), values.ignored)
