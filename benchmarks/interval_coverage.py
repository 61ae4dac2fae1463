"""How often the intervals of W-F1 and N-F1 differences hold the truth, where the truth is known.

Two systems name the segments of many random test sets. Whether a segment is named right depends on its name, its room,
the training run, what the system makes of each of these, and chance; a wrong one gets one of five names that are easily
taken for its own. The truth is the difference over all names, rooms and trainings that could be drawn (of a single
seed: of that training). Sizes are those of the office benchmarks. Columns: how far the difference lies from the truth
(root mean square) and the mean standard error, in points; how often a 95% interval held the truth: the package's, and
that of a plain bootstrap, which draws rooms, names and seeds at once and takes the 2.5% and 97.5% quantiles.

    python benchmarks/interval_coverage.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from opendas_plugin.eval.intervals import difference
from opendas_plugin.eval.pooling import FoldPredictions

METRICS = {"w_f1": "W-F1", "n_f1": "N-F1"}
LOOKALIKES = 5
OF_ROOMS, OF_ROOMS_BY_SYSTEM, OF_SEGMENTS_BY_RUN = 0.25, 0.12, 0.35
OF_NAMES, OF_NAMES_BY_SYSTEM, OF_NAMES_BY_RUN, OF_RUNS = 0.8, 0.32, 0.15, 0.04
"""Standard deviations of the effects, in those of a segment's chance."""
GAINS = np.array([[0.5, 0.1], [0.0, 0.0]])
"""What a system gains on base and on novel names."""


@dataclass(frozen=True)
class Design:
    """A benchmark's size; with partitions, three folds of each leave out a third of the names.

    Names have ``fewest`` segments or more, most a few more and some ten times as many, as in the office benchmarks.
    """

    title: str
    rooms: int
    names: int
    novel: int
    seeds: int
    partitions: int = 0
    fewest: int = 18


DESIGNS = (
    Design("28 rooms, 42 names, 10 novel, 1 seed", 28, 42, 10, 1, fewest=30),
    Design("28 rooms, 42 names, 10 novel, 3 seeds", 28, 42, 10, 3, fewest=30),
    Design("56 rooms, 148 names, 49 novel, 1 seed", 56, 148, 49, 1),
    Design("56 rooms, 148 names, 49 novel, 3 seeds", 56, 148, 49, 3),
    Design("56 rooms, 148 names, each novel in 2 of 6 folds, 1 seed", 56, 148, 49, 1, partitions=2),
)


@dataclass(frozen=True)
class Names:
    """N names as they were drawn: numbers of segments, effects of each system and run, and what they are taken for."""

    sizes: np.ndarray
    effects: np.ndarray  # (2, T, N)
    lookalikes: np.ndarray  # (N, LOOKALIKES)
    odds: np.ndarray  # (N, LOOKALIKES)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000, help="test sets of each design")
    parser.add_argument("--draws", type=int, default=200, help="of the plain bootstrap")
    parser.add_argument("--designs", type=int, nargs="*", default=range(len(DESIGNS)), help="their numbers, from 0")
    options = parser.parse_args(argv)
    print(f"{'':58}metric  distance  error  coverage  plain bootstrap")
    for number in options.designs:
        for metric, found in measure(DESIGNS[number], options.repeats, options.draws, seed=number).items():
            distance, error, held, plain = found
            row = f"{distance:8.2f}{error:7.2f}{held:9.1%}{plain:12.1%}"
            print(f"{DESIGNS[number].title:58}{METRICS[metric]:6}{row}", flush=True)


def measure(design: Design, repeats: int, draws: int, seed: int) -> dict[str, tuple[float, float, float, float]]:
    """The distance of differences from the truth, their standard error, and how often each interval held the truth."""
    rng = np.random.default_rng(seed)
    truth = true_differences(design, rng)
    found: dict[str, list[tuple[float, float, bool, bool]]] = {metric: [] for metric in METRICS}
    for _ in range(repeats):
        folds = draw_folds(design, rng)
        labels, groups, said = draw_segments(design, draw_names(design, folds, rng), rng)
        systems = [
            [FoldPredictions(own, novel) for own, novel in zip(np.split(rows, len(folds)), folds, strict=True)]
            for rows in said
        ]
        for metric, rows in found.items():
            result = difference(metric, labels, groups, *systems)
            low, high = plain_bootstrap(metric, labels, groups, *systems, draws, rng)
            right = truth[metric]
            rows.append((result.value - right, result.error, result.low <= right <= result.high, low <= right <= high))
    columns = {metric: np.array(rows, dtype=float) for metric, rows in found.items()}
    return {
        metric: (float(np.sqrt((rows[:, 0] ** 2).mean())), *rows[:, 1:].mean(axis=0))
        for metric, rows in columns.items()
    }


def draw_folds(design: Design, rng: np.random.Generator) -> np.ndarray:
    """(F, N) the novel names of each fold."""
    if not design.partitions:
        return (rng.permutation(design.names) < design.novel)[None]
    orders = [rng.permutation(design.names) for _ in range(design.partitions)]
    return np.array([order % 3 == fold for order in orders for fold in range(3)])


