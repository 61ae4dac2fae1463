"""Names of all masks of a photo: the labeller against a loop by hand, one mask at a time, same weights.

    python benchmarks/labeller.py --backbone office-tiny --width 2048 --height 1536 --masks 200

The loop is what a user writes without it: the mask's box cut out, open_clip's own preprocessing and towers, cosines
with every name. That both give the same is checked before anything is timed; reading the photo is not timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timing import describe, race

from opendas_plugin import CropPolicy, Labeller
from opendas_plugin.eval.report import align

NAMES = ("wall", "floor", "door", "door frame", "desk", "table", "window", "bottle", "book", "monitor")


@dataclass(frozen=True)
class Options:
    """Names of masks: the labeller against a loop by hand."""

    backbone: str = "office-tiny"
    """Any name of a CLIP, such as ViT-B-16/openai, or office-tiny."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to run."""
    width: int = 2048
    """Of the photo, in pixels."""
    height: int = 1536
    """Of the photo, in pixels."""
    masks: int = 100
    """Ellipses of random places and sizes."""
    batch_size: int = 64
    """Crops a forward."""
    repeats: int = 5
    """Timed turns."""
    tolerance: float = 1e-5
    """Largest difference of a cosine."""


def draw(options: Options) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A photo of noise, uint8 (H, W, 3), and masks, bool (M, H, W)."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (options.height // 16 + 1, options.width // 16 + 1, 3), dtype=np.uint8)
    photo = np.asarray(Image.fromarray(small).resize((options.width, options.height), Image.Resampling.BICUBIC))
    y, x = np.ogrid[: options.height, : options.width]
    masks = np.empty((options.masks, options.height, options.width), dtype=bool)
    for mask in masks:
        centre, radii = rng.random(2) * (options.height, options.width), 10 + rng.random(2) * options.height / 6
        mask[:] = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 <= 1
    return photo, masks


@torch.no_grad()
def by_hand(labeller: Labeller, photo: NDArray[np.uint8], masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The cosines (M, N), one mask at a time."""
    clip, picture, expand = labeller.clip, Image.fromarray(photo), labeller.crops.expand
    model = clip.model
    facts = PreprocessCfg(**{**model.visual.preprocess_cfg, "resize_mode": "squash"})
    preprocess = image_transform_v2(facts, is_train=False)
    texts = clip.tokenizer([f"a photo of a {name}." for name in NAMES]).to(clip.logit_scale.device)
    names = model.encode_text(texts, normalize=True)
    rows = []
    for mask in masks:
        y, x = np.nonzero(mask)
        x0, x1, y0, y1 = int(x.min()), int(x.max()) + 1, int(y.min()), int(y.max()) + 1
        dx, dy = round((x1 - x0) * expand / 2), round((y1 - y0) * expand / 2)
        box = max(x0 - dx, 0), max(y0 - dy, 0), min(x1 + dx, photo.shape[1]), min(y1 + dy, photo.shape[0])
        pixels = preprocess(picture.crop(box))[None].to(clip.logit_scale.device)
        rows.append((model.encode_image(pixels, normalize=True) @ names.T)[0])
    return torch.stack(rows).float().cpu().numpy()


def main(argv: Sequence[str] | None = None) -> None:
    """Checks that both give the same cosines, times them in turns and prints the table."""
    options = tyro.cli(Options, args=argv)
    photo, masks = draw(options)
    labeller = Labeller(
        options.backbone,
        NAMES,
        template="a photo of a {}.",
        crops=CropPolicy(),
        batch_size=options.batch_size,
        autocast=False,
        device=options.device,
    )
    difference = float(np.abs(labeller(photo, masks).cosines - by_hand(labeller, photo, masks)).max())
    if difference > options.tolerance:
        raise SystemExit(f"the cosines differ by {difference:.1e}, more than {options.tolerance:.0e}")
    loop, own = "a loop by hand", "Labeller"
    device = torch.device(options.device)
    contestants = {loop: lambda: by_hand(labeller, photo, masks), own: lambda: labeller(photo, masks)}
    times = race(contestants, repeats=options.repeats, device=device)
    size = f"{len(masks)} masks, {options.width}x{options.height}"
    print(f"{options.backbone}, {size}, {describe(device)}; largest difference {difference:.1e}")
    rows = [[name, *time.cells(), f"{times[loop].median / time.median:.1f}x"] for name, time in times.items()]
    print(align([["", "median ms", "min - max ms", "speed"], *rows]))


if __name__ == "__main__":
    main()
