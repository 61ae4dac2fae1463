"""What a step of stage 1 costs with its options, against the same step without: CPU seconds, memory, and the result.

    python benchmarks/first_stage.py --backbone ViT-B-16 --batch-size 8 --repeats 5

Each measurement is a process of its own, forked from one that holds the model: a first step that is not counted, then
one whose CPU time is taken, then a third, behind which losses and learnt values are compared. The peak is that of the
process, less what it held before its first step. Linux alone.
"""

from __future__ import annotations

import functools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import tyro
from timing import describe
from torch import Tensor
from train_step import Bench, Options

from opendas_plugin.eval.report import align
from opendas_plugin.model.passes import checkpointed
from opendas_plugin.runs.meters import Meter
from opendas_plugin.train.config import OptimiserConfig
from opendas_plugin.train.objective import Batch
from opendas_plugin.train.optimisers import make_optimiser

PLAIN = "as it is"
VARIANTS = (PLAIN, "grad_checkpointing", "fused optimiser", "channels-last", "torch.compile")
"""The first is what the others are compared with."""
LOSSES = 3
"""Steps whose losses are compared."""
RATE = 0.1
"""High, so that a difference in what is learnt would show."""


@dataclass(frozen=True)
class Settings:
    """A step of stage 1 with its options."""

    backbone: str = "ViT-B-16"
    """open_clip model name, of random weights."""
    batch_size: int = 8
    """Segments a step."""
    names: int = 150
    """Training names."""
    repeats: int = 5
    """Runs of each variant, in turns."""
    variants: tuple[str, ...] = VARIANTS[:4]
    """What is measured, beside the step as it is; torch.compile takes a C++ compiler and some minutes."""


@dataclass(frozen=True)
class Cost:
    """One run of one variant.

    Args:
        seconds: CPU seconds of the second step.
        gib: peak of the memory in GiB, less what was held before.
        losses: of the steps.
        learnt: (depth, n, width) the tokens after them.
    """

    seconds: float
    gib: float
    losses: tuple[float, ...]
    learnt: Tensor


def step_of(bench: Bench, variant: str, size: int) -> Callable[[], float]:
    """A step of stage 1 under a variant; gives back its loss."""
    clip, (crops, labels) = bench.clip, bench.batch(size)
    clip.text_prompts.requires_grad_(False)
    tokens = [parameter for parameter in clip.prompt_parameters() if parameter.requires_grad]
    optimiser = make_optimiser(tokens, OptimiserConfig(lr=RATE))
    if variant == "fused optimiser":
        settings = OptimiserConfig()
        rest = {"momentum": settings.momentum, "weight_decay": settings.weight_decay}
        optimiser = torch.optim.SGD(tokens, lr=RATE, fused=True, **rest)
    if variant == "channels-last":
        clip.model.visual.to(memory_format=torch.channels_last)
    if variant == "torch.compile":
        clip.encode_image = torch.compile(clip.encode_image)

    def step() -> float:
        with checkpointed(variant == "grad_checkpointing"):
            loss, _ = bench.first(Batch(crops, labels, slice(0, size), size), 0.0)
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        return loss.item()

    return step


def measure(bench: Bench, settings: Settings, variant: str) -> Cost:
    """One run, in this process."""
    step = step_of(bench, variant, settings.batch_size)
    meter = Meter(bench.device)
    held = resident()
    losses = [step()]
    start = time.process_time()
    losses.append(step())
    seconds = time.process_time() - start
    losses += [step() for _ in range(LOSSES - 2)]
    with meter.paused():
        peak = meter.peak / 1024
    return Cost(seconds, peak - held, tuple(losses), bench.clip.visual_prompts.tokens.detach().clone())


def resident() -> float:
    """GiB that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**30


def forked(work: Callable[[], Cost]) -> Cost:
    """What ``work`` returns in a copy of this process."""
    context = multiprocessing.get_context("fork")
    there, here = context.Pipe(duplex=False)

    def send() -> None:
        found = work()
        here.send((found.seconds, found.gib, found.losses, found.learnt.numpy()))

    process = context.Process(target=send)
    process.start()
    here.close()
    try:
        seconds, gib, losses, learnt = there.recv()
    except EOFError:
        raise SystemExit("a run ended without a result; its error stands above") from None
    process.join()
    return Cost(seconds, gib, losses, torch.from_numpy(learnt))


def row(variant: str, costs: Sequence[Cost], plain: Sequence[Cost]) -> list[str]:
    """A line of the table."""
    seconds, rival = ([cost.seconds for cost in runs] for runs in (costs, plain))
    gib, more = (statistics.median(cost.gib for cost in runs) for runs in (costs, plain))
    ratios = [one / other for one, other in zip(seconds, rival, strict=True)]
    spread = f"{min(ratios):.2f} - {max(ratios):.2f}"
    worst = max(abs(a - b) / abs(b) for a, b in zip(costs[0].losses, plain[0].losses, strict=True))
    same = worst == 0 and torch.equal(costs[0].learnt, plain[0].learnt)
    moved = float((costs[0].learnt - plain[0].learnt).abs().max())
    result = "the same bits" if same else f"losses to {worst:.0e}, tokens to {moved:.0e}"
    time_ = [f"{statistics.median(seconds):.2f}", f"{statistics.median(ratios):.2f}x", spread]
    return [variant, *time_, f"{gib:.2f}", f"{gib / more:.2f}x", result]


def main(argv: Sequence[str] | None = None) -> None:
    """Measures the variants in turns and prints a table."""
    settings = tyro.cli(Settings, args=argv)
    bench = Bench(Options(backbone=settings.backbone, names=settings.names))
    found: dict[str, list[Cost]] = {variant: [] for variant in dict.fromkeys((PLAIN, *settings.variants))}
    for _ in range(settings.repeats):
        for variant, costs in found.items():
            costs.append(forked(functools.partial(measure, bench, settings, variant)))
    print(f"{settings.backbone}, batch {settings.batch_size}, {settings.names} names, {settings.repeats} runs, "
          f"{describe(bench.device)}")  # fmt: skip
    titles = ["", "CPU s a step", "ratio", "min - max", "GiB", "ratio", "result"]
    print(align([titles, *(row(variant, costs, found[PLAIN]) for variant, costs in found.items())]))


if __name__ == "__main__":
    main()
