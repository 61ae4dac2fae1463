"""Random predictions of a system over folds, and figures of them worked out pair by pair and name by name."""

from __future__ import annotations

import itertools

import numpy as np

from opendas_plugin.eval.pooling import FoldPredictions

NAMES, ROOMS = 9, 7
ALWAYS_NOVEL = np.arange(NAMES) < 3


def random_folds(rng, folds=2, seeds=2, segments=150, right=0.5):
    """Labels, rooms, and folds in which half of the answers are right; each fold leaves out three names."""
    labels = np.concatenate([np.arange(NAMES), rng.integers(0, NAMES, segments - NAMES)])
    groups = rng.integers(0, ROOMS, segments)
    return labels, groups, [answers(rng, labels, np.roll(ALWAYS_NOVEL, 3 * k), seeds, right) for k in range(folds)]


def answers(rng, labels, novel, seeds, right=0.5):
    """One fold's predictions."""
    shape = (seeds, len(labels))
    predictions = np.where(rng.random(shape) < right, labels, rng.integers(0, NAMES, shape))
    kinds = {kind: np.flatnonzero(novel == kind) for kind in (True, False)}
    random = np.array([[rng.choice(kinds[novel[label]]) for label in labels] for _ in range(seeds)])
    own = np.where(rng.random(shape) < right, labels, random)
    scores = np.round(rng.normal(~novel[labels], 1, shape), 1)  # rounded: some are equal
    return FoldPredictions(predictions, novel, own, scores)


def figure(metric, labels, folds, weights=None, times=None):
    """A pooled figure by its definition, where segments weigh and names count more or less than once.

    A name that counts twice brings its segments twice, in the mean and as false positives of other names.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    times = np.ones(NAMES) if times is None else times
    runs = [(fold, seed) for fold in folds for seed in range(len(fold.predictions))]
    if metric == "openworld_auc":
        return np.mean([won(labels, fold, seed, weights * times[labels]) for fold, seed in runs])
    above = below = 0.0
    for fold, seed in runs:
        counted, said, kind = chosen(metric, labels, fold, seed)
        if metric.endswith("acc"):
            w = (weights * times[labels])[counted]
            above, below = above + w @ (labels == said)[counted], below + w.sum()
            continue
        for name in kind:
            mine = counted & (labels == name)
            hits, support = weights[mine & (said == name)].sum(), weights[mine].sum()
            wrong = counted & (said == name) & (labels != name)
            f1 = 2 * hits / (hits + support + weights[wrong] @ times[labels[wrong]])
            size = times[name] * (support > 0 if metric.startswith("macro") else support)
            above, below = above + size * f1, below + size
    return 100 * above / below


def chosen(metric, labels, fold, seed):
    """Which segments a metric counts, what was said of them, and the names that it averages."""
    said = (fold.own_kind if "only" in metric else fold.predictions)[seed]
    names = np.arange(NAMES)
    if metric in ("acc", "w_f1", "macro_f1"):
        return np.ones(len(labels), bool), said, names
    novel = metric in ("n_f1", "macro_n_f1") or metric.startswith("novel")
    kind = names[fold.novel == novel]
    return np.isin(labels, kind) if "only" in metric else np.ones(len(labels), bool), said, kind


def won(labels, fold, seed, weights):
    """OpenworldAUC of one run, pair by pair."""
    base = np.flatnonzero(~fold.novel[labels])
    above = below = 0.0
    for b, n in itertools.product(base, np.setdiff1d(np.arange(len(labels)), base)):
        score, other = fold.base_scores[seed][[b, n]]
        right = fold.own_kind[seed][b] == labels[b] and fold.own_kind[seed][n] == labels[n]
        above += weights[b] * weights[n] * right * (1.0 if score > other else 0.5 if score == other else 0.0)
        below += weights[b] * weights[n]
    return 100 * above / below
