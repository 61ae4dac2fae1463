"""All masks of a photo from one pass against a crop for each mask: time, and what the names are worth.

    python benchmarks/dense.py --backbone ViT-B-16/random
    python benchmarks/dense.py --backbone runs/office/adapter --data runs/data/office

The first times both on a photo of noise with ellipses as masks. With ``--data`` both name the domain's validation
segments, and W-F1, B-F1 and N-F1 of each are printed.
"""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro
from labeller import Options as Photo
from labeller import draw
from timing import describe, race

from opendas_plugin import Labeller
from opendas_plugin.data.domain import load_domain
from opendas_plugin.dense import DensePooling
from opendas_plugin.eval.report import align, evaluate_classification
from opendas_plugin.model.tower import DenseAttention
from opendas_plugin.negatives.words import word_list


@dataclass(frozen=True)
class Options(Photo):
    """Masks of a photo from one pass, and by crops."""

    width: int = 640
    """Of the photo, in pixels."""
    height: int = 480
    """Of the photo, in pixels."""
    names: int = 150
    """Names that compete, where there is no ``data``."""
    repeats: int = 3
    """Timed turns."""
    data: Path | None = None
    """Folder that opendas-prepare wrote, to score on."""
    attention: DenseAttention = "qq+kk"
    """How the last layer reads."""
    short_side: int | None = None
    """Of the resized photo, in pixels; None: twice the CLIP's size."""
    window: int | None = None
    """Of windows, in pixels; None: the photo at once."""


def main(options: Options) -> None:
    """Prints both tables."""
    pooling = DensePooling(options.attention, options.short_side, options.window)
    names = word_list()[: options.names]
    settings = {"batch_size": options.batch_size, "device": options.device}
    crops = Labeller(options.backbone, names, **settings)  # type: ignore[arg-type]
    dense = Labeller(crops.clip, names, pooling=pooling, batch_size=options.batch_size)
    device = crops.clip.logit_scale.device
    photo, masks = draw(options)
    contestants = {"crops": lambda: crops(photo, masks), "dense": lambda: dense(photo, masks)}
    times = race(contestants, repeats=options.repeats, device=device)
    ratio = times["crops"].median / times["dense"].median
    print(describe(device), f"{options.backbone}, {options.masks} masks, {len(names)} names, {photo.shape[:2]}")
    print(align([["", "ms", "spread"], *([name, *found.cells()] for name, found in times.items())]))
    print(f"crops / dense: {ratio:.1f}")
    if options.data is None:
        return
    domain, rows = load_domain(options.data), [["", "W-F1", "B-F1", "N-F1"]]
    for name, how in (("crops", "crops"), *((f"dense, {a}", dataclasses.replace(pooling, attention=a))
                                            for a in ("qq+kk", "value"))):  # fmt: skip
        labeller = Labeller(crops.clip, domain.vocabulary, pooling=how)  # type: ignore[arg-type]
        with tempfile.TemporaryDirectory() as folder:
            found = evaluate_classification(labeller, domain.val, domain.vocabulary, folder, figure=False)
        rows.append([name, *(f"{found[key]:.1f}" for key in ("w_f1", "b_f1", "n_f1"))])
    print(align(rows))


if __name__ == "__main__":
    main(tyro.cli(Options))
