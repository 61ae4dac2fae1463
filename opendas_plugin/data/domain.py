"""Domains: folders with ``train.jsonl``, ``val.jsonl``, ``vocabulary.json``, and ``domain.json`` about them.

``preview.jpg`` shows a few of its pictures. A domain may also have related names of its own, ``negatives.json``.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opendas_plugin.data.images import IMAGE_SUFFIXES, UPRIGHT, orientation
from opendas_plugin.data.manifest import read_manifest, relative, write_manifest
from opendas_plugin.data.picture_places import PicturePlaces, common_root
from opendas_plugin.data.segments import Segment
from opendas_plugin.errors import DataError, MissingFileError, OutputError
from opendas_plugin.files import atomic_folder, read_json, write_json
from opendas_plugin.stamps import is_same, stamps, undated
from opendas_plugin.vocabulary import Vocabulary
from opendas_plugin.wording import counted

log = logging.getLogger(__name__)

NEGATIVES = "negatives.json"
ROOT = "images_root"
"""In ``domain.json``: the folder that all pictures lie under, relative to the domain's."""
UNSEEN = "novel_for_want_of_training_segments"
"""In ``domain.json``: the names that are novel because no training segment has them."""
TURNED = "turned"
"""In ``domain.json``: the masks are of pictures that are turned as their EXIF orientation says."""
PICTURES = "pictures.json"
"""Stamps of the pictures by their paths in the manifests."""
PREVIEW = "preview.jpg"
"""A few pictures with their masks and names, for people to look at."""
FILES = ("train.jsonl", "val.jsonl", "vocabulary.json", "domain.json", NEGATIVES, PICTURES, PREVIEW, "run.json")


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


def load_domain(folder: str | Path, images_root: str | Path | None = None, *, same_pictures: bool = True) -> Domain:
    """Reads a domain folder and checks that its parts belong together.

    Args:
        folder: as :func:`write_domain` left it. It may have moved: pictures are looked for beside it, as they lay when
            it was prepared, then where they lay then.
        images_root: where the folder that all pictures lie under is now, if it is in neither place.
        same_pictures: look whether they are the ones that it was prepared from.

    Raises:
        MissingFileError: a file of the domain, or an image, is missing.
        DataError: a file is damaged, a split is empty, a label is not in the vocabulary, or a novel one is in training.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f"the data folder {folder} does not exist; make it with opendas-prepare")
    if not (folder / "vocabulary.json").exists():
        raise MissingFileError(f"{folder} is no folder that opendas-prepare wrote: {_instead(folder)}")
    if lacking := [name for name in FILES[:4] if not (folder / name).exists()]:
        raise MissingFileError(f"{folder} is not whole: it lacks {' and '.join(lacking)}; prepare the data again")
    vocabulary = Vocabulary.load(folder / "vocabulary.json")
    info = read_json(folder / "domain.json")
    if not isinstance(info, dict):
        raise DataError(f"{folder / 'domain.json'}: expected a JSON object, got {info!r:.60}; prepare the data again")
    places = PicturePlaces.of(folder, info.pop(ROOT, None), images_root)
    train, val = (read_manifest(folder / name, places) for name in ("train.jsonl", "val.jsonl"))
    if same_pictures:
        _require_same_pictures(folder, {**train.pictures, **val.pictures})
    negatives = folder / NEGATIVES
    domain = Domain(train, val, mark_unseen(vocabulary, train), info, negatives if negatives.is_file() else None)
    try:
        check_domain(domain)
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error
    if unseen := absent(vocabulary.base, train):
        log.warning(
            "%s: %s as novel: %s",
            folder,
            counted(len(unseen), "name has no training segment and counts", "names have no training segment and count"),
            ", ".join(unseen),
        )
    if info.get("exif") != TURNED:
        _require_upright(folder, domain)
    shared = {segment.image for segment in train} & {segment.image for segment in val}
    if shared:
        log.warning("%s: %s in both training and validation", folder, counted(len(shared), "image is", "images are"))
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
        f"it holds {counted(pictures, 'picture') if pictures else 'no vocabulary.json'}; make data of pictures "
        "and labels by "
        f"opendas-prepare folders --images {folder} --labels LABELS --classes NAMES --output DATA, and give DATA"
    )


def mark_unseen(vocabulary: Vocabulary, segments: Iterable[Segment]) -> Vocabulary:
    """The vocabulary with those names novel, too, that no training segment has; without segments as it is."""
    unseen = {*absent(vocabulary.base, segments)}
    if not unseen or unseen == {*vocabulary.base}:
        return vocabulary
    return replace(vocabulary, novel=tuple(n for n in vocabulary.names if n in unseen or n in vocabulary.novel))


@contextmanager
def domain_folder(output: str | Path, extras: Sequence[str] = (), *, overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary folder that becomes ``output`` on success.

    Args:
        output: the domain's folder.
        extras: what such a domain holds beside the files of every domain.
        overwrite: replace a domain that is there.

    Raises:
        OutputError: ``output`` cannot be written, or holds a domain that is not to be replaced, or something else,
            which is never replaced.
    """
    require_replaceable(output, extras, overwrite=overwrite)
    with atomic_folder(Path(output)) as folder:
        yield folder


