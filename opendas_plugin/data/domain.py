"""Domains: folders with ``train.jsonl``, ``val.jsonl``, ``vocabulary.json``, and ``domain.json`` about them.

A domain may also have related names of its own, ``negatives.json``.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opendas_plugin.data.images import IMAGE_SUFFIXES, UPRIGHT, orientation
from opendas_plugin.data.manifest import read_manifest, write_manifest
from opendas_plugin.data.reading import TOO_SMALL, ImageReading, Reading
from opendas_plugin.data.segments import Segment
from opendas_plugin.data.splits import draw_novel, match_novel, validation_groups
from opendas_plugin.errors import DataError, MissingFileError, OutputError
from opendas_plugin.files import atomic_folder, read_json, write_json
from opendas_plugin.label_values import LabelValues
from opendas_plugin.vocabulary import DEFAULT_TEMPLATE, Vocabulary

log = logging.getLogger(__name__)

NOVEL_IN_TRAINING = "novel name in a training image"
HELD_OUT = "name held out"
NEGATIVES = "negatives.json"
TURNED = "turned"
"""In ``domain.json``: the masks are of pictures that are turned as their EXIF orientation says."""
FILES = ("train.jsonl", "val.jsonl", "vocabulary.json", "domain.json", NEGATIVES, "run.json")


@dataclass(frozen=True)
class Domain:
    """A prepared dataset.

    Args:
        train: segments to learn from, of base names alone.
        val: segments to judge by, base and novel.
        vocabulary: all names.
        info: how the domain was made: ``name``, images, kept and dropped segments per split, names without segments.
        negatives: the file of its own related names; None: it has none.
    """

    train: Sequence[Segment]
    val: Sequence[Segment]
    vocabulary: Vocabulary
    info: dict[str, Any]
    negatives: Path | None = None


def load_domain(folder: str | Path) -> Domain:
    """Reads a domain folder and checks that its parts belong together.

    Raises:
        MissingFileError: a file of the domain, or an image, is missing.
        DataError: a file is damaged, a split is empty, a label is not in the vocabulary, or a novel one is in training.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f"the data folder {folder} does not exist; make it with opendas-prepare")
    if not (folder / "vocabulary.json").exists():
        raise MissingFileError(f"{folder} is no folder that opendas-prepare wrote: {_instead(folder)}")
    vocabulary = Vocabulary.load(folder / "vocabulary.json")
    info = read_json(folder / "domain.json")
    if not isinstance(info, dict):
        raise DataError(f"{folder / 'domain.json'}: expected a JSON object, got {info!r:.60}; prepare the data again")
    train, val = (read_manifest(folder / name) for name in ("train.jsonl", "val.jsonl"))
    negatives = folder / NEGATIVES
    domain = Domain(train, val, vocabulary, info, negatives if negatives.is_file() else None)
    try:
        _check(domain)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error
    if info.get("exif") != TURNED:
        _require_upright(folder, domain)
    shared = {segment.image for segment in train} & {segment.image for segment in val}
    if shared:
        log.warning("%s: %d images are in both training and validation", folder, len(shared))
    return domain


def _instead(folder: Path) -> str:
    """What lies in a folder that is no domain, and what to do, for a sentence."""
    if any((folder / inner / "adapter_config.json").exists() for inner in ("", "adapter")):
        return "it holds an adapter; give the data to learn from or to score on"
    domains = sorted(path.parent for path in folder.glob("*/vocabulary.json"))
    if domains:
        return f"it holds {len(domains)} that it did, of which one is to be given, such as {domains[0]}"
    pictures = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
    return (
        f"it holds {f'{pictures} pictures' if pictures else 'no vocabulary.json'}; make data of pictures and labels by "
        f"opendas-prepare folders --images {folder} --labels LABELS --classes NAMES --output DATA, and give DATA"
    )


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
        novel_names = match_novel(train.names, novel)
    elif novel_fraction is not None:
        novel_names = draw_novel(train.names, {segment.label for segment in segments["val"]}, novel_fraction, seed)
    vocabulary = Vocabulary(train.names, novel_names, template, values)
    kept = [segment for segment in segments["train"] if segment.label not in novel_names]
    dropped = {split: sum((image.dropped for image in images), Counter()) for split, images in parts.items()}
    if len(kept) < len(segments["train"]):
        dropped["train"][NOVEL_IN_TRAINING] = len(segments["train"]) - len(kept)

    info = {
        "name": name,
        "exif": TURNED,
        "images": {split: len(images) for split, images in parts.items()},
        "images_without_labels": train.unlabelled + (val.unlabelled if val else 0),
        "kept": {"train": len(kept), "val": len(segments["val"])},
        "dropped": {split: dict(sorted(counts.items())) for split, counts in dropped.items()},
        "base_names_without_training_segment": _absent(vocabulary.base, kept),
        "names_without_validation_segment": _absent(vocabulary.names, segments["val"]),
        "raw_names": train.raw_names,
    }
    domain = Domain(kept, segments["val"], vocabulary, info)
    _check(domain, dropped)
    return domain


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
    vocabulary = replace(vocabulary, novel=novel)
    held_out = replace(domain, train=train, vocabulary=vocabulary, info=info)
    _check(held_out, dropped)
    return held_out


