"""Stage 1 on a GPU by a formula: memory, segments a second, hours of a large run. Nothing in the table is measured.

    python benchmarks/costs.py            # the table
    python benchmarks/costs.py --check    # the formula's memory beside this CPU's, in fp32

Bytes of a segment: for each layer and token, what backward reads of it, counted over the operations of
``PlainVisual.run`` with frozen weights. In values of the tower's width: the inputs of both LayerNorms (2); query, key
and value, which lie together (3); keys and values with the learnt ones behind them (2); what attention gathered (1);
the MLP's inside, once for GELU (4) and twice for QuickGELU (8). The last layer has one query. With checkpointing: the
state between two layers (1), and the above of one layer. bf16 autocast runs LayerNorm in fp32 on CUDA and keeps bf16
copies of the frozen weights, those of keys and values twice. Operations: 24 width^2 + 4 length width for each layer
and token forwards, as many backwards (frozen weights have no gradient), and once more with checkpointing.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import first_stage
import open_clip
import torch
import tyro
from train_step import Bench
from train_step import Options as BenchOptions

from opendas_plugin.crops import OPENAI_PIXELS
from opendas_plugin.eval.report import align
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.model.config import PromptConfig

SEGMENTS, EPOCHS, ENCODINGS = 200_000, 5, 2
"""A large run: segments, epochs of stage 1, and passes without gradient (plain CLIP's features, and stage 2's)."""
GPUS = {"H200": 989e12, "A100": 312e12}
"""bf16 operations a second of dense matrix products, as NVIDIA's data sheets state them."""


@dataclass(frozen=True)
class Options:
    """The table, or a check of its memory."""

    backbones: tuple[str, ...] = ("ViT-B-16-quickgelu", "ViT-L-14-quickgelu", "ViT-L-14-336-quickgelu", "ViT-H-14")
    """open_clip's plain ViTs."""
    batch_sizes: tuple[int, ...] = (16, 64, 256)
    """Segments a step."""
    share: float = 0.4
    """Share of a GPU's stated rate that is assumed."""
    check: bool = False
    """Measure peaks on this CPU instead, of the first backbone."""
    check_size: int = 2
    """Segments a step of the check."""
    repeats: int = 3
    """Runs of its peaks."""


@dataclass(frozen=True)
class Tower:
    """What the formula knows of a backbone; ``values`` are those of both towers' weights, ``visual`` of one."""

    depth: int
    width: int
    length: int
    inside: int
    values: int
    visual: int
    tokens: int = PromptConfig().visual_tokens

    @classmethod
    def of(cls, name: str) -> Tower:
        """That of an open_clip model, from its shapes."""
        model = OpenDASCLIP.from_backbone(name, device="meta").model
        config, quick = model.visual, open_clip.get_model_config(name).get("quick_gelu", False)
        values = sum(tensor.numel() for tensor in model.parameters())
        visual = sum(tensor.numel() for tensor in config.parameters())
        length, width = config.positional_embedding.shape
        return cls(len(config.transformer.resblocks), width, length, 8 if quick else 4, values, visual)

    def kept(self, *, bf16: bool, recompute: bool) -> float:
        """Bytes of a segment that wait for backward, at most."""
        narrow, wide = (2, 4) if bf16 else (4, 4)
        rest = 3 + 1 + self.inside + 2 * (1 + self.tokens / self.length)
        layer = self.length * self.width * (2 * wide + rest * narrow)
        last = self.length * self.width * (wide + 2 * narrow)
        if recompute:
            return self.depth * self.length * self.width * narrow + layer
        return (self.depth - 1) * layer + last

    def gib(self, batch: int, *, bf16: bool, recompute: bool) -> float:
        """What a step holds beside the weights; backward's own values are those of one layer's inside, twice."""
        own = 2 * 4 * self.length * self.width * (2 if bf16 else 4)
        copies = 2 * (self.visual + 2 * self.depth * self.width**2) if bf16 else 0
        return (batch * (self.kept(bf16=bf16, recompute=recompute) + own) + copies) / 2**30

    def operations(self, *, passes: int) -> float:
        """Of a segment through the tower, so many times."""
        return passes * self.depth * self.length * (24 * self.width**2 + 4 * self.length * self.width)


def table(options: Options) -> str:
    """The computed rows."""
    rows = [["backbone", "batch", "GiB", "GiB checkpointed", *(f"{gpu}: segments/s" for gpu in GPUS),
             *(f"{gpu}: hours" for gpu in GPUS)]]  # fmt: skip
    for name in options.backbones:
        tower = Tower.of(name)
        weights = 4 * tower.values / 2**30
        for batch in options.batch_sizes:
            gib = [weights + tower.gib(batch, bf16=True, recompute=recompute) for recompute in (False, True)]
            rates = [options.share * peak / tower.operations(passes=2) for peak in GPUS.values()]
            hours = [SEGMENTS * (EPOCHS + ENCODINGS / 2) / rate / 3600 for rate in rates]
            cells = [*(f"{one:.1f}" for one in gib), *(f"{one:.0f}" for one in rates), *(f"{one:.2f}" for one in hours)]
            rows.append([name, str(batch), *cells])
    return align(rows)


def check(options: Options) -> str:
    """The formula beside what autograd saves of a forward pass, and beside the process's peak over three steps."""
    name, size = options.backbones[0], options.check_size
    bench, tower = Bench(BenchOptions(backbone=name)), Tower.of(name)
    rows = [["", "formula GiB", "measured GiB", "min - max", "formula / measured"]]

    def add(title: str, formula: float, found: Sequence[float]) -> None:
        middle, spread = statistics.median(found), f"{min(found):.3f} - {max(found):.3f}"
        rows.append([title, f"{formula:.3f}", f"{middle:.3f}", spread, f"{formula / middle:.3f}"])

    add("kept for backward", size * tower.kept(bf16=False, recompute=False) / 2**30, [kept(bench, size)])
    for variant in first_stage.VARIANTS[:2]:
        work = functools.partial(first_stage.measure, bench, first_stage.Settings(name, size), variant)
        found = [first_stage.forked(work).gib for _ in range(options.repeats)]
        add(f"peak, {variant}", tower.gib(size, bf16=False, recompute=variant != first_stage.PLAIN), found)
    return f"{name}, batch {size}, fp32, {torch.get_num_threads()} threads, {options.repeats} runs\n{align(rows)}"


def kept(bench: Bench, size: int) -> float:
    """GiB that autograd saves of a forward pass, by torch's own hooks, each storage once and weights left out."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in bench.clip.model.parameters()}
    found: dict[int, int] = {}

    def see(tensor: torch.Tensor) -> torch.Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    bench.clip.text_prompts.requires_grad_(False)
    with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
        features = bench.clip.encode_image(OPENAI_PIXELS.normalise(bench.batch(size)[0]))
    del features  # held its graph
    return sum(bytes_ for place, bytes_ in found.items() if place not in weights) / 2**30


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table, or the check."""
    options = tyro.cli(Options, args=argv)
    print(check(options) if options.check else table(options))


if __name__ == "__main__":
    main()
