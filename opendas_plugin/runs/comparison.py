"""The paper's tables and figures on any domain, every method trained and judged by the same code."""

from __future__ import annotations

import csv
import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opendas_plugin import methods
from opendas_plugin.data.domain import Domain, load_domain
from opendas_plugin.errors import ConfigError, MissingFileError, OpenDASError
from opendas_plugin.eval import plots
from opendas_plugin.eval.overlays import overlay_figure
from opendas_plugin.eval.tables import Figure, Table
from opendas_plugin.files import atomic_file, read_json, write_text
from opendas_plugin.model.devices import pick_device
from opendas_plugin.model.naming import require_weights
from opendas_plugin.reports.page import Page
from opendas_plugin.runs.ablations import ABLATIONS, Variant, require_other_trainings
from opendas_plugin.runs.adaptation import Adapt
from opendas_plugin.runs.classification import PLAIN_CLIP
from opendas_plugin.runs.cluster import Cluster, Kind
from opendas_plugin.runs.comparison_hosts import host_summaries
from opendas_plugin.runs.models import say_model
from opendas_plugin.runs.negatives import GenerateNegatives, inputs_file
from opendas_plugin.runs.record import RunRecord
from opendas_plugin.runs.reporting import ReportedRun, call_of, save_page
from opendas_plugin.runs.run import function_of
from opendas_plugin.train.config import TrainConfig
from opendas_plugin.train.recipe import default_recipe, describe, read_recipe
from opendas_plugin.wording import counted

if TYPE_CHECKING:
    from opendas_plugin.eval import comparison
    from opendas_plugin.runs.comparison_runs import Job


logger = logging.getLogger(__name__)

PAPER_METHODS = ("zero_shot", "cocoop", "vpt", "rpo", "maple", "wise_ft_text", "wise_ft_image", "opendas")


