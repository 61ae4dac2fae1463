"""Steps of both training stages against their rivals, with the same weights, prompts and batch.

    python benchmarks/train_step.py --backbone ViT-B-16 --device cpu
    python benchmarks/train_step.py --backbone ViT-L-14 --device cuda --batch-sizes 16 64

Stage 2, from cached image features, against the step that encodes its images, all names and its negatives over the
whole context (the losses are compared first). Stage 1 against the forward and activation backward of open_clip's bare
tower over as many tokens. Stage 1 with decoding and cropping against stage 1 on crops that lie in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import naive
import numpy as np
import open_clip
import torch
import tyro
from PIL import Image
from timing import Timing, describe, now, race
from torch.utils.flop_counter import FlopCounterMode

from opendas_plugin.crops import OPENAI_PIXELS, CropPolicy
from opendas_plugin.data.augment import Augmentation
from opendas_plugin.data.loader import SegmentCrops
from opendas_plugin.data.segments import Segment
from opendas_plugin.eval.report import align
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig
from opendas_plugin.negatives.mining import own_candidates
from opendas_plugin.train.config import OptimiserConfig, TripletConfig
from opendas_plugin.train.inputs import CropInputs
from opendas_plugin.train.objective import Batch, Objective
from opendas_plugin.train.optimisers import make_optimiser

RELATED = 5
SEGMENTS, EPOCHS = 200_000, 5
"""The size of a run whose time is projected: segments, and epochs of each stage."""


@dataclass(frozen=True)
class Options:
    """Steps of both training stages against their rivals."""

    backbone: str = "ViT-B-16"
    """open_clip model name, OpenAI-format file, or office-tiny."""
    pretrained: str | None = None
    """open_clip tag or weight file; None: random weights, which take as long."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to run; CUDA runs in bf16 autocast."""
    batch_sizes: tuple[int, ...] = (16,)
    """Segments a step."""
    names: int = 150
    """Training names, each with five related ones."""
    repeats: int = 5
    """Timed turns."""
    stages: tuple[Literal["1", "2"], ...] = ("1", "2")
    """Stages to time."""
    workers: int = 2
    """Threads that decode and crop."""


class Bench:
    """One model with its prompts, its names, and the steps over them."""

    def __init__(self, options: Options) -> None:
        self.device = torch.device(options.device)
        self.autocast = self.device.type == "cuda"
        self.clip = OpenDASCLIP.from_backbone(
            options.backbone, options.pretrained, prompts=PromptConfig(), device=self.device
        )
        words = list(dict.fromkeys(open_clip.IMAGENET_CLASSNAMES))
        classes, pool = words[: options.names], words[options.names :]
        related = [[pool[(RELATED * c + k) % len(pool)] for k in range(RELATED)] for c in range(len(classes))]
        self.candidates = own_candidates(classes, related)
        texts = [f"a photo of a {name}." for name in self.candidates.names]
        tokens = self.clip.tokenize(texts)
        self.tokens = tokens[: len(classes)].to(self.device)
        self.related = tokens[self.candidates.rows].to(self.device)
        self.triplet = TripletConfig()
        self.first = Objective(self.clip, texts[: len(classes)], ("visual",), ("visual",), autocast=self.autocast)
        self.second = Objective(
            self.clip, texts, ("text",), ("visual", "text"), self.candidates, self.triplet, autocast=self.autocast
        )

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Random crops (B, S, S, 3) uint8 and labels (B,)."""
        side, generator = self.clip.image_size, torch.Generator().manual_seed(0)
        crops = torch.randint(0, 256, (size, side, side, 3), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, len(self.tokens), (size,), generator=generator)
        return crops.to(self.device), labels.to(self.device)

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        """Image features (B, D), as the cache has them."""
        with torch.no_grad(), self.precision():
            return self.clip.encode_image(OPENAI_PIXELS.normalise(crops)).float()

    def precision(self) -> torch.autocast:
        """The arithmetic of the towers."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.autocast)

    def learn(self, tower: Literal["visual", "text"]) -> Callable[[torch.Tensor], None]:
        """Lets one tower's prompts learn; returns what follows a loss: backward and the optimiser's step."""
        self.clip.visual_prompts.requires_grad_(tower == "visual")
        self.clip.text_prompts.requires_grad_(tower == "text")
        learnt = [tensor for tensor in self.clip.prompt_parameters() if tensor.requires_grad]
        optimiser = make_optimiser(learnt, OptimiserConfig(lr=1e-6))

        def finish(loss: torch.Tensor) -> None:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        return finish


def second_stage(bench: Bench, size: int, repeats: int) -> dict[str, Timing]:
    """Times stage 2 from cached features and the naive step, after comparing their losses."""
    crops, labels = bench.batch(size)
    finish, weight = bench.learn("text"), bench.triplet.weight_start
    cached = Batch(bench.features(crops), labels, slice(0, size), size)

    def own_loss() -> torch.Tensor:
        return bench.second(cached, weight)[0]

    def rival_loss() -> torch.Tensor:
        with bench.precision():
            parts = (crops, labels, bench.tokens, bench.related)
            return naive.second_stage_loss(bench.clip, *parts, weight=weight, margin=bench.triplet.margin)

    own, rival = own_loss().item(), rival_loss().item()
    if abs(own - rival) > (5e-2 if bench.autocast else 1e-3) * abs(rival):
        raise SystemExit(f"the losses differ: {own} from the cache, {rival} by the naive step")
    print(f"stage 2, batch {size}: loss {own:.5f} from the cache, {rival:.5f} by the naive step")
    contestants = {"naive step": lambda: finish(rival_loss()), "stage 2 from cache": lambda: finish(own_loss())}
    return race(contestants, repeats=repeats, device=bench.device)


