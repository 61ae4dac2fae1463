"""``prepare_data.py fold``: a domain with some of its base names held out, to choose settings by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from opendas_plugin.commands.common import Options, RunRecord, UsageError
from opendas_plugin.data.domain import describe, domain_folder, hold_out, load_domain, write_domain


@dataclass(frozen=True, kw_only=True)
class Fold(Options):
    """A domain with some of its base names held out: they are not learnt from and count as novel. So settings can be
    chosen by what they do to names that were not trained, without a look at the domain's own novel names in results.
    """

    data: Path
    """Folder that prepare_data.py wrote. Validation segments are taken as they are: give a part to choose on."""
    output: Path
    """Folder for the fold, to train on and to judge by as any other."""
    folds: int = 3
    """Every so many base names is held out."""
    fold: int = 0
    """Which one of them, from 0."""


def prepare_fold(options: Fold, record: RunRecord) -> str:
    """Writes the fold; pictures stay where they are."""
    domain = load_domain(options.data)
    base = domain.vocabulary.base
    if not 2 <= options.folds <= len(base):
        raise UsageError(f"--folds must be from 2 to the {len(base)} base names, got {options.folds}")
    if not 0 <= options.fold < options.folds:
        raise UsageError(f"--fold must be from 0 to {options.folds - 1}, got {options.fold}")
    title = f"{domain.info.get('name', options.data.resolve().name)}, fold {options.fold} of {options.folds}"
    domain = replace(domain, info={**domain.info, "name": title})
    domain = hold_out(domain, base[options.fold :: options.folds])
    with domain_folder(options.output) as folder:
        write_domain(folder, domain)
        record.write(folder)
    return describe(domain)