@dataclass(frozen=True)
class Compare(ReportedRun[dict[str, Table]]):
    """Trains methods from the same start on the same segments and writes their tables. Run again to go on.

    The result is the tables, by the names of their files.
    """

    data: Path
    """Folder that opendas-prepare wrote."""
    output: Path
    """Folder for the runs, the tables (Markdown, CSV, LaTeX), the figures and report.html."""
    _: KW_ONLY
    methods: tuple[str, ...] = PAPER_METHODS
    """What to compare, one row each, of the methods that opendas-train has; METHOD@RECIPE takes another recipe than the
    others, and has the name of its file without folder and ending in the tables. Default: the paper's."""
    seeds: int = 3
    """Training seeds of each method: 0, 1 and so on. Zero-shot has none."""
    images_root: Path | None = None
    """Where the folder that all pictures lie under is now, if they have moved since they were prepared."""
    recipe: str | None = None
    """Recipe file, or the name of a built-in one; default: office for the tiny CLIPs, clip for every other backbone."""
    backbone: str | None = None
    """open_clip model name, OpenAI-format file, or a tiny CLIP; default: the recipe's."""
    pretrained: str | None = None
    """open_clip tag, weight file, or random; default: the recipe's."""
    tokenizer: str | None = None
    """Folder with the files of the backbone's Hugging Face tokenizer, where it has one (SigLIP, CLIPA) and that is not
    fetched; default: the recipe's."""
    against: str | None = None
    """The row that differences are taken to; default: the last."""
    ablate: str | None = None
    """Compare the variants of one part of OpenDAS instead: stages, order, triplet, mining, negatives, visual_tokens,
    text_tokens, depth or crops."""
    hosts: tuple[str, ...] = ()
    """Rows of the table of segmentation pipelines, as TITLE=SUMMARY.json of opendas-evaluate; several of one title
    are its seeds."""
    pictures: int = 4
    """Validation images in the figure of masks coloured by each row's names."""
    crop_cache: Path | None = None
    """Folder that keeps crops for all runs, 3 bytes a pixel of each."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    jobs: int = 1
    """Runs at once, each in a process with its share of the CPU's threads and memory of its own. On a CPU as many as
    cores are much faster than one, because small steps gain little from more threads."""
    submitit: Kind | None = None
    """Hand the runs to Slurm by submitit; local: to its processes on this machine; debug: one after the other, here.
    The command waits for them, and cancels them where it is interrupted."""
    submitit_folder: Path | None = None
    """Folder for submitit's scripts and logs, which all machines see; default: submitit in the output."""
    submitit_options: tuple[str, ...] = ()
    """Options of submitit as NAME=VALUE, such as timeout_min=240 gpus_per_node=1 slurm_partition=gpu."""

    def check(self) -> None:
        """See :meth:`Run.check`."""
        host_summaries(self.hosts)  # a file that is not there is said now
        for name in ("seeds", "jobs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` must be 1 or more, got {getattr(self, name)}")
        if self.ablate is not None and self.ablate not in ABLATIONS:
            raise ConfigError(f"there is no ablation {self.ablate!r}; choose one of {', '.join(ABLATIONS)}")
        self.seed_jobs(Variant(""), self.common_recipe)  # a backbone without weights is said now, too

    def unused(self) -> Mapping[str, str]:
        """See :meth:`Run.unused`."""
        found = {} if self.ablate is None else {"methods": "beside `ablate`, which has rows of its own"}
        if self.submitit is None:
            found |= dict.fromkeys(("submitit_folder", "submitit_options"), "without `submitit`")
        if self.submitit in ("slurm", "debug"):
            found |= {"jobs": f"with `submitit` {self.submitit}"}
        return found

    def work(self, record: RunRecord) -> dict[str, Table]:
        """Trains what is not trained yet, writes tables and figures, and returns the tables."""
        from opendas_plugin.runs.comparison_runs import run_all, with_crops
        from opendas_plugin.runs.training import CHOICE

        if (cluster := self.cluster) is not None:
            cluster.check()
        domain = load_domain(self.data, self.images_root)
        record.begin(self.output)
        jobs = self.plan()
        self.say(jobs)
        jobs = with_crops(jobs, domain, self.output / CHOICE)
        run_all(jobs, self.jobs, cluster=cluster)
        tables = self.write_results(domain, jobs)
        record.write(self.output)
        if self.report:
            save_page(lambda: self.page(record, domain, jobs, tables), self.output)
        return tables

    @property
    def cluster(self) -> Cluster | None:
        """Where the runs are handed to."""
        if self.submitit is None:
            return None
        return Cluster(self.submitit, self.submitit_folder or self.output / "submitit", self.submitit_options)

    @property
    def common_recipe(self) -> str:
        """The recipe of the rows that name none."""
        return self.recipe or default_recipe(self.backbone)

    def say(self, jobs: Sequence[Job]) -> None:
        """Says in the log what the rows work with, a line for each backbone and recipe."""
        device = pick_device(self.device)
        kinds = {(run.config.backbone, run.recipe): run for run in (job.run for job in jobs)}
        for (backbone, recipe), run in kinds.items():
            config = run.config
            say_model(device, backbone, config.pretrained, config.backbone_seed, more=f"recipe {describe(recipe)}")

    def plan(self) -> list[Job]:
        """The runs, row by row.

        Raises:
            ConfigError: no such method, recipe or row.
        """
        from opendas_plugin.runs.comparison_runs import folder_name

        variants = [] if self.ablate is None else ABLATIONS[self.ablate]
        rows = [self.variant_jobs(variant) for variant in variants]
        require_other_trainings([jobs[0] for jobs in rows if jobs])
        if self.ablate is None:
            for row in dict.fromkeys(self.methods):
                method, _, recipe = row.partition("@")
                title = f"{method}@{Path(recipe).stem}" if recipe else method
                rows.append(self.seed_jobs(Variant(title, method=method), recipe or self.common_recipe))
        titles = [jobs[0].title for jobs in rows if jobs]
        if self.against is not None and self.against not in titles:
            raise ConfigError(f"`against` {self.against!r} is no row; choose one of {', '.join(titles)}")
        for one, other in itertools.combinations(titles, 2):
            if folder_name(one) == folder_name(other):
                raise ConfigError(f"the rows {one!r} and {other!r} would share a folder; rename a recipe")
        if not titles:
            raise ConfigError("there is nothing to compare; name methods, or an ablation that can run here")
        return list(itertools.chain.from_iterable(rows))

    def seed_jobs(self, variant: Variant, recipe: str, negatives: Path | None = None) -> list[Job]:
        """A row's runs, one for each seed; one alone where nothing is learnt."""
        from opendas_plugin.runs.comparison_runs import Job, folder_name

        backbone = {"backbone": self.backbone, "pretrained": self.pretrained, "tokenizer": self.tokenizer}
        changes = {**variant.changes, **{name: value for name, value in backbone.items() if value is not None}}
        seeds = range(self.seeds if methods.get(variant.method).stages else 1)
        try:
            configs = [read_recipe(recipe, variant.method, {**changes, "seed": seed}) for seed in seeds]
        except MissingFileError as error:
            raise ConfigError(str(error)) from error
        require_weights(configs[0].backbone, configs[0].pretrained)

        def job(config: TrainConfig) -> Job:
            folder = self.output / "runs" / folder_name(variant.title) / f"seed{config.seed}"
            run = Adapt(
                self.data,
                folder,
                images_root=self.images_root,
                recipe=recipe,
                negatives=negatives,
                crop_cache=self.crop_cache,
                device=self.device,
                config=config,
            )
            return Job(variant.title, folder, run)

        return [job(config) for config in configs]

    def variant_jobs(self, variant: Variant) -> list[Job]:
        """An ablation's row; none, with a warning, where its related names cannot be had."""
        if variant.negatives is None:
            return self.seed_jobs(variant, self.common_recipe)
        negatives = self.output / f"negatives_{variant.negatives}.json"
        config = read_recipe(self.common_recipe, variant.method)
        generate = GenerateNegatives(
            vocabulary=self.data / "vocabulary.json",
            output=negatives,
            source=variant.negatives,
            backbone=self.backbone or config.backbone,
            pretrained=self.pretrained or config.pretrained,
            tokenizer=self.tokenizer or config.tokenizer,
        )
        if negatives.exists():
            require_same_names(negatives, generate)
            return self.seed_jobs(variant, self.common_recipe, negatives)
        try:
            generate()
        except OpenDASError as error:
            logger.warning("%s is left out: %s", variant.title, error)
            return []
        return self.seed_jobs(variant, self.common_recipe, negatives)

    def write_results(self, domain: Domain, jobs: Sequence[Job]) -> dict[str, Table]:
        """Writes tables and figures of finished runs."""
        from opendas_plugin.eval import comparison
        from opendas_plugin.runs.comparison_rows import evidence_of, systems_of

        systems = systems_of(jobs)
        segments, name = len(domain.val), domain.info.get("name", self.data.resolve().name)
        seeds = f"{self.seeds} seeds, mean ± standard deviation" if self.seeds > 1 else "1 seed"
        backbone = next(iter(systems[0].scores.values())).get("backbone", jobs[0].run.config.backbone)
        about = f"{name}, {counted(segments, 'segment')}, {backbone}, {seeds}"
        titles = [system.title for system in systems]
        reference = systems[titles.index(self.against) if self.against else -1]
        evidence = evidence_of(jobs, domain)
        tables = {
            "table1": comparison.base_and_novel_table(systems, about, self.ablate is None, evidence),
            "table2": comparison.accuracy_table(systems, about, evidence),
            "apart": comparison.apart_table(systems, about, evidence),
            "differences": comparison.difference_table(systems, reference, about, evidence),
        }
        if self.hosts:
            tables["table3"] = comparison.host_table(host_summaries(self.hosts))
        for name, table in tables.items():
            table.save(self.output / name)
        write_text(self.output / "comparison.md", "\n".join(table.markdown() for table in tables.values()))
        write_runs(self.output / "runs.csv", systems)
        if self.report:
            self.write_figures(domain, jobs, systems)
        return tables

    def write_figures(self, domain: Domain, jobs: Sequence[Job], systems: Sequence[comparison.System]) -> None:
        """Draws the scores as bars, and the masks of a few images coloured by each row's names, where matplotlib is."""
        from opendas_plugin.runs.comparison_rows import predictions_of

        if not plots.available():
            logger.info("no figures: matplotlib is not installed; pip install 'opendas-plugin[reports]'")
            return
        series = bars_of(systems)
        with atomic_file(self.output / "scores.png") as path:
            name = domain.info.get("name", self.data.resolve().name)
            spread = "one seed" if self.seeds == 1 else f"mean and deviation of {self.seeds} seeds"
            title = f"{name}: {counted(len(domain.val), 'validation segment')}, {spread}"
            plots.bars_figure(path, series, title)
        first = {job.title: job for job in reversed(jobs)}  # the first seed of each row
        predictions = {title: predictions_of(first[title]) for title in dict.fromkeys(job.title for job in jobs)}
        path = self.output / "predictions.png"
        overlay_figure(path, domain.val, predictions, domain.vocabulary.names, self.pictures)

    def page(self, record: RunRecord, domain: Domain, jobs: Sequence[Job], tables: Mapping[str, Table]) -> Page:
        """The page: the tables, and the segments of plain CLIP, or else the first row, beside the row of `against`."""
        from opendas_plugin.runs.comparison_report import comparison_page
        from opendas_plugin.runs.comparison_rows import evidence_of, last_folder, systems_of
        from opendas_plugin.runs.training import BEFORE

        first = {job.title: job for job in reversed(jobs)}
        against = self.against or jobs[-1].title
        plain = first[against].folder / BEFORE
        before = {PLAIN_CLIP: plain} if plain.is_dir() else {jobs[0].title: last_folder(jobs[0])}
        title = against if self.seeds == 1 else f"{against}, seed {first[against].run.config.seed}"
        compared = {**before, title: last_folder(first[against])}
        device, kinds = pick_device(self.device), {(job.run.config.backbone, job.run.recipe) for job in jobs}
        told = [
            ("device", device),
            ("backbone and recipe", ", ".join(f"{backbone}, {recipe}" for backbone, recipe in sorted(kinds))),
            ("data", self.data.resolve()),
            ("rows", ", ".join(dict.fromkeys(job.title for job in jobs))),
            ("seeds", self.seeds),
            ("learnt from", counted(len(domain.train), "segment")),
            ("judged by", counted(len(domain.val), "segment")),
            ("names", f"{len(domain.vocabulary.base)} base, {len(domain.vocabulary.novel)} novel"),
        ]
        series, evidence = bars_of(systems_of(jobs)), evidence_of(jobs, domain)
        call = call_of("opendas.runs.compare", self)
        return comparison_page(record, domain, self.output, tables, evidence, series, compared, told, call)