@contextmanager
def domain_folder(output: str | Path, extras: Sequence[str] = ()) -> Iterator[Path]:
    """Yields a temporary folder that becomes ``output`` on success, in place of an older domain there.

    Args:
        output: the domain's folder.
        extras: what such a domain holds beside the files of every domain.

    Raises:
        OutputError: ``output`` cannot be written, or holds something that is not a domain, which is never replaced.
    """
    output = Path(output)
    if output.is_dir():
        found = sorted(path.name for path in output.iterdir())
        foreign = [name for name in found if "domain.json" not in found or name not in (*FILES, *extras)]
        if foreign:
            raise OutputError(f"{output} holds other files ({foreign[0]}), which would be lost; choose a new folder")
    elif output.exists():
        raise OutputError(f"{output} is a file; choose a folder for the output")
    with atomic_folder(output) as folder:
        yield folder


def write_domain(folder: Path, domain: Domain) -> None:
    """Writes the files of a domain into ``folder``, image paths relative to it."""
    write_manifest(folder / "train.jsonl", domain.train)
    write_manifest(folder / "val.jsonl", domain.val)
    domain.vocabulary.save(folder / "vocabulary.json")
    write_json(folder / "domain.json", domain.info)
    if domain.negatives is not None:
        shutil.copyfile(domain.negatives, folder / NEGATIVES)


def describe(domain: Domain) -> str:
    """What was kept and dropped and why, per split, and which names lack segments, as lines for a reader."""
    vocabulary = domain.vocabulary
    lines = []
    if scenes := domain.info.get("scenes"):
        lines.append(f"scenes: {len(scenes['train'])} to learn from, {len(scenes['val'])} to judge by")
    for split, segments in (("train", domain.train), ("val", domain.val)):
        dropped = domain.info.get("dropped", {}).get(split, {})
        reasons = f" ({', '.join(f'{reason}: {count}' for reason, count in dropped.items())})" if dropped else ""
        images = len({segment.image for segment in segments})
        lines.append(
            f"{split}: {len(segments)} segments in {images} images kept, {sum(dropped.values())} dropped{reasons}"
        )
    if domain.info.get("images_without_labels"):
        lines.append(f"left out: {domain.info['images_without_labels']} images without labels")
    lines.append(f"names: {len(vocabulary.names)}, of them {len(vocabulary.novel)} novel")
    for what, names in (
        ("novel names", vocabulary.novel),
        ("base names without a training segment", _absent(vocabulary.base, domain.train)),
        ("names without a validation segment", _absent(vocabulary.names, domain.val)),
    ):
        if names:
            lines.append(f"{what} ({len(names)}): {', '.join(names)}")
    return "\n".join(lines)


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


def _require_upright(folder: Path, domain: Domain) -> None:
    """A domain of the time when pictures were not turned must not have pictures that would be turned now."""
    images = dict.fromkeys(segment.image for segment in (*domain.train, *domain.val))
    turned = [image for image in images if orientation(image)[0] != UPRIGHT]
    if turned:
        raise DataError(
            f"{folder} was prepared when pictures were not yet turned by their EXIF orientation, and {turned[0]} has "
            f"one ({len(turned)} of {len(images)} pictures); prepare the data again"
        )


def _absent(names: Sequence[str], segments: Sequence[Segment]) -> list[str]:
    present = {segment.label for segment in segments}
    return [name for name in names if name not in present]


def _check(domain: Domain, dropped: Mapping[str, Mapping[str, int]] | None = None) -> None:
    """Raises DataError where the parts of a domain do not fit together; ``dropped`` says what was left out, and why."""
    part_of = {"training": "train", "validation": "val"}
    for split, segments, allowed in (
        ("training", domain.train, domain.vocabulary.base),
        ("validation", domain.val, domain.vocabulary.names),
    ):
        if not segments:
            raise DataError(_nothing_left(split, (dropped or {}).get(part_of[split])))
        for label in Counter(segment.label for segment in segments):
            if label not in domain.vocabulary.index:
                raise DataError(
                    f"a {split} segment is labelled {label!r}, which is not in the vocabulary; add the name"
                )
            if label not in allowed:
                raise DataError(
                    f"{label!r} is a novel name, but {split} segments have it; base and novel must not overlap"
                )


def _nothing_left(split: str, dropped: Mapping[str, int] | None) -> str:
    """Why a split has no segment, and what would bring some."""
    if dropped is None:
        return f"no segment is left for {split}; its file is empty: prepare the data again"
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
