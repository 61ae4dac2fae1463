"""DTD, the Describable Textures Dataset (Cimpoi et al., CVPR 2014): whole pictures, in CoOp's split or its own.

Layout: ``images/<texture>/<texture>_0001.jpg``, ``labels/{train,val,test}1.txt``, and, where the user has put it there,
CoOp's ``split_zhou_DescribableTextures.json``. torchvision unpacks the first two into ``dtd/dtd``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.errors import MissingFileError
from opendas_plugin.files import read_list
from opendas_plugin.readers.coop_splits import COOP, Named, read_split, whole_pictures
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting

SPLIT_FILE = "split_zhou_DescribableTextures.json"
LISTS = "its own lists"


@dataclass(frozen=True, kw_only=True)
class DTD:
    """DTD's textures, whole pictures: the first half of the names is base, as in CoOp's base-to-new protocol."""

    root: Path
    """Folder that holds images and labels, or torchvision's folder around it."""
    split: Path | None = None
    """CoOp's split_zhou_DescribableTextures.json; default: in the folder, else DTD's own lists train1 and test1, whose
    figures do not compare with published ones."""


def inner(root: Path) -> Path:
    """The folder that holds the pictures: ``root``, or one that torchvision has made in it.

    Raises:
        MissingFileError: neither holds them.
    """
    for folder in (root, root / "dtd", root / "dtd" / "dtd"):
        if (folder / "images").is_dir():
            return folder
    raise MissingFileError(f"{root} has no folder images; give the folder that dtd-r1.0.1.tar.gz unpacks to")


def split_file(root: Path) -> Path | None:
    """CoOp's file in the folder or in the one around the pictures; None: it is in neither."""
    return next((path for path in (root / SPLIT_FILE, inner(root) / SPLIT_FILE) if path.is_file()), None)


def read(options: DTD, context: Context) -> Dataset:
    """The pictures to learn from and to judge by.

    Raises:
        MissingFileError, DataError: a file is missing, or is something else.
    """
    folder = inner(options.root)
    path = options.split or split_file(options.root)
    if path is not None:
        return whole_pictures(read_split(path, folder / "images"), context, "DTD", COOP)
    advice = f"unpack dtd-r1.0.1.tar.gz again, or give CoOp's {SPLIT_FILE} as `split`"
    lists = {part: read_list(folder / "labels" / f"{part}1.txt", advice) for part in ("train", "test")}
    textures = sorted({line.partition("/")[0] for lines in lists.values() for line in lines})
    found = {part: [_named(folder / "images" / line, textures) for line in lines] for part, lines in lists.items()}
    return whole_pictures(found, context, "DTD", LISTS)


def _named(image: Path, textures: list[str]) -> Named:
    texture = image.parent.name
    if texture not in textures:
        raise MissingFileError(f"{image} lies in no folder of a texture; unpack dtd-r1.0.1.tar.gz again")
    return Named(image, textures.index(texture), texture.replace("_", " "))


def look(folder: Path) -> Sighting | None:
    """Pictures of textures beside DTD's own lists, or CoOp's split file."""
    for root in (folder, folder / "dtd"):
        if (root / "images").is_dir() and (root / "labels" / "labels_joint_anno.txt").is_file():
            return Sighting("images lies beside labels/labels_joint_anno.txt, as DTD has it", {"root": folder}, 9)
        if (root / "images").is_dir() and (root / SPLIT_FILE).is_file():
            return Sighting(f"images lies beside CoOp's {SPLIT_FILE}", {"root": folder}, 9)
    return None


READER = Reader(
    "dtd",
    DTD,
    read,
    own_validation=lambda options: True,
    look=look,
    looks_for="DTD's labels_joint_anno.txt",
)
