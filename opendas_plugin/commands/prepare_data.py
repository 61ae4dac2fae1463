"""``prepare_data.py``: any labelled dataset -> a domain folder with manifests of segments and a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opendas_plugin.commands.common import RunRecord, parse_subcommand, run_command
from opendas_plugin.commands.prepare_files import Ade20k, Coco, Folders, Kitti360, prepare_files
from opendas_plugin.commands.prepare_fold import Fold, prepare_fold
from opendas_plugin.commands.prepare_office import Office, OfficeBench, prepare_office, prepare_office_bench
from opendas_plugin.commands.prepare_proposals import Proposals, prepare_proposals
from opendas_plugin.commands.prepare_scannetpp import OpenMask3D, ScanNetPP, export_openmask3d, prepare_scannetpp

PROGRAM = "opendas-prepare"
KINDS: dict[str, tuple[type, Callable[[Any, RunRecord], str]]] = {
    "office": (Office, prepare_office),
    "office-bench-v1": (OfficeBench, prepare_office_bench),
    "folders": (Folders, prepare_files),
    "coco": (Coco, prepare_files),
    "ade20k": (Ade20k, prepare_files),
    "kitti360": (Kitti360, prepare_files),
    "scannetpp": (ScanNetPP, prepare_scannetpp),
    "openmask3d": (OpenMask3D, export_openmask3d),
    "fold": (Fold, prepare_fold),
    "proposals": (Proposals, prepare_proposals),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(prepare, argv)


def prepare(argv: Sequence[str]) -> None:
    """Reads the sub-command from ``argv``, runs it, and prints what was kept and dropped."""
    kinds = {name: options for name, (options, _) in KINDS.items()}
    description = "Turns a labelled dataset into manifests of segments and a vocabulary."
    options = parse_subcommand(kinds, argv, prog=PROGRAM, description=description)
    record = RunRecord(PROGRAM, argv, options, seed=getattr(options, "seed", None))
    work = next(work for kind, work in KINDS.values() if type(options) is kind)
    print(work(options, record))
