"""Photos to named masks, without labels: instances, class maps, overlays and counts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from opendas_plugin.crops import CropPolicy
from opendas_plugin.data.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES, Exif, read_image
from opendas_plugin.data.sam import SamSettings
from opendas_plugin.errors import ConfigError, DataError, MissingFileError
from opendas_plugin.files import find_files, read_json, walk_files, write_json
from opendas_plugin.model.devices import pick_device
from opendas_plugin.reports.facts import command_section, facts_section
from opendas_plugin.reports.notices import listed, notice_section
from opendas_plugin.reports.page import Page
from opendas_plugin.reports.segmentation import (
    example_sections,
    found_notices,
    found_section,
    overlay_section,
    read_parts,
)
from opendas_plugin.runs.classification_report import about_labeller
from opendas_plugin.runs.mask_sources import SAM, SUPERPIXELS, MaskSource, open_source
from opendas_plugin.runs.models import ModelRun
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import REPORT, ReportedRun, call_of, save_page
from opendas_plugin.runs.run import function_of
from opendas_plugin.runs.segmentation_files import (
    COLOURS,
    PARTS,
    NamedPhoto,
    part_path,
    photo_files,
    write_all,
    write_photo,
)
from opendas_plugin.stamps import Inputs
from opendas_plugin.train.distributed import World, join
from opendas_plugin.version import __version__
from opendas_plugin.vocabulary import Vocabulary, read_names
from opendas_plugin.wording import counted, some_of

if TYPE_CHECKING:
    from opendas_plugin.classifier import Names
    from opendas_plugin.labeller import Labeller


INPUTS = "inputs.json"
"""What the masks of a folder were made and named by."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segmented:
    """What was found in the photos.

    Attributes:
        output: the folder.
        names: the N names.
        masks, pixels, pictures: (N + 1) how many of each name; the last of no name: masks that stayed without one, and
            the pixels of no named mask.
        photos: how many there are.
        without_masks: how many of them have no mask at all.
        crops: how a mask became CLIP's input.
    """

    output: Path
    names: tuple[str, ...]
    masks: tuple[int, ...]
    pixels: tuple[int, ...]
    pictures: tuple[int, ...]
    photos: int
    without_masks: int
    crops: CropPolicy