compare = function_of(Compare, "compare")


def bars_of(systems: Sequence[comparison.System]) -> dict[str, dict[str, tuple[float, float]]]:
    """Metric -> row -> mean and deviation over its seeds, NaN where there is none."""
    from opendas_plugin.eval import comparison

    series: dict[str, dict[str, tuple[float, float]]] = {}
    for metric in ("w_f1", "b_f1", "n_f1"):
        figures = {system.title: system.figure(metric) or Figure(math.nan) for system in systems}
        series[comparison.METRICS[metric]] = {
            title: (f.mean, math.nan if f.std is None else f.std) for title, f in figures.items()
        }
    return series


def require_same_names(negatives: Path, generate: GenerateNegatives) -> None:
    """Checks that a file of related names that is there was made as it would be now.

    Raises:
        ConfigError: it was made for other names, or with other settings.
    """
    if not inputs_file(negatives).exists():
        logger.warning("%s is taken as it is; it does not say which names it was made for", negatives)
        return
    known = read_json(inputs_file(negatives), f"remove {negatives}, to have it made again")
    if difference := generate.inputs().difference(known):
        raise ConfigError(f"{negatives} was made from something else: {difference}; remove it, to have it made again")


def write_runs(path: Path, systems: Sequence[comparison.System]) -> None:
    """Writes every run's scores as CSV."""
    from opendas_plugin.eval import comparison

    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "parameters", "seed", *comparison.METRICS, "macro_f1", "seconds", "peak_memory_mb"])
        for system in systems:
            for place, (seed, scores) in enumerate(system.scores.items()):
                found = [c[place] if place < len(c) else None for c in (system.seconds, system.memory)]
                costs = ["" if cost is None else f"{cost:.1f}" for cost in found]
                values = [scores[metric] for metric in (*comparison.METRICS, "macro_f1")]
                writer.writerow([system.title, system.parameters, "" if seed is None else seed, *values, *costs])
