"""Readings -> a domain: the split, the novel names, and which segments are learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from opendas_plugin.data.domain import TURNED, UNSEEN, Domain, absent, check_domain, mark_unseen
from opendas_plugin.data.reading import TOO_SMALL, ImageReading, Reading
from opendas_plugin.data.splits import draw_novel, match_names, validation_groups
from opendas_plugin.errors import DataError
from opendas_plugin.label_values import LabelValues
from opendas_plugin.vocabulary import DEFAULT_TEMPLATE, Vocabulary

NOVEL_IN_TRAINING = "novel name in a training image"
HELD_OUT = "name held out"


def build_domain(
    name: str,
    train: Reading,
    val: Reading | None = None,
    *,
    val_fraction: float = 0.2,
    novel: Sequence[str] | None = None,
    novel_fraction: float | None = None,
    seed: int = 0,
    template: str = DEFAULT_TEMPLATE,
    values: LabelValues | None = None,
) -> Domain:
    """Splits what was read, marks the novel names, and drops their segments from training.

    A name without a training segment is novel too: nothing of it can be learnt.

    Args:
        name: what to call the domain.
        train: all that was read, or the training part if ``val`` is given.
        val: a validation part of its own; None: ``val_fraction`` of the images of ``train``, by whole groups.
        val_fraction: see ``val``.
        novel: the novel names; ``novel_fraction`` draws that part of all names instead; neither: none is novel.
        novel_fraction: see ``novel``.
        seed: of both draws.
        template: the vocabulary's text template.
        values: the numbers of the names in the dataset's label maps.

    Raises:
        DataError: names that do not fit together, or no segment left in a split.
    """
    parts = _split(train, val_fraction, seed) if val is None else _pair(train, val)
    segments = {split: [segment for image in images for segment in image.segments] for split, images in parts.items()}
    novel_names: tuple[str, ...] = ()
    if novel is not None:
        novel_names = match_names(train.names, novel)
    elif novel_fraction is not None:
        novel_names = draw_novel(train.names, {segment.label for segment in segments["val"]}, novel_fraction, seed)
    vocabulary = Vocabulary(train.names, novel_names, template, values)
    kept = [segment for segment in segments["train"] if segment.label not in novel_names]
    dropped = {split: sum((image.dropped for image in images), Counter()) for split, images in parts.items()}
    if len(kept) < len(segments["train"]):
        dropped["train"][NOVEL_IN_TRAINING] = len(segments["train"]) - len(kept)

    unseen = absent(vocabulary.base, kept)
    info = {
        "name": name,
        "exif": TURNED,
        "images": {split: len(images) for split, images in parts.items()},
        "images_without_labels": train.unlabelled + (val.unlabelled if val else 0),
        "kept": {"train": len(kept), "val": len(segments["val"])},
        "dropped": {split: dict(sorted(counts.items())) for split, counts in dropped.items()},
        UNSEEN: unseen,
        "names_without_validation_segment": absent(vocabulary.names, segments["val"]),
        "raw_names": train.raw_names,
    }
    return _checked(Domain(kept, segments["val"], mark_unseen(vocabulary, kept), info), dropped)


def hold_out(domain: Domain, names: Sequence[str]) -> Domain:
    """Holds base names out: their segments are not learnt from, and they count as novel beside those that are.

    What is judged stays.

    Raises:
        DataError: no segment is left for training.
    """
    vocabulary = domain.vocabulary
    held = {*names, *vocabulary.novel}
    novel = tuple(name for name in vocabulary.names if name in held)
    train = [segment for segment in domain.train if segment.label not in held]
    dropped = dict(domain.info.get("dropped", {}))
    dropped["train"] = Counter(dropped.get("train", {})) + Counter({HELD_OUT: len(domain.train) - len(train)})
    info = {**domain.info, "kept": {"train": len(train), "val": len(domain.val)}, "dropped": dropped}
    if not train:
        raise DataError(_nothing_left("training", dropped["train"]))
    vocabulary = mark_unseen(replace(vocabulary, novel=novel), train)
    return _checked(replace(domain, train=train, vocabulary=vocabulary, info=info), dropped)


def _split(reading: Reading, val_fraction: float, seed: int) -> dict[str, list[ImageReading]]:
    groups = validation_groups(Counter(image.group for image in reading.images), val_fraction, seed)
    return {
        "train": [image for image in reading.images if image.group not in groups],
        "val": [image for image in reading.images if image.group in groups],
    }


def _pair(train: Reading, val: Reading) -> dict[str, list[ImageReading]]:
    odd = sorted(set(val.names) ^ set(train.names))
    if odd:
        raise DataError(f"training and validation data name different classes: {odd[0]!r} is only in one of them")
    return {"train": list(train.images), "val": list(val.images)}


def _checked(domain: Domain, dropped: Mapping[str, Mapping[str, int]]) -> Domain:
    """The domain, if its parts fit together and none is empty."""
    for split, part, segments in (("training", "train", domain.train), ("validation", "val", domain.val)):
        if not segments:
            raise DataError(_nothing_left(split, dropped.get(part, {})))
    check_domain(domain)
    return domain


def _nothing_left(split: str, dropped: Mapping[str, int]) -> str:
    """Why a split has no segment, and what would bring some."""
    counts = {reason: count for reason, count in dropped.items() if count > 0}
    if not counts:
        return f"no segment is left for {split}; its pictures have none: label some, or choose another split"
    advice = []
    for reason in counts:
        if reason.startswith(TOO_SMALL):
            advice.append("lower `min_area`")
        elif reason in (NOVEL_IN_TRAINING, HELD_OUT):
            advice.append("choose fewer or other novel names")
    said = ", ".join(f"{reason}: {count}" for reason, count in counts.items())
    advice = advice or ["label more pictures, or choose another split"]
    return f"no segment is left for {split}, all {sum(counts.values())} were dropped ({said}); {', or '.join(advice)}"