def draw_names(design: Design, folds: np.ndarray, rng: np.random.Generator) -> Names:
    """Names, and trainings of both systems on the folds."""
    names, runs = design.names, len(folds) * design.seeds
    sizes = (design.fewest / rng.random(names) ** 0.45).round().astype(int)
    kind = np.repeat(folds, design.seeds, axis=0).astype(int)
    of_runs = rng.normal(0, OF_RUNS if runs > 1 else 0, (2, runs, 2))  # of one run nothing can be said
    effects = (
        rng.normal(-0.3, OF_NAMES, names)
        + rng.normal(0, OF_NAMES_BY_SYSTEM, (2, 1, names))
        + GAINS[:, kind]
        + of_runs[:, np.arange(runs)[:, None], kind]
        + rng.normal(0, OF_NAMES_BY_RUN, (2, runs, names))
    )
    others = (np.arange(names)[:, None] + rng.integers(1, names, (names, LOOKALIKES))) % names
    return Names(sizes, effects, others, rng.dirichlet(np.ones(LOOKALIKES), names))


def draw_segments(
    design: Design, names: Names, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Labels and rooms (M,) of a test set, and what each system's runs say (T, M)."""
    labels = np.repeat(np.arange(design.names), names.sizes)
    groups = rng.integers(0, design.rooms, len(labels))
    again = (rng.random(len(labels)) < 0.3) & (np.diff(labels, prepend=-1) == 0)  # several of a name in one room
    groups = groups[np.maximum.accumulate(np.where(again, 0, np.arange(len(labels))))]
    common = rng.normal(0, OF_ROOMS, design.rooms)[groups] + rng.normal(0, 1, len(labels))
    said = []
    for effects in names.effects:
        own = rng.normal(0, OF_ROOMS_BY_SYSTEM, design.rooms)[groups]
        by_run = rng.normal(0, OF_SEGMENTS_BY_RUN, (len(effects), len(labels)))
        below = rng.random(len(labels))[:, None] > names.odds.cumsum(axis=1)[labels]
        wrong = names.lookalikes[labels, below.sum(axis=1).clip(max=LOOKALIKES - 1)]
        said.append(np.where(effects[:, labels] + common + own + by_run > 0, labels, wrong))
    return labels, groups, said


def true_differences(design: Design, rng: np.random.Generator, draws: int = 3000) -> dict[str, float]:
    """The differences over endless rooms, averaged over draws of names and trainings, in points."""
    spread = np.sqrt(1 + OF_ROOMS**2 + OF_ROOMS_BY_SYSTEM**2 + OF_SEGMENTS_BY_RUN**2)
    found: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for _ in range(draws):
        folds = draw_folds(design, rng)
        names = draw_names(design, folds, rng)
        right = names.sizes * ndtr(names.effects / spread)
        confused = (names.sizes - right)[..., None] * names.odds
        places = names.lookalikes.ravel()
        taken = np.array(
            [
                [np.bincount(places, run.ravel(), design.names) for run in system]  # false positives
                for system in confused
            ]
        )
        f1 = 2 * right / (names.sizes + right + taken)
        kind = np.repeat(folds, design.seeds, axis=0)
        for metric, counted in (("w_f1", np.ones_like(kind)), ("n_f1", kind)):
            weights = counted * names.sizes / (counted * names.sizes).sum()
            found[metric].append(100 * float((weights * (f1[0] - f1[1])).sum()))
    return {metric: float(np.mean(values)) for metric, values in found.items()}


def plain_bootstrap(
    metric: str,
    labels: np.ndarray,
    groups: np.ndarray,
    mine: Sequence[FoldPredictions],
    theirs: Sequence[FoldPredictions],
    draws: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The 2.5% and 97.5% quantiles over draws of rooms and of names (and of seeds), the same for both systems."""
    rooms, names = int(groups.max()) + 1, len(mine[0].novel)
    of_rooms = rng.multinomial(rooms, np.full(rooms, 1 / rooms), draws).astype(float)
    of_names = rng.multinomial(names, np.full(names, 1 / names), draws)
    seeds = len(mine[0].predictions)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws)

    def table(keep: np.ndarray, places: np.ndarray) -> np.ndarray:
        cells = np.bincount(groups[keep] * names + places[keep], minlength=rooms * names)
        return of_rooms @ cells.reshape(rooms, names)

    everything = np.ones(len(labels), dtype=bool)
    support = table(everything, labels)
    total, weight = np.zeros(draws), np.zeros(draws)
    for one, other in zip(mine, theirs, strict=True):
        sizes = of_names * support * (one.novel if metric == "n_f1" else 1)
        for seed in range(seeds):
            first, second = (
                2 * table(p == labels, labels) / np.maximum(support + table(everything, p), 1)
                for p in (one.predictions[seed], other.predictions[seed])
            )
            total += of_seeds[:, seed] * (sizes * (first - second)).sum(axis=1)
            weight += of_seeds[:, seed] * sizes.sum(axis=1)
    low, high = np.quantile(100 * total / np.maximum(weight, 1), (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    main()
