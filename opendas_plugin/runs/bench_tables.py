"""The tables of office-bench-v2 from the files of its rows."""

from __future__ import annotations

from pathlib import Path

from opendas_plugin.eval.tables import Table


def write_tables(results: Path, data: Path) -> dict[str, Table]:
    """Writes a table for each block and tower in ``results``, and returns them."""
    return {}