def require_replaceable(output: str | Path, extras: Sequence[str] = (), *, overwrite: bool = False) -> None:
    """Looks whether a domain may be written into ``output``; see :func:`domain_folder`.

    Raises:
        OutputError: it may not.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file; choose a folder for the output")
    found = sorted(path.name for path in output.iterdir()) if output.is_dir() else []
    foreign = [name for name in found if "domain.json" not in found or name not in (*FILES, *extras)]
    if foreign:
        raise OutputError(f"{output} holds other files ({foreign[0]}), which would be lost; choose a new folder")
    if found and not overwrite:
        raise OutputError(
            f"{output} holds a prepared domain. In another split of the same data, pictures that an adapter has learnt "
            "from may be ones to judge it by: choose a new folder, or say `overwrite` to replace this one"
        )


def write_domain(folder: Path, domain: Domain) -> None:
    """Writes the files of a domain into ``folder``, image paths relative to it."""
    write_manifest(folder / "train.jsonl", domain.train)
    write_manifest(folder / "val.jsonl", domain.val)
    domain.vocabulary.save(folder / "vocabulary.json")
    images = {segment.image for segment in (*domain.train, *domain.val)}
    write_json(folder / "domain.json", {**domain.info, ROOT: common_root(folder, images)})
    here = folder.resolve()
    found = stamps({relative(image, here): image for image in sorted(images)})
    own = {name for name in found if not name.startswith("..") and not Path(name).is_absolute()}
    write_json(folder / PICTURES, {name: undated(text) if name in own else text for name, text in found.items()})
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
            f"{split}: {counted(len(segments), 'segment')} in {counted(images, 'image')} kept, "
            f"{sum(dropped.values()):,} dropped{reasons}"
        )
    if domain.info.get("images_without_labels"):
        lines.append(f"left out: {counted(domain.info['images_without_labels'], 'image')} without labels")
    lines.append(f"names: {len(vocabulary.names)}, of them {len(vocabulary.novel)} novel")
    unseen = domain.info.get(UNSEEN, [])
    every = set(unseen) == set(vocabulary.novel)
    for what, names in (
        (
            "novel names, all because no training segment has them" if unseen and every else "novel names",
            vocabulary.novel,
        ),
        ("of them novel because no training segment has them", [] if every else unseen),
        ("names without a validation segment", absent(vocabulary.names, domain.val)),
    ):
        if names:
            lines.append(f"{what} ({len(names)}): {', '.join(names)}")
    return "\n".join(lines)


def _require_same_pictures(folder: Path, pictures: Mapping[str, Path]) -> None:
    """Looks whether the pictures are those that a domain was prepared from, where it says which; names of manifests."""
    if not (folder / PICTURES).is_file():
        return
    known = read_json(folder / PICTURES)
    known = known if isinstance(known, dict) else {}
    with ThreadPoolExecutor(8) as pool:
        same = list(pool.map(lambda name: is_same(pictures[name], str(known.get(name, ""))), pictures))
    others = [path for path, is_it in zip(pictures.values(), same, strict=True) if not is_it]
    if others:
        raise DataError(
            f"{others[0]} is not the picture that {folder} was prepared from ({len(others)} of {len(pictures)} such "
            "pictures); put the right ones back, say where they are by `images_root`, or prepare the data again"
        )


def _require_upright(folder: Path, domain: Domain) -> None:
    """A domain of the time when pictures were not turned must not have pictures that would be turned now."""
    images = dict.fromkeys(segment.image for segment in (*domain.train, *domain.val))
    turned = [image for image in images if orientation(image)[0] != UPRIGHT]
    if turned:
        raise DataError(
            f"{folder} was prepared when pictures were not yet turned by their EXIF orientation, and {turned[0]} has "
            f"one ({len(turned)} of {len(images)} pictures); prepare the data again"
        )


def absent(names: Sequence[str], segments: Iterable[Segment]) -> list[str]:
    """Those of ``names`` that no segment has."""
    present = {segment.label for segment in segments}
    return [name for name in names if name not in present]


def check_domain(domain: Domain) -> None:
    """Looks whether the parts of a domain fit together.

    Raises:
        DataError: they do not.
    """
    for split, segments, allowed in (
        ("training", domain.train, domain.vocabulary.base),
        ("validation", domain.val, domain.vocabulary.names),
    ):
        if not segments:
            raise DataError(f"no segment is left for {split}; its file is empty: prepare the data again")
        for label in Counter(segment.label for segment in segments):
            if label not in domain.vocabulary.index:
                raise DataError(
                    f"a {split} segment is labelled {label!r}, which is not in the vocabulary; add the name"
                )
            if label not in allowed:
                raise DataError(
                    f"{label!r} is a novel name, but {split} segments have it; base and novel must not overlap"
                )
