"""The README's picture: ``python docs/site/picture.py runs/data/office runs/office/adapter docs/pictures/office.jpg``.

Of the validation pictures with ten true masks or more that one is taken on which most masks change from a wrong name to
the right one; it is chosen to show what can change, and is no figure.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from opendas_plugin import Labeller
from opendas_plugin.data.domain import load_domain
from opendas_plugin.data.images import read_image
from opendas_plugin.eval.named_overlay import draw_named
from opendas_plugin.eval.overlays import name_colours

MOST = 120  # pictures that are looked at


def main(data: str, adapter: str, output: str) -> None:
    """Draws the picture."""
    domain = load_domain(Path(data))
    names = domain.vocabulary.names
    adapted = Labeller(adapter, names)
    plain = Labeller(adapted.clip.plain(), names, template=adapted.text.template, crops=adapted.crops)
    of_picture = defaultdict(list)
    for segment in domain.val:
        of_picture[segment.image].append(segment)
    best, gain = None, -1
    for path in [path for path, own in of_picture.items() if len(own) >= 10][:MOST]:
        picture, own = read_image(path), of_picture[path]
        masks = [coco_mask.decode(segment.rle).astype(bool) for segment in own]
        before, after = plain(picture, masks).names, adapted(picture, masks).names
        won = sum((b != s.label) + (a == s.label) == 2 for s, b, a in zip(own, before, after, strict=True))
        lost = sum((b == s.label) + (a != s.label) == 2 for s, b, a in zip(own, before, after, strict=True))
        if won - lost > gain:
            best, gain = (picture, masks, before, after), won - lost
    if best is None:
        raise SystemExit(f"{data} has no validation picture with ten masks")
    picture, masks, before, after = best
    used = sorted({*before, *after})
    colours = list(name_colours(used).values())
    sides = []
    for found in (before, after):
        classes = np.full(picture.shape[:2], -1)
        for mask, name in sorted(zip(masks, found, strict=True), key=lambda pair: -pair[0].sum()):
            classes[mask] = used.index(name)
        sides.append(draw_named(picture, classes, used, colours))
    high = max(side.shape[0] for side in sides)
    padded = [np.pad(side, ((0, high - side.shape[0]), (0, 0), (0, 0)), constant_values=255) for side in sides]
    gap = np.full((high, 12, 3), 255, np.uint8)
    Image.fromarray(np.hstack([padded[0], gap, padded[1]])).save(output, "JPEG", quality=85)
    print(f"{gain} more masks are named right, of {len(masks)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
