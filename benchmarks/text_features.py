"""Text features of many class names: OpenDASCLIP.encode_text against open_clip's own encode_text, same weights.

    python benchmarks/text_features.py --backbone ViT-B-16 --device cpu

Both start from token ids and end with features; that the features are equal is checked before anything is timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import open_clip
import torch
import tyro
from timing import describe, race

from opendas_plugin.eval.report import align
from opendas_plugin.model.adapted_clip import OpenDASCLIP
from opendas_plugin.vocabulary import Vocabulary


@dataclass(frozen=True)
class Options:
    """Text features: OpenDASCLIP.encode_text against open_clip's encode_text."""

    backbone: str = "ViT-B-16"
    """open_clip model name, OpenAI-format file, or office-tiny."""
    pretrained: str | None = None
    """open_clip tag or weight file; None: random weights, which take as long."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to run."""
    names: int = 150
    """Class names: the first ones of ImageNet."""
    repeats: int = 5
    """Timed turns."""
    tolerance: float = 1e-5
    """Largest difference of a feature."""


@torch.no_grad()
def main(argv: Sequence[str] | None = None) -> None:
    """Checks that both give the same features, times them in turns and prints the table."""
    options = tyro.cli(Options, args=argv)
    device = torch.device(options.device)
    clip = OpenDASCLIP.from_backbone(options.backbone, options.pretrained, device=device)
    vocabulary = Vocabulary(names=tuple(dict.fromkeys(open_clip.IMAGENET_CLASSNAMES))[: options.names])
    tokens = clip.tokenize(vocabulary.texts())
    padded = tokens.to(device)

    difference = (clip.encode_text(tokens) - clip.model.encode_text(padded)).abs().max().item()
    if difference > options.tolerance:
        raise SystemExit(f"the features differ by {difference:.1e}, more than {options.tolerance:.0e}")
    rival, own = "open_clip encode_text", "OpenDASCLIP.encode_text"
    times = race(
        {rival: lambda: clip.model.encode_text(padded), own: lambda: clip.encode_text(tokens)},
        repeats=options.repeats,
        device=device,
    )
    print(f"{options.backbone}, {len(tokens)} names, {describe(device)}; largest difference {difference:.1e}")
    rows = [[name, *time.cells(), f"{times[rival].median / time.median:.1f}x"] for name, time in times.items()]
    print(align([["", "median ms", "min - max ms", "speed"], *rows]))


if __name__ == "__main__":
    main()
