"""The picture of an answer: the best masks, each in a photo and in the cloud, and how well all others fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation

from opendas_plugin.eval.queries import Answer, Match, colour_of, ramp
from opendas_plugin.scenes.views import Projector
from opendas_plugin.wording import counted

_WIDTH = 480
"""Pixels that a picture is at least wide, so that its words fit."""
_BAR = 26
_SHOWN = 5


def draw_answer(
    projector: Projector,
    views: dict[int, int],
    columns: dict[int, int],
    found: Answer,
    painted: NDArray[np.uint8],
    heated: NDArray[np.uint8],
) -> Image.Image:
    """A row for each of the first five masks, and one for the cosines of all.

    Each bears rank, cosine, mask, points and picture. The last row is the cloud from where the best mask is seen.

    Args:
        projector: the scene, with the masks in question.
        views: mask -> the picture that shows most of it.
        columns: mask -> its column there.
        found: what to draw.
        painted: (N, 3) the cloud with the masks painted over.
        heated: (N, 3) the cloud coloured by cosine.
    """
    height, width = projector.views.size
    factor = max(1, -(-_WIDTH // width))
    wide, high = factor * width, factor * height
    best = found.best[:_SHOWN]
    sheet = Image.new("RGB", (2 * wide, _BAR + (len(best) + 1) * (high + _BAR) + _BAR), (255, 255, 255))
    _write(sheet, (8, 0), f'"{found.text}"')
    for place, match in enumerate(best):
        view, top = views[match.mask], _BAR + place * (high + _BAR)
        pixels = _pixels(projector, columns[match.mask], view)
        _caption(sheet, top, match, projector.views.colour[view])
        photo = _tinted(projector, view, pixels, match.rank)
        for left, picture in ((0, photo), (wide, splat(projector, view, painted))):
            enlarged = Image.fromarray(picture).resize((wide, high), Image.Resampling.NEAREST)
            if left == 0:
                _tag(enlarged, pixels, width, factor, match.rank)
            sheet.paste(enlarged, (left, top + _BAR))
    view, top = views[best[0].mask], _BAR + len(best) * (high + _BAR)
    _write(sheet, (8, top), f'all masks by their cosine with "{found.text}", seen from {_name(projector, view)}')
    whole = Image.fromarray(projector.views.read_colour(view)).resize((wide, high), Image.Resampling.BILINEAR)
    sheet.paste(whole, (0, top + _BAR))
    cloud = Image.fromarray(splat(projector, view, heated)).resize((wide, high), Image.Resampling.NEAREST)
    sheet.paste(cloud, (wide, top + _BAR))
    _scale(sheet, top + _BAR + high, found.span)
    return sheet


def splat(projector: Projector, view: int, colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The cloud as a picture's camera sees it, (H, W, 3): a square for each point, the near ones on top."""
    (height, width), reach = projector.views.size, _reach(projector)
    image = np.full((height, width, 3), 255, dtype=np.uint8)
    x, y, z = projector.views.scaled_intrinsic @ projector.extrinsics[view] @ projector.homogeneous.T
    front = np.flatnonzero(z > 0.05)
    front = front[np.argsort(-z[front], kind="stable")]
    column, row = (x[front] / z[front]), (y[front] / z[front])
    inside = (column >= reach) & (row >= reach) & (column < width - reach) & (row < height - reach)
    front, column, row = front[inside], column[inside].astype(int), row[inside].astype(int)
    nearest = np.full((height, width), -1)
    for down, right in np.ndindex(2 * reach + 1, 2 * reach + 1):
        np.maximum.at(nearest, (row + down - reach, column + right - reach), np.arange(len(front)))  # later is nearer
    image[nearest >= 0] = colours[front[nearest[nearest >= 0]]]
    return image


def _reach(projector: Projector) -> int:
    """How many pixels a point is drawn to each side, so that a cloud of 2 cm looks closed."""
    return max(1, projector.views.size[1] // 240)


def _pixels(projector: Projector, column: int, view: int) -> NDArray[np.int64]:
    """The pixels, row * width + column, on which a mask is seen."""
    owners, pixels = projector.mask_pixels(projector.visible(view))
    return pixels[owners == column]


def _tinted(projector: Projector, view: int, pixels: NDArray[np.int64], rank: int) -> NDArray[np.uint8]:
    """A photo at the depth map's size, with a mask tinted."""
    height, width = projector.views.size
    colour = Image.fromarray(projector.views.read_colour(view))
    photo = np.array(colour.resize((width, height), Image.Resampling.BILINEAR))
    tint = _thickened(pixels, (height, width), _reach(projector))
    photo[tint] = (0.4 * photo[tint] + 0.6 * np.array(colour_of(rank))).astype(np.uint8)
    return photo


def _tag(picture: Image.Image, pixels: NDArray[np.int64], width: int, factor: int, rank: int) -> None:
    """Writes the rank on the middle of a mask: on the pixel of it that is nearest to its mean."""
    if not len(pixels):
        return
    at = np.stack(np.divmod(pixels, width), axis=1)
    y, x = factor * at[((at - at.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    draw = ImageDraw.Draw(picture)
    draw.ellipse((x - 11, y - 11, x + 11, y + 11), fill=(255, 255, 255), outline=(0, 0, 0))
    draw.text((x, y), str(rank), fill=(0, 0, 0), font=_font(), anchor="mm")


def _caption(sheet: Image.Image, top: int, match: Match, picture: Path) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((8, top + 6, 22, top + 20), fill=colour_of(match.rank))
    words = (
        f"{match.rank}.   cosine {match.cosine:.4f}   mask {match.mask}, {counted(match.points, 'point')}   "
        f"{picture.name}"
    )
    _write(sheet, (30, top), words)


def _scale(sheet: Image.Image, top: int, span: tuple[float, float]) -> None:
    """The colours of the cosines, between the lowest and the highest."""
    low, high = (f"{value:.4f}" for value in span)
    draw = ImageDraw.Draw(sheet)
    left = 16 + int(draw.textlength(low, font=_font()))
    bar = np.repeat(ramp(np.linspace(0, 1, 240))[None], 14, axis=0)
    _write(sheet, (8, top), low)
    sheet.paste(Image.fromarray(bar), (left, top + 6))
    _write(sheet, (left + 248, top), f"{high}   (light grey: in no mask that a picture shows)")


def _write(sheet: Image.Image, at: tuple[int, int], words: str) -> None:
    ImageDraw.Draw(sheet).text((at[0], at[1] + _BAR // 2), words, fill=(0, 0, 0), font=_font(), anchor="lm")


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(15)


def _name(projector: Projector, view: int) -> str:
    return projector.views.colour[view].name


def _thickened(pixels: NDArray[np.int64], size: tuple[int, int], reach: int) -> NDArray[np.bool_]:
    """Pixels (row * width + column) and those up to ``reach`` beside them, bool (H, W)."""
    mask = np.zeros(size, dtype=bool)
    mask.flat[pixels] = True
    return binary_dilation(mask, np.ones((2 * reach + 1, 2 * reach + 1)))
