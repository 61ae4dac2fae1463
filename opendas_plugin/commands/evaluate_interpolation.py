"""``evaluate.py interpolation``: an adapter at shares between plain CLIP and itself, from one evaluation."""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opendas_plugin.commands.backbones import ModelOptions, crop_policy, load_clip, resolved
from opendas_plugin.commands.common import UsageError, open_output, pick_device
from opendas_plugin.data.domain import load_domain
from opendas_plugin.eval.interpolation import sweep_features, sweep_weights
from opendas_plugin.eval.report import align
from opendas_plugin.files import atomic_file, write_json

METRICS = {"acc": "Acc", "w_f1": "W-F1", "b_f1": "B-F1", "n_f1": "N-F1", "harmonic_f1": "H"}


@dataclass(frozen=True, kw_only=True)
class Shares(ModelOptions):
    """Scores an adapter at shares from 0, plain CLIP, to 1, the adapter."""

    data: Path
    """Folder that prepare_data.py wrote."""
    output: Path
    """Folder for interpolation.csv, summary.json and run.json."""
    of: Literal["both", "visual", "text", "weights"] = "both"
    """What is mixed: the features of both towers, of one (the other is the adapter's), or the weights (WiSE-FT)."""
    steps: int = 10
    """Steps from 0 to 1."""
    split: Literal["val", "train"] = "val"
    """Which of the domain's segments to score."""


def shares(options: Shares) -> Shares:
    """Scores all shares, writes and prints them; returns the options with what was left open filled in.

    Raises:
        UsageError: no adapter, or no steps.
        ConfigError: an adapter that cannot be mixed so.
    """
    if options.adapter is None or options.steps < 1:
        raise UsageError("interpolation needs an --adapter, and --steps of 1 or more")
    device = pick_device(options.device)
    domain, clip = load_domain(options.data), load_clip(options, device)
    template = options.template or clip.config.template
    vocabulary = dataclasses.replace(domain.vocabulary, template=template)
    policy, segments = crop_policy(options, clip), getattr(domain, options.split)
    open_output(options.output)
    values = [round(step / options.steps, 6) for step in range(options.steps + 1)]
    loading = {"batch_size": options.batch_size, "workers": options.workers}
    if options.of == "weights":
        scores = sweep_weights(clip, segments, vocabulary, policy, values, **loading)
    else:
        pairs = [(1.0 if options.of == "text" else v, 1.0 if options.of == "visual" else v) for v in values]
        scores = sweep_features(clip, segments, vocabulary, policy, pairs, **loading)
    write_shares(options.output, options.of, values, scores)
    return resolved(options, clip, template, policy, device)


def write_shares(output: Path, of: str, values: list[float], scores: list[dict[str, Any]]) -> None:
    """Writes a row a share as CSV and JSON, and prints them."""
    rows = [
        [f"{value:g}", *("-" if s[m] is None else f"{s[m]:.1f}" for m in METRICS)]
        for value, s in zip(values, scores, strict=True)
    ]
    with atomic_file(output / "interpolation.csv") as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["share", *METRICS])
        writer.writerows([value, *(s[m] for m in METRICS)] for value, s in zip(values, scores, strict=True))
    write_json(
        output / "summary.json", {"of": of, "shares": [{"share": v, **s} for v, s in zip(values, scores, strict=True)]}
    )
    print(align([[f"share ({of})", *METRICS.values()], *rows]))
