"""The datasets of a reproduction: where each lies under the data root, and how it gets there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torchvision import datasets

from opendas_plugin.errors import DataError, MissingFileError
from opendas_plugin.readers import dtd, eurosat


class AbsentError(MissingFileError):
    """A dataset or a part of a host is not there yet; the message says how to get it, and ``all`` goes on without."""


@dataclass(frozen=True)
class Source:
    """A dataset.

    Args:
        reader: its reader's name.
        title: in tables.
        folder: its name under the data root.
        ways: what lies in it where it is whole, relative to it, for each way to lay it out.
        manual: what a person does to get it, for a sentence.
        owner: downloads it into the data root; None: nobody may, or there is a login.
    """

    reader: str
    title: str
    folder: str
    ways: tuple[tuple[str, ...], ...]
    manual: str
    owner: Callable[[Path], object] | None = None

    def find(self, root: Path) -> Path | None:
        """Its folder, to hand to the reader; None: it is not there.

        Raises:
            DataError: a folder of its name is there, but not as its owner lays it out; or the root is the dataset.
        """
        folder = root / self.folder
        if (lacking := self._lacking(folder)) is None:
            return folder
        if not folder.is_dir() and self._lacking(root) is None:
            raise DataError(
                f"{root} is {self.title} itself; give as `data` the folder around it, with {self.folder} in it"
            )
        if folder.is_dir() and self.owner is None:
            raise DataError(
                f"{folder} is not {self.title} as its owner lays it out: it has no {lacking}; {self.manual}, or move "
                "it away to leave it out"
            )
        return None

    def _lacking(self, folder: Path) -> str | None:
        """What a folder lacks to be the whole dataset; of several ways to lay it out, the last one's."""
        ways = [[mark for mark in way if not (folder / mark).exists()] for way in self.ways]
        return None if [] in ways else ways[-1][0]

    def fetch(self, root: Path) -> Path:
        """Has its owner's tool download it, where it is not there, and returns its folder.

        Raises:
            AbsentError: it is not there, and cannot be downloaded.
        """
        found = self.find(root)
        if found is not None:
            return found
        if self.owner is None:
            raise AbsentError(f"{self.title} is not in {root / self.folder}: {self.manual}")
        try:
            self.owner(root)
        except Exception as error:  # torchvision's and urllib's kinds: no network, a wrong checksum, a full disk
            reason = (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
            raise AbsentError(
                f"{self.title} could not be downloaded by torchvision ({reason:.200}); {self.manual}, or run this again"
            ) from error
        found = self.find(root)
        if found is None:
            raise AbsentError(f"torchvision left no {root / self.folder}; {self.manual}")
        return found


SOURCES = {
    source.reader: source
    for source in (
        Source(
            "ade20k",
            "ADE20K-150",
            "ADEChallengeData2016",
            (("images/training", "images/validation", "annotations/training", "annotations/validation"),),
            "unpack ADEChallengeData2016.zip of http://sceneparsing.csail.mit.edu there",
        ),
        Source(
            "kitti360",
            "KITTI-360",
            "KITTI-360",
            (("data_2d_raw", "data_2d_semantics/train/2013_05_28_drive_train_frames.txt"),),
            "register at https://www.cvlibs.net/datasets/kitti-360 and unpack 'Perspective Images for Train & Val' and "
            "'Semantics of Perspective Images' there",
        ),
        Source(
            "scannetpp",
            "ScanNet++ Offices",
            "scannetpp",
            (("data", "splits/nvs_sem_train.txt", "splits/nvs_sem_val.txt"),),
            "apply at https://kaldir.vc.in.tum.de/scannetpp and lay it out there as docs/scannetpp.md says",
        ),
        Source(
            "dtd",
            "DTD",
            "dtd",
            (("images/banded",), ("dtd/images/banded",)),
            f"unpack dtd-r1.0.1.tar.gz of https://www.robots.ox.ac.uk/~vgg/data/dtd there, and put CoOp's "
            f"{dtd.SPLIT_FILE} (its DATASETS.md at https://github.com/KaiyangZhou/CoOp has the link) beside its images",
            lambda root: datasets.DTD(str(root), download=True),
        ),
        Source(
            "eurosat",
            "EuroSAT",
            "eurosat",
            (("2750/AnnualCrop",),),
            f"unpack EuroSAT.zip of https://github.com/phelber/EuroSAT there, and put CoOp's {eurosat.SPLIT_FILE} (its "
            "DATASETS.md at https://github.com/KaiyangZhou/CoOp has the link) beside its folder 2750",
            lambda root: datasets.EuroSAT(str(root), download=True),
        ),
    )
}
"""By reader."""


def has_coops_split(source: Source, folder: Path) -> bool:
    """Whether CoOp's split file lies in a dataset of the base-to-new test."""
    module = {"dtd": dtd, "eurosat": eurosat}[source.reader]
    try:
        return module.split_file(folder) is not None
    except MissingFileError:
        return False
