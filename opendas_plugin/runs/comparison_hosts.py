"""The rows of a comparison that segmentation pipelines have scored elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opendas_plugin.errors import ConfigError
from opendas_plugin.files import read_json
from opendas_plugin.stamps import changes

JUDGED = (
    "protocol",
    "dataset",
    "ignore",
    "offset",
    "n_images",
    "n_pixels",
    "n_scenes",
    "n_instances",
    "masks",
    "backend",
)
"""Facts of a summary in which the seeds of one row agree."""


def host_summaries(rows: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The summaries of each title.

    Raises:
        ConfigError: a row that is not TITLE=FILE.
    """
    summaries: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        title, _, file = row.partition("=")
        if not (title and file):
            raise ConfigError(f"expected `hosts` as TITLE=SUMMARY.json, got {row!r}")
        found = read_json(file)
        if not isinstance(found, dict):
            raise ConfigError(f"{file} is no summary.json of an evaluation; expected a JSON object")
        for other in summaries.setdefault(title, []):
            if difference := next(changes(_judged(other, found), _judged(found, other)), None):
                raise ConfigError(f"the summaries of {title!r} are not seeds of one evaluation: in {file} {difference}")
        summaries[title].append(found)
    return summaries


def _judged(summary: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What a summary says of how and on what was judged, as far as the other says it, too."""
    return {name: summary[name] for name in JUDGED if name in summary and name in other}