@dataclass(frozen=True)
class Segmentation(ModelRun[Segmented | None], ReportedRun[Segmented | None]):
    """Finds masks in photos and names them by words; no labels are needed. Zero-shot without an adapter.

    Run again to go on after an interruption, or with more photos. Under torchrun several processes share the photos.
    """

    _: KW_ONLY
    images: Path
    """Folder of photos, with sub-folders; a video as the folder of its frames."""
    names: tuple[str, ...]
    """The names that compete: a,b,c, a file with one a line, or a vocabulary.json."""
    output: Path
    """Folder for report.html, instances.json (COCO), semantic/ (PNG) with colours.txt, overlays/ (JPEG), detections/
    (.npz), summary.csv, run.json, and parts/, from which a run goes on."""
    masks: str = SUPERPIXELS
    """Where masks come from: superpixels (pieces of one colour, which know nothing of objects: a first look), sam: and
    a folder or hub id of SAM or SAM 2, a JSON file (a list of file_name and segmentation, or COCO's instances), or a
    folder with a file for each photo (PNG of instance numbers, or JSON of SAM's amg.py)."""
    superpixels: int = 100
    """Superpixels a photo, about."""
    sam: SamSettings = field(default_factory=SamSettings)
    """Which of SAM's masks are kept."""
    exif: Exif | None = None
    """Frame of a folder's masks where photos have an EXIF orientation: turned, as viewers show them, or stored."""
    unknown: float | None = None
    """Leave a mask without a name where the probability of its best name is below this, 0 to 1."""
    limit: int | None = None
    """Takes the first photos alone."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        super().check()
        if self.unknown is not None and not 0 <= self.unknown <= 1:
            raise ConfigError(f"`unknown` is a probability, 0 to 1, got {self.unknown}")
        for name in ("superpixels", "limit"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be 1 or more, got {getattr(self, name)}")
        self.sam.check()
        if self.images.resolve() in (self.output.resolve(), *self.output.resolve().parents):
            raise ConfigError("`output` lies in `images`, so that overlays would be taken for photos; choose another")

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        found = {} if self.masks == SUPERPIXELS else {"superpixels": f"with other `masks` than {SUPERPIXELS}"}
        found |= {} if self.masks.startswith(SAM) else {"sam": "without `masks` of SAM"}
        found |= {} if Path(self.masks).is_dir() else {"exif": "but on a folder of `masks`"}
        return {**super().unused(), **found}

    def work(self, record: RunRecord) -> Segmented | None:
        """Names what is not named yet, and writes the files of all photos.

        Returns:
            What was found; None in all but the first of several processes.

        Raises:
            ConfigError: the output holds masks that were made or named otherwise.
            DataError: photos or their masks cannot be read; all others are done then, and a further run goes on.
        """
        with join(pick_device(self.device)) as (world, device):
            here = replace(self, device=str(device))
            here.say(self.backbone_seed)
            names, photos = read_any_names(self.names), here.photos()
            source = open_source(
                self.masks,
                photos,
                self.images,
                count=self.superpixels,
                sam=self.sam,
                exif=self.exif,
                device=str(device),
            )
            labeller = here.labeller(names)
            say_names_of_tables(labeller.classes)
            todo = world.broadcast(lambda: here.begin(labeller, source, photos))
            if world.writes:  # a folder of something else, which is refused, stays as it is
                record.begin(self.output)
            own = {stem: photos[stem] for stem in todo[world.share(len(todo))]}
            failed = list(chain.from_iterable(world.gather(here.name_photos(labeller, source, own, world))))
            if not world.writes:
                return None
            if failed:
                raise DataError(
                    f"{len(failed)} of {len(photos)} photos could not be done: {failed[0]}; the others are kept in "
                    f"{self.output}: replace or remove such photos, and run again to go on"
                )
            found = here.finish(labeller, list(photos))
            record.write(self.output, config=self.resolved(labeller))
            if self.report:
                save_page(lambda: here.page(record, labeller, source, found, list(photos)), self.output)
            return found

    def page(
        self, record: RunRecord, labeller: Labeller, source: MaskSource, found: Segmented, stems: Sequence[str]
    ) -> Page:
        """The page of what was found."""
        page, names = self.output / REPORT, found.names
        masks = list(read_parts([part_path(self.output, stem) for stem in stems], self.images, names))
        told = [
            *about_labeller(labeller),
            ("adapter", self.adapter),
            ("photos", f"{found.photos:,} in {self.images.resolve()}"),
            ("masks", f"{sum(found.masks):,} from {self.masks}"),
            ("names", f"{len(names)}: {listed(names, 40)}"),
        ]
        seen = found_section(names, found.masks, found.pixels, found.pictures, masks)
        notices = found_notices(names, found.masks, found.without_masks, found.photos)
        sections = (
            facts_section(record.facts, told),
            overlay_section(self.output, stems, page),
            seen,
            notice_section(record.warnings, notices),
            *example_sections(masks, page),
            command_section(record.facts, call_of("opendas.runs.segment", self)),
        )
        figures = (("photos", f"{found.photos:,}"), ("masks", f"{sum(found.masks):,}"), ("names", f"{len(names)}"))
        return Page(f"Named masks of {self.images.name}", sections, "", figures)

    def photos(self) -> dict[str, Path]:
        """Path in the folder without suffix -> photo, in order.

        Raises:
            MissingFileError: there is none.
            DataError: two photos differ in their suffix alone, so that their results would have one name.
        """
        found = find_files(self.images, IMAGE_SUFFIXES)
        unread = [path for path in walk_files(self.images) if path.suffix.lower() in UNREAD_SUFFIXES]
        if found and unread:
            kind = "of a kind that is not read"
            logger.warning(
                "%s left out, %s first: save as JPEG or PNG",
                counted(len(unread), f"photo is {kind} and is", f"photos are {kind} and are"),
                unread[0].relative_to(self.images).as_posix(),
            )
        if not found:
            raise MissingFileError(f"{self.images} holds no photo ({', '.join(IMAGE_SUFFIXES)}); check `images`")
        return dict(list(found.items())[: self.limit])

    def begin(self, labeller: Labeller, source: MaskSource, photos: Mapping[str, Path]) -> list[str]:
        """Looks whether the output goes on with these settings; returns the photos that are not done yet."""
        path, now = self.output / INPUTS, self.inputs(labeller, source)
        kept = find_files(self.output / PARTS, (".json",)) if (self.output / PARTS).is_dir() else {}
        done, others = [stem for stem in photos if stem in kept], [stem for stem in kept if stem not in photos]
        damaged = f"choose another `output`, or remove {self.output} to begin again"
        known = read_json(path, damaged) if path.is_file() else None
        if kept and (known is None or (difference := now.difference(known))):
            why = "it does not say by what" if known is None else difference
            raise ConfigError(
                f"{self.output} holds masks that were made or named by something else: {why}; choose another `output`, "
                "or the same settings"
            )
        if not kept:
            write_json(path, now.record())
        if others:
            logger.warning(
                "%s holds %s not among these, %s first: what was made of such photos stays, and no figure is of it",
                self.output,
                counted(len(others), "photo that is", "photos that are"),
                others[0],
            )
        for stem in done:
            part = part_path(self.output, stem)
            content = read_json(part, "remove it to name that photo again")
            if difference := photo_inputs(source, stem, photos[stem]).difference(
                content.get("inputs") if isinstance(content, dict) else None
            ):
                raise ConfigError(f"{part} is of other files: {difference}; remove it to name that photo again")
        whole = {stem for stem in done if all(path.is_file() for path in photo_files(self.output, stem))}
        if done:
            logger.info("%d of %d photos are done already", len(whole), len(photos))
        return [stem for stem in photos if stem not in whole]

    def inputs(self, labeller: Labeller, source: MaskSource) -> Inputs:
        """What decides over the masks and names of all photos."""
        clip = labeller.clip
        by, masks = self.source(clip), source.inputs()
        values = {
            "the hash of the CLIP": by.sha256[:12],
            "what the CLIP does beside its weights": by.facts,
            "the list of names": list(labeller.classes),
            "the template": list(labeller.text.template),
            "the crops": labeller.crops.to_dict(),
            "`unknown`": self.unknown,
            "the version of opendas-plugin": __version__,
        }
        return Inputs(masks.files, {**values, **masks.values})

    def name_photos(
        self, labeller: Labeller, source: MaskSource, photos: Mapping[str, Path], world: World
    ) -> list[str]:
        """Names the masks of each photo and writes its files; returns a sentence for each that cannot be read."""
        failed = []
        bar = tqdm(photos.items(), desc="name masks", unit="photo", disable=None if world.writes else True)
        for stem, photo in bar:
            try:
                found = self.name_photo(labeller, source, stem, photo)
            except (DataError, MissingFileError) as error:
                name = photo.relative_to(self.images).as_posix()
                failed.append(str(error) if name in str(error) else f"{name}: {error}")
                continue
            record = photo_inputs(source, stem, photo).record()
            write_photo(self.output, stem, found, labeller.classes, record)
        return failed

    def name_photo(self, labeller: Labeller, source: MaskSource, stem: str, photo: Path) -> NamedPhoto:
        """Reads a photo, finds its masks and names them."""
        picture = read_image(photo)
        masks = [region.mask() for region in source.masks(stem, photo, picture)]
        labels = labeller(picture, masks)
        scores = labels.probabilities[np.arange(len(masks)), labels.indices]
        named = np.flatnonzero(scores >= (self.unknown or 0)).tolist()
        return NamedPhoto(
            photo.relative_to(self.images).as_posix(),
            picture,
            [masks[place] for place in named],
            labels.indices[named],
            scores[named],
            labels.probabilities[named],
            len(masks) - len(named),
        )

    def finish(self, labeller: Labeller, stems: Sequence[str]) -> Segmented:
        """Writes the files of all photos and counts; what a killed process had begun to write is removed."""
        for path in self.output.rglob(".*.tmp"):
            path.unlink(missing_ok=True)
        counts, without = write_all(self.output, stems, labeller.classes)
        if without:
            logger.warning("%s no mask", some_of(without, len(stems), "photo", "has", "have"))
        masks, pixels, pictures = zip(*counts, strict=True)
        return Segmented(self.output, labeller.classes, masks, pixels, pictures, len(stems), without, labeller.crops)


def photo_inputs(source: MaskSource, stem: str, photo: Path) -> Inputs:
    """The files that a photo's results are made from."""
    masks = source.file(stem)
    return Inputs({"the photo": photo, **({} if masks is None else {"the file of its masks": masks})})


def say_names_of_tables(names: Sequence[str]) -> None:
    """Says which names the file of colours holds in a way that CVAT, which wants no colon there, does not read."""
    if odd := [name for name in names if ":" in name]:
        logger.warning(
            "%s a colon, %r first: opendas-prepare reads %s, CVAT, which parts its lines there, does not",
            counted(len(odd), "name has", "names have"),
            odd[0],
            COLOURS,
        )


def read_any_names(given: Sequence[str]) -> Names:
    """Names from a list, from one text with commas, from a file with one a line, or from a vocabulary.json.

    Raises:
        MissingFileError, DataError: there is no such file, or a name is empty, or two are one.
    """
    if len(given) == 1 and Path(given[0]).suffix == ".json":
        return Vocabulary.load(given[0])
    return read_names(given[0] if len(given) == 1 else given)


segment = function_of(Segmentation, "segment")
