"""What the commands do, for Python: functions whose arguments are the commands' flags.

The names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opendas_plugin.runs.adaptation import adapt, calibrate
    from opendas_plugin.runs.backbones import list_backbones
    from opendas_plugin.runs.classification import evaluate_classification
    from opendas_plugin.runs.comparison import compare
    from opendas_plugin.runs.demonstration import demo
    from opendas_plugin.runs.exports import export
    from opendas_plugin.runs.folds import prepare_fold
    from opendas_plugin.runs.instance3d import evaluate_instance3d
    from opendas_plugin.runs.interpolation import evaluate_interpolation
    from opendas_plugin.runs.looking import look
    from opendas_plugin.runs.negatives import generate_negatives
    from opendas_plugin.runs.office_bench import prepare_office_bench, prepare_office_bench_v2
    from opendas_plugin.runs.office_tower import make_office_tower
    from opendas_plugin.runs.openmask3d_scenes import prepare_openmask3d
    from opendas_plugin.runs.preparation import prepare
    from opendas_plugin.runs.probing import probe
    from opendas_plugin.runs.proposals import prepare_proposals
    from opendas_plugin.runs.queries import query
    from opendas_plugin.runs.reproduce.run import reproduce_paper
    from opendas_plugin.runs.segmentation import segment
    from opendas_plugin.runs.semantic import evaluate_semantic

__all__ = [
    "adapt",
    "calibrate",
    "compare",
    "demo",
    "evaluate_classification",
    "evaluate_instance3d",
    "evaluate_interpolation",
    "evaluate_semantic",
    "export",
    "generate_negatives",
    "list_backbones",
    "look",
    "make_office_tower",
    "prepare",
    "prepare_fold",
    "prepare_office_bench",
    "prepare_office_bench_v2",
    "prepare_openmask3d",
    "prepare_proposals",
    "probe",
    "query",
    "reproduce_paper",
    "segment",
]

_HOMES = {
    "adapt": "adaptation",
    "calibrate": "adaptation",
    "compare": "comparison",
    "demo": "demonstration",
    "evaluate_classification": "classification",
    "evaluate_instance3d": "instance3d",
    "evaluate_interpolation": "interpolation",
    "evaluate_semantic": "semantic",
    "export": "exports",
    "generate_negatives": "negatives",
    "list_backbones": "backbones",
    "look": "looking",
    "make_office_tower": "office_tower",
    "prepare": "preparation",
    "prepare_fold": "folds",
    "prepare_office_bench": "office_bench",
    "prepare_office_bench_v2": "office_bench",
    "prepare_openmask3d": "openmask3d_scenes",
    "prepare_proposals": "proposals",
    "probe": "probing",
    "query": "queries",
    "reproduce_paper": "reproduce.run",
    "segment": "segmentation",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
