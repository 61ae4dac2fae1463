"""The tiny CLIPs that do not ship: made in the user's cache folder, and compared with what their names mean."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opendas_plugin.errors import BackboneError, ConfigError, DataError, MissingFileError, OpenDASError
from opendas_plugin.files import atomic_folder, cache_home
from opendas_plugin.model.tiny_clips import (
    FOLDER,
    OFFICE_TINY,
    OFFICE_TINY_V1,
    TINY_CLIPS,
    WEIGHTS_FILE,
    TinyClip,
    home_of,
)
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of

if TYPE_CHECKING:
    from torch import Tensor

TOKENS = ("token_rows", "token_values")
"""The tensors of the tokens that a tower has met, a row for each."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OfficeTower(Run[str]):
    """Makes a tiny CLIP that does not ship, where it is not there yet, so that its name can be given as a backbone.

    It takes about a quarter of an hour, and 1.4 GB for pictures, which are drawn once. The tower lies in the cache
    folder: $OPENDAS_HOME, or opendas-plugin in $XDG_CACHE_HOME or ~/.cache.
    """

    name: str
    """office-tiny-b, office-tiny-c or office-siglip (for which transformers has to be installed); of office-tiny and
    office-tiny-v1, which ship, it says how they were made."""
    _: KW_ONLY
    cache: Path | None = None
    """Folder of the drawn pictures; default: pictures/ in the cache folder."""
    workers: int = min(8, os.cpu_count() or 1)
    """Processes that draw."""
    weights: Path | None = None
    """Weights that were made elsewhere, to be put together with those that ship in place of making any:
    benchmarks/towers in the repository has those of towers that other processors make otherwise."""

    def check(self) -> None:
        """Looks whether the name is known, and whether there is a worker.

        Raises:
            ConfigError: it is not.
        """
        if self.name not in TINY_CLIPS:
            raise ConfigError(f"`name` must be one of {', '.join(TINY_CLIPS)}, got {self.name!r}")
        if self.workers < 1:
            raise ConfigError(f"`workers` must be 1 or more, got {self.workers}")

    def unused(self) -> Mapping[str, str]:
        """``cache`` and ``workers`` for a tower that is not drawn for, ``weights`` for one that takes none."""
        known = TINY_CLIPS.get(self.name)
        if known is not None and known.files:
            return dict.fromkeys(("cache", "workers", "weights"), f"for {self.name}, which ships")
        if known is not None and known.is_folder:
            return {"weights": f"for {self.name}, which is made whole"}
        return {} if self.weights is None else dict.fromkeys(("cache", "workers"), "with `weights`")

    def work(self, record: RunRecord) -> str:
        """Makes the tower where it is not there; says in a sentence where it is and what its hash is.

        Raises:
            DataError: it came out with other weights; it is kept, by its path.
            BackboneError: ``weights`` are not of this tower.
        """
        from opendas_plugin.model.checkpoint import backbone_sha256, build_backbone

        known, home = TINY_CLIPS[self.name], home_of(self.name)
        what = f"SHA-256 {known.sha256}, made by: {known.made_by}"
        if known.files:
            return f"{self.name} ships with the package ({what})"
        if self._is_there():
            unread = "" if self.weights is None else f"; {self.weights} was not needed"
            return f"{self.name} is there, in {home} ({what}){unread}"
        made = home.with_name(f"{self.name}.new")
        try:
            with _one_thread():  # with more, sums are of another order and the hash is another
                for line in self._lines(known, made):
                    logger.info("%s", line)
            file = "" if known.is_folder else "clip.pt"  # what any command takes as a backbone
            found = backbone_sha256(build_backbone(str(made / file))[0])
        except OpenDASError:
            if self.weights is not None:
                shutil.rmtree(made, ignore_errors=True)
            raise
        if self.weights is not None and found != known.sha256:
            shutil.rmtree(made)
            raise BackboneError(
                f"{self.weights} is not of {self.name}: with it the weights are {found[:12]}, expected "
                f"{known.sha256[:12]}; give the file of this tower, or none to make it"
            )
        place = home if found == known.sha256 else home.with_name(f"{self.name}-{found[:12]}")
        with atomic_folder(place) as folder:
            shutil.copytree(made, folder, dirs_exist_ok=True)
            record.write(folder)
        shutil.rmtree(made)
        if found != known.sha256:
            raise DataError(
                f"what was made here is not {self.name}: its weights are {found[:12]}, expected {known.sha256[:12]}, "
                "as another processor or version of torch may round otherwise; it is kept under its own path, "
                f"{place / file}, which can be given as `backbone`, with `recipe` office"
            )
        return f"{self.name} is made, in {home} ({what})"

    def _lines(self, known: TinyClip, made: Path) -> Iterator[str]:
        if self.weights is not None:
            return put_together(self.weights, made)
        from opendas_plugin.office import relearn, relearn_text, siglip_train

        pictures = self.cache or cache_home() / "pictures"
        if known.is_folder:
            return siglip_train.make(
                OFFICE_TINY_V1, pictures, made, siglip_train.SiglipTraining(**known.settings or {}), self.workers
            )
        return relearn.make(
            OFFICE_TINY_V1, pictures, made, relearn_text.Relearning(**known.settings or {}), self.workers
        )

    def _is_there(self) -> bool:
        from opendas_plugin.model.checkpoint import build_backbone

        try:
            build_backbone(self.name)
        except MissingFileError:
            return False
        except BackboneError as error:
            logger.warning("%s", error)
            return False
        return True


def put_together(weights: Path, folder: Path) -> Iterator[str]:
    """Writes the tower that has these weights and, of all others, those that ship; yields what is to be said.

    Raises:
        BackboneError: the file has tensors that no tiny CLIP has.
        MissingFileError: it is not there.
    """
    import torch
    from safetensors.torch import save_file

    from opendas_plugin.model.checkpoint import build_backbone, whole_state
    from opendas_plugin.model.construct import first_line
    from opendas_plugin.model.openai_format import save_openai_clip
    from opendas_plugin.model.weight_file import read_weights

    shipped = read_weights(FOLDER / WEIGHTS_FILE).tensors
    given = read_weights(weights).tensors
    strange = sorted(key for key, value in given.items() if key not in shipped or not _alike(key, value, shipped[key]))
    if strange:
        raise BackboneError(f"{weights} is of no tiny CLIP: {strange[0]} is not as in those that ship")
    if wrong := sorted(key for key, value in given.items() if not torch.isfinite(value).all()):
        raise BackboneError(f"{weights}: {wrong[0]} holds values that are no numbers; the file is damaged")
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in {**shipped, **given}.items()}, folder / WEIGHTS_FILE)
    shutil.copy(FOLDER / "config.json", folder)
    try:
        state = whole_state(build_backbone(OFFICE_TINY)[0], [folder / WEIGHTS_FILE])
    except (RuntimeError, IndexError) as error:
        raise BackboneError(f"{weights}: its table of tokens does not fit together ({first_line(error)})") from error
    save_openai_clip(OFFICE_TINY, folder / "clip.pt", weights=state)
    yield f"put together of {weights} and what ships"


def _alike(key: str, given: Tensor, shipped: Tensor) -> bool:
    """Whether a tensor is of one that ships; a tower that has met other words has another number of their rows."""
    first = 1 if key in TOKENS else 0
    return given.ndim == shipped.ndim and given.shape[first:] == shipped.shape[first:] and given.dtype == shipped.dtype


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


make_office_tower = function_of(OfficeTower, "make_office_tower")
