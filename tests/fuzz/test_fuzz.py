"""Mutated inputs end in exit 0 with right figures, or in exit 1 or 2 with one sentence; nothing is half-written."""

from __future__ import annotations

import os
import re
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.harness import Fuzzer
from tests.fuzz.server import Server
from tests.fuzz.targets import TARGETS

SEED = int(os.environ.get("OPENDAS_FUZZ_SEED", "0"))
ALL = int(os.environ.get("OPENDAS_FUZZ_INPUTS", "10000"))
SHARES = sum(target.share for target in TARGETS.values())
QUICK = {"coco instances": 70, "semantic json": 70, "instance3d scannetpp": 60}


@pytest.fixture(scope="module")
def server():
    with Server() as started:
        yield started


def fuzz(name, count, server, folder):
    """Tries ``count`` inputs of a target, and fails with all that was found."""
    fuzzer = Fuzzer(name, folder, server)

    @seed(SEED)
    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=HealthCheck)
    @given(fuzzer.strategy())
    def try_all(drawn):
        fuzzer(*drawn)

    try_all()
    tried = fuzzer.tried
    counts = f"{name}: {tried.done} inputs, {tried.accepted} taken, {tried.checked} figures compared"
    report = f"{counts}\n{summary(tried.problems)}"
    print(report, flush=True)
    if tried.problems:
        pytest.fail(report, pytrace=False)


def summary(problems):
    """Problems that differ only in names and numbers together, with one of each to run again."""
    alike = defaultdict(list)
    for problem in problems:
        alike[re.sub(r"/tmp/\S+|\d+|'[^']*'", "_", f"{problem.kind}: {problem.detail}"[:160])].append(problem)
    ordered = sorted(alike.values(), key=len, reverse=True)
    return "\n".join(f"{len(group)} x {min(group, key=lambda one: len(one.mutations))}" for group in ordered)


@pytest.mark.parametrize("name", QUICK)
def test_a_few_mutated_inputs(name, server, tiny_backbone, tmp_path):
    fuzz(name, QUICK[name], server, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs(name, server, tiny_backbone, tmp_path):
    fuzz(name, round(ALL * TARGETS[name].share / SHARES), server, tmp_path)