def first_stage(bench: Bench, size: int, repeats: int) -> dict[str, Timing]:
    """Times stage 1 and the bare tower with as many tokens."""
    crops, labels = bench.batch(size)
    finish, batch = bench.learn("visual"), Batch(crops, labels, slice(0, size), size)
    extra = bench.clip.visual_prompts.tokens[0].detach().clone().requires_grad_()

    def bare() -> None:
        with bench.precision():
            naive.bare_visual_pass(bench.clip.model, OPENAI_PIXELS.normalise(crops), extra)

    contestants = {"bare tower": bare, "stage 1": lambda: finish(bench.first(batch, 0.0)[0])}
    return race(contestants, repeats=repeats, device=bench.device)


def with_data(bench: Bench, size: int, repeats: int, workers: int) -> dict[str, Timing]:
    """Times stage 1 on crops that lie in memory, and on ones that are decoded and cropped meanwhile, step by step."""
    steps = 4
    resident, labels = bench.batch(size)
    finish = bench.learn("visual")

    def run(batches: Sequence[torch.Tensor]) -> None:
        for crops in batches:
            finish(bench.first(Batch(crops, labels, slice(0, size), size), 0.0)[0])

    with tempfile.TemporaryDirectory() as folder:
        crops = SegmentCrops(draw_segments(Path(folder), steps * size), CropPolicy(size=bench.clip.image_size))
        order = np.random.default_rng(0).permutation(len(crops)).reshape(steps, size).tolist()

        def run_from_disk() -> None:
            run(CropInputs(crops, bench.device, Augmentation(), workers)(order))

        contestants = {"crops in memory": lambda: run([resident] * steps), "crops from disk": run_from_disk}
        times = race(contestants, repeats=repeats, device=bench.device)
    return {name: Timing(tuple(value / steps for value in time.seconds)) for name, time in times.items()}


def draw_segments(folder: Path, count: int) -> list[Segment]:
    """Segments in 640x480 JPEGs of noise and blocks, four to an image."""
    rng = np.random.default_rng(0)
    segments = []
    for number in range(-(-count // 4)):
        path = folder / f"{number}.jpg"
        blocks = np.kron(rng.integers(0, 230, (24, 32, 3)), np.ones((20, 20, 1), int))
        pixels = blocks + rng.integers(0, 25, (480, 640, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            mask = np.zeros((480, 640), dtype=bool)
            mask[240 * row + 20 : 240 * row + 220, 320 * column + 20 : 320 * column + 300] = True
            segments.append(Segment.from_mask(path, mask, "block"))
    return segments[:count]


def matmul_rate(device: torch.device, side: int = 8192, turns: int = 20) -> float:
    """Operations a second of a bf16 matrix product on this device."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    start = now(device)
    for _ in range(turns):
        a @ b
    return 2 * side**3 * turns / (now(device) - start)


def operations(work: Callable[[], object]) -> int:
    """Multiplications and additions of matrix products in one call."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def print_gpu_figures(bench: Bench, size: int, first: Timing, second: Timing, repeats: int) -> None:
    """Prints what a step makes of the GPU, and how long a large run would take."""
    peak = matmul_rate(bench.device)
    crops, labels = bench.batch(size)
    finish = bench.learn("visual")
    work = operations(lambda: finish(bench.first(Batch(crops, labels, slice(0, size), size), 0.0)[0]))
    encoding = race({"encode": lambda: bench.features(crops)}, repeats=repeats, device=bench.device)["encode"]
    seconds = SEGMENTS / size * (EPOCHS * first.median + encoding.median + EPOCHS * second.median)
    rates = {"stage 1": first, "encoding": encoding, "stage 2": second}
    print(f"batch {size}, segments/s:", ", ".join(f"{name} {size / time.median:.0f}" for name, time in rates.items()))
    share = 100 * work / first.median / peak
    print(f"batch {size}: stage 1 runs at {share:.0f}% of a bf16 matrix product's {peak / 1e12:.0f} Tflop/s")
    print(f"batch {size}: {SEGMENTS:,} segments, {EPOCHS} + {EPOCHS} epochs would take {seconds / 60:.1f} min")


def main(argv: Sequence[str] | None = None) -> None:
    """Times what the options ask for and prints a table for each batch size."""
    options = tyro.cli(Options, args=argv)
    bench = Bench(options)
    print(f"{options.backbone}, {options.names} names, {describe(bench.device)}")
    for size in options.batch_sizes:
        times: dict[str, Timing] = {}
        rows = [["", "median ms", "min - max ms", "ratio"]]
        if "2" in options.stages:
            times |= second_stage(bench, size, options.repeats)
            speed = times["naive step"].median / times["stage 2 from cache"].median
            rows += [[name, *times[name].cells(), ""] for name in ("naive step", "stage 2 from cache")]
            rows[-1][-1] = f"{speed:.1f}x faster"
        if "1" in options.stages:
            times |= first_stage(bench, size, options.repeats)
            times |= with_data(bench, size, options.repeats, options.workers)
            for name, rival in (("stage 1", "bare tower"), ("crops from disk", "crops in memory")):
                ratio = times[name].median / times[rival].median
                rows += [[rival, *times[rival].cells(), ""], [name, *times[name].cells(), f"{ratio:.2f}x the time"]]
        print(align(rows))
        if "crops in memory" in times:
            waiting = 1 - times["crops in memory"].median / times["crops from disk"].median
            print(f"batch {size}: a step of stage 1 waits for its data {100 * max(0.0, waiting):.0f}% of its time")
        if bench.device.type == "cuda" and {"1", "2"} <= set(options.stages):
            print_gpu_figures(bench, size, times["stage 1"], times["stage 2 from cache"], options.repeats)


if __name__ == "__main__":
    main()
