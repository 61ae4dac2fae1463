"""A domain with some of its base names held out, to choose settings by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from opendas_plugin.data.building import hold_out
from opendas_plugin.data.domain import Domain, domain_folder, load_domain, write_domain
from opendas_plugin.errors import ConfigError
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.run import Run, function_of
from opendas_plugin.vocabulary import Vocabulary
from opendas_plugin.wording import counted


@dataclass(frozen=True, kw_only=True)
class Fold(Run[Domain]):
    """A domain with some of its base names held out: they are not learnt from and count as novel. So settings can be
    chosen by what they do to names that were not trained, without a look at the domain's own novel names in results.
    """

    data: Path
    """Folder that opendas-prepare wrote. Validation segments are taken as they are: give a part to choose on."""
    output: Path
    """Folder for the fold, to train on and to judge by as any other."""
    images_root: Path | None = None
    """Where the folder that all pictures lie under is now, if they have moved since they were prepared."""
    folds: int = 3
    """Every so many base names is held out."""
    fold: int = 0
    """Which one of them, from 0."""
    overwrite: bool = False
    """Replace a domain that lies in the output folder."""

    def check(self) -> None:
        """Looks whether the domain has names for so many folds.

        Raises:
            ConfigError: it has not.
        """
        vocabulary = self.data / "vocabulary.json"
        if not vocabulary.is_file():  # the work says what is missing
            return
        base = Vocabulary.load(vocabulary).base
        if not 2 <= self.folds <= len(base):
            raise ConfigError(f"`folds` must be from 2 to the {len(base)} base names, got {self.folds}")
        if not 0 <= self.fold < self.folds:
            raise ConfigError(f"`fold` must be from 0 to {self.folds - 1}, got {self.fold}")

    def work(self, record: RunRecord) -> Domain:
        """Writes the fold; pictures stay where they are, and related names of the domain's own go with it."""
        domain = load_domain(self.data, self.images_root)
        held_out = domain.vocabulary.base[self.fold :: self.folds]
        if not held_out:
            raise ConfigError(
                f"there is no fold {self.fold} of {self.folds}: only "
                f"{counted(len(domain.vocabulary.base), 'name has', 'names have')} training "
                "segments"
            )
        title = f"{domain.info.get('name', self.data.resolve().name)}, fold {self.fold} of {self.folds}"
        domain = replace(domain, info={**domain.info, "name": title})
        domain = hold_out(domain, held_out)
        with domain_folder(self.output, overwrite=self.overwrite) as folder:
            write_domain(folder, domain)
            record.write(folder)
        return load_domain(self.output, self.images_root)


prepare_fold = function_of(Fold, "prepare_fold")
