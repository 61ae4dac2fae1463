"""``compare.py``: the paper's tables and figures on any domain, every method trained and judged by the same code."""

from __future__ import annotations

import csv
import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opendas_plugin import methods
from opendas_plugin.commands import generate_negatives
from opendas_plugin.commands.common import Options, RunRecord, UsageError, open_output, parse, run_command
from opendas_plugin.commands.train_prompts import DEFAULT_RECIPE, TrainPrompts
from opendas_plugin.data.domain import Domain, load_domain
from opendas_plugin.errors import ConfigError, MissingFileError, OpenDASError
from opendas_plugin.eval import comparison, plots
from opendas_plugin.eval.overlays import overlay_figure
from opendas_plugin.eval.tables import Figure
from opendas_plugin.files import atomic_file, read_json, write_text
from opendas_plugin.runs.ablations import ABLATIONS, Variant
from opendas_plugin.runs.compare_runs import PROGRAM, Job, predictions_of, run_all, systems_of
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.recipe import read_recipe

logger = logging.getLogger(__name__)

PAPER_METHODS = ("zero_shot", "cocoop", "vpt", "rpo", "maple", "wise_ft_text", "wise_ft_image", "opendas")


@dataclass(frozen=True, kw_only=True)
class Compare(Options):
    """Trains methods from the same start on the same segments and writes their tables. Run again to go on."""

    data: Path
    """Folder that prepare_data.py wrote."""
    output: Path
    """Folder for the runs, the tables (Markdown, CSV, LaTeX) and the figures."""
    methods: tuple[str, ...] = PAPER_METHODS
    """What to compare, one row each; METHOD@RECIPE takes another recipe than the others, and has the name of its file
    without folder and ending in the tables. Default: the paper's."""
    seeds: int = 3
    """Training seeds of each method: 0, 1 and so on. Zero-shot has none."""
    recipe: str = DEFAULT_RECIPE
    """Recipe file, or the name of a built-in one."""
    backbone: str | None = None
    """open_clip model name, OpenAI-format file, or office-tiny; default: the recipe's."""
    pretrained: str | None = None
    """open_clip tag or weight file; default: the recipe's."""
    against: str | None = None
    """The row that differences are taken to; default: the last."""
    ablate: str | None = None
    """Compare the variants of one part of OpenDAS instead: stages, order, triplet, mining, negatives, visual_tokens,
    text_tokens, depth or crops."""
    hosts: tuple[str, ...] = ()
    """Rows of the table of segmentation pipelines, as TITLE=SUMMARY.json of evaluate.py semantic or instance3d; several
    of one title are its seeds."""
    pictures: int = 4
    """Validation images in the figure of masks coloured by each row's names."""
    crop_cache: Path | None = None
    """Folder that keeps crops for all runs, 3 bytes a pixel of each; unused where crops are augmented."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    jobs: int = 1
    """Runs at once, each in a process with its share of the CPU's threads and memory of its own. On a CPU as many as
    cores are much faster than one, because small steps gain little from more threads."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(compare, argv)


def compare(argv: Sequence[str]) -> None:
    """Trains what is not trained yet, and writes tables and figures."""
    options = parse(Compare, argv, prog=PROGRAM)
    record = RunRecord(PROGRAM, argv, options)
    host_summaries(options.hosts)  # a file that is not there is said now
    if options.seeds < 1:
        raise UsageError(f"--seeds must be 1 or more, got {options.seeds}")
    if options.jobs < 1:
        raise UsageError(f"--jobs must be 1 or more, got {options.jobs}")
    domain = load_domain(options.data)
    open_output(options.output)
    jobs = plan(options, domain)
    run_all(jobs, options.jobs)
    write_results(options, domain, jobs)
    record.write(options.output)


def plan(options: Compare, domain: Domain) -> list[Job]:
    """The runs, row by row.

    Raises:
        UsageError: no such method, recipe, ablation or row.
    """
    if options.ablate is not None and options.ablate not in ABLATIONS:
        raise UsageError(f"there is no ablation {options.ablate!r}; choose one of {', '.join(ABLATIONS)}")
    variants = [] if options.ablate is None else ABLATIONS[options.ablate]
    rows = [variant_jobs(options, domain, variant) for variant in variants]
    if options.ablate is None:
        for row in dict.fromkeys(options.methods):
            method, _, recipe = row.partition("@")
            title = f"{method}@{Path(recipe).stem}" if recipe else method
            rows.append(seed_jobs(options, title, method, recipe or options.recipe))
    titles = [jobs[0].title for jobs in rows if jobs]
    if options.against is not None and options.against not in titles:
        raise UsageError(f"--against {options.against!r} is no row; choose one of {', '.join(titles)}")
    for one, other in itertools.combinations(titles, 2):
        if folder_name(one) == folder_name(other):
            raise UsageError(f"the rows {one!r} and {other!r} would share a folder; rename a recipe")
    if not titles:
        raise UsageError("there is nothing to compare; name methods, or an ablation that can run here")
    return list(itertools.chain.from_iterable(rows))


