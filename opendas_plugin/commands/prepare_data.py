"""``opendas-prepare``: any labelled dataset -> a domain folder with manifests of segments and a vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opendas_plugin.commands.common import command_line, parse_subcommand, run_command, say_once
from opendas_plugin.data.domain import describe
from opendas_plugin.readers import registry
from opendas_plugin.runs import looking
from opendas_plugin.runs.folds import Fold
from opendas_plugin.runs.office_bench import OfficeBench, OfficeBenchV2
from opendas_plugin.runs.office_tower import OfficeTower
from opendas_plugin.runs.openmask3d_scenes import OpenMask3D
from opendas_plugin.runs.preparation import run_of
from opendas_plugin.runs.proposals import Proposals, Proposed
from opendas_plugin.runs.run import Run
from opendas_plugin.wording import counted

PROGRAM = "opendas-prepare"
OTHERS: dict[str, type[Run[Any]]] = {
    "auto": looking.Auto,
    "office-bench-v1": OfficeBench,
    "office-bench-v2": OfficeBenchV2,
    "office-tower": OfficeTower,
    "openmask3d": OpenMask3D,
    "fold": Fold,
    "proposals": Proposals,
}
"""What is prepared beside the readers' domains: of domains and scenes that are there, and tiny CLIPs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(prepare, argv)


def prepare(argv: Sequence[str]) -> None:
    """Reads the sub-command from ``argv``, runs it, and prints what was kept and dropped."""
    kinds = {**{name: run_of(reader) for name, reader in registry.readers().items()}, **OTHERS}
    if argv and argv[0] not in kinds and argv[0] in registry.names_of_packages():
        registry.get(argv[0])  # says why it was left out
    description = "Turns a labelled dataset into manifests of segments and a vocabulary."
    run = parse_subcommand(kinds, argv, prog=PROGRAM, description=description)
    say_once()
    if said := _said(run, run(command_line(PROGRAM, argv))):
        print(said)


def _said(run: Run[Any], result: Any) -> str:
    """The result in words; empty in processes that share the work of the first."""
    if result is None:
        return ""
    if isinstance(result, Proposed):
        images = [] if result.images is None else [f"--images {result.images}"]
        return "\n".join([*_qualities(result.quality), *images])
    if isinstance(run, looking.Auto):
        return looking.describe(result)
    if isinstance(run, OpenMask3D):
        return "\n".join(
            f"{folder}: is there, left as it is" if count is None else f"{folder}: {counted(count, 'picture')}"
            for folder, count in result.items()
        )
    return result if isinstance(result, str) else describe(result)


def _qualities(quality: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for kind, facts in quality.items():
        yield (
            f"{kind}: {counted(facts['masks'], 'mask')}, mean IoU with the ground truth {facts['mean_iou']:.3f}, "
            f"{100 * facts['below_0.25']:.1f}% of them below 0.25"
        )
