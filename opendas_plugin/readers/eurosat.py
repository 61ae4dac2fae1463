"""EuroSAT (Helber et al., 2019): 27,000 satellite pictures of ten kinds of land, whole pictures, in CoOp's split.

Layout: ``2750/<kind>/<kind>_1.jpg``, and, where the user has put it there, CoOp's ``split_zhou_EuroSAT.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.errors import MissingFileError
from opendas_plugin.readers.coop_splits import COOP, DRAWN, draw_split, read_split, whole_pictures
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting

SPLIT_FILE = "split_zhou_EuroSAT.json"
FOLDER = "2750"
NAMES = {
    "AnnualCrop": "Annual Crop Land",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "SeaLake": "Sea or Lake",
}
"""What CoOp calls the folders; the others are called as they are."""


@dataclass(frozen=True, kw_only=True)
class EuroSAT:
    """EuroSAT's kinds of land, whole pictures: the first half of the names is base, as in CoOp's base-to-new
    protocol.
    """

    root: Path
    """Folder that holds the folder 2750."""
    split: Path | None = None
    """CoOp's split_zhou_EuroSAT.json; default: in the folder, else half of each kind's pictures train and 30% validate,
    drawn, whose figures do not compare with published ones."""


def inner(root: Path) -> Path:
    """The folder around 2750.

    Raises:
        MissingFileError: it holds none.
    """
    for folder in (root, root / "eurosat"):
        if (folder / FOLDER).is_dir():
            return folder
    raise MissingFileError(f"{root} has no folder {FOLDER}; give the folder that EuroSAT.zip unpacks to")


def split_file(root: Path) -> Path | None:
    """CoOp's file in the folder or in the one around the pictures; None: it is in neither."""
    return next((path for path in (root / SPLIT_FILE, inner(root) / SPLIT_FILE) if path.is_file()), None)


def read(options: EuroSAT, context: Context) -> Dataset:
    """The pictures to learn from and to judge by.

    Raises:
        MissingFileError, DataError: a file is missing, or is something else.
    """
    images = inner(options.root) / FOLDER
    path = options.split or split_file(options.root)
    if path is not None:
        return whole_pictures(read_split(path, images), context, "EuroSAT", COOP)
    return whole_pictures(draw_split(images, NAMES), context, "EuroSAT", DRAWN)


def look(folder: Path) -> Sighting | None:
    """The folder 2750 with EuroSAT's kinds."""
    for root in (folder, folder / "eurosat"):
        if (root / FOLDER / "AnnualCrop").is_dir():
            return Sighting(f"{FOLDER} holds EuroSAT's kinds, such as AnnualCrop", {"root": folder}, 9)
    return None


READER = Reader(
    "eurosat",
    EuroSAT,
    read,
    own_validation=lambda options: True,
    look=look,
    looks_for="EuroSAT's folder 2750",
)