def seed_jobs(
    options: Compare,
    title: str,
    method: str,
    recipe: str,
    changes: Mapping[str, Any] | None = None,
    negatives: Path | None = None,
) -> list[Job]:
    """A row's runs, one for each seed; one alone where nothing is learnt."""
    backbone = {"backbone": options.backbone, "pretrained": options.pretrained}
    changes = {**(changes or {}), **{name: value for name, value in backbone.items() if value is not None}}
    try:
        seeds = range(options.seeds if methods.get(method).stages else 1)
        configs = [read_recipe(recipe, method, {**changes, "seed": seed}) for seed in seeds]
    except (ConfigError, MissingFileError) as error:
        raise UsageError(str(error)) from error

    def job(config: TrainConfig) -> Job:
        folder = options.output / "runs" / folder_name(title) / f"seed{config.seed}"
        run = TrainPrompts(
            data=options.data,
            output_dir=folder,
            recipe=recipe,
            negatives=negatives,
            crop_cache=options.crop_cache,
            device=options.device,
            config=config,
        )
        return Job(title, folder, run)

    return [job(config) for config in configs]


def folder_name(title: str) -> str:
    """The folder of a row's runs."""
    return "".join(c if c.isalnum() or c in "-_@." else "_" for c in title)


def variant_jobs(options: Compare, domain: Domain, variant: Variant) -> list[Job]:
    """An ablation's row; none, with a warning, where its related names cannot be had."""
    negatives = None
    if variant.negatives is not None:
        negatives = options.output / f"negatives_{variant.negatives}.json"
        config = read_recipe(options.recipe, variant.method)
        flags = ["--vocabulary", str(options.data / "vocabulary.json"), "--output", str(negatives)]
        flags += ["--source", variant.negatives, "--backbone", options.backbone or config.backbone]
        if pretrained := options.pretrained or config.pretrained:
            flags += ["--pretrained", pretrained]
        try:
            if not negatives.exists():
                generate_negatives.generate_negatives(flags)
        except OpenDASError as error:
            logger.warning("%s is left out: %s", variant.title, error)
            return []
    return seed_jobs(options, variant.title, variant.method, options.recipe, variant.changes, negatives)


def write_results(options: Compare, domain: Domain, jobs: Sequence[Job]) -> None:
    """Writes tables and figures of finished runs, and prints the tables."""
    systems = systems_of(jobs)
    segments, name = len(domain.val), domain.info.get("name", options.data.resolve().name)
    seeds = f"{options.seeds} seeds, mean ± standard deviation" if options.seeds > 1 else "1 seed"
    about = f"{name}, {segments:,} segments, {jobs[0].options.config.backbone}, {seeds}"
    titles = [system.title for system in systems]
    reference = systems[titles.index(options.against) if options.against else -1]
    tables = {
        "table1": comparison.base_and_novel_table(systems, about, quoted=options.ablate is None),
        "table2": comparison.accuracy_table(systems, about),
        "differences": comparison.difference_table(systems, reference, about),
    }
    for name, table in tables.items():
        table.save(options.output / name)
    if options.hosts:
        tables["table3"] = comparison.host_table(host_summaries(options.hosts))
        tables["table3"].save(options.output / "table3")
    text = "\n".join(table.markdown() for table in tables.values())
    write_text(options.output / "comparison.md", text)
    write_runs(options.output / "runs.csv", systems)
    write_figures(options, domain, jobs, systems)
    print(text)


def host_summaries(rows: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The summaries of each title.

    Raises:
        UsageError: a row that is not TITLE=FILE.
    """
    summaries: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        title, _, file = row.rpartition("=")
        if not title:
            raise UsageError(f"expected --hosts as TITLE=SUMMARY.json, got {row!r}")
        summaries.setdefault(title, []).append(read_json(file))
    return summaries


def write_runs(path: Path, systems: Sequence[comparison.System]) -> None:
    """Writes every run's scores as CSV."""
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "parameters", "seed", *comparison.METRICS, "macro_f1", "seconds", "peak_memory_mb"])
        for system in systems:
            for place, (seed, scores) in enumerate(system.scores.items()):
                costs = [f"{c[place]:.1f}" if place < len(c) else "" for c in (system.seconds, system.memory)]
                values = [scores[metric] for metric in (*comparison.METRICS, "macro_f1")]
                writer.writerow([system.title, system.parameters, "" if seed is None else seed, *values, *costs])


def write_figures(options: Compare, domain: Domain, jobs: Sequence[Job], systems: Sequence[comparison.System]) -> None:
    """Draws the scores as bars, and the masks of a few images coloured by each row's names, where matplotlib is."""
    if not plots.available():
        logger.info("no figures: matplotlib is not installed; pip install 'opendas-plugin[reports]'")
        return
    series: dict[str, dict[str, tuple[float, float]]] = {}
    for metric in ("w_f1", "b_f1", "n_f1"):
        figures = {system.title: system.figure(metric) or Figure(math.nan) for system in systems}
        series[comparison.METRICS[metric]] = {title: (f.mean, f.std or 0.0) for title, f in figures.items()}
    with atomic_file(options.output / "scores.png") as path:
        plots.bars_figure(path, series)
    first = {job.title: job for job in reversed(jobs)}  # the first seed of each row
    predictions = {title: predictions_of(first[title]) for title in dict.fromkeys(job.title for job in jobs)}
    path = options.output / "predictions.png"
    overlay_figure(path, domain.val, predictions, domain.vocabulary.names, options.pictures)
