"""A contact sheet of a prepared domain: a few pictures with masks and names, to see at a glance whether they fit.

The font that Pillow brings has the letters of English alone: accents are left out, and a name in another script is
shown by its number in the vocabulary.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from opendas_plugin.data.images import read_image
from opendas_plugin.data.segments import Segment
from opendas_plugin.eval.overlays import Colour, choose_images, name_colours, name_notes, paint
from opendas_plugin.files import atomic_file
from opendas_plugin.wording import counted

PICTURES = 6
_COLUMNS, _WIDE, _HIGH = 2, 560, 420  # of the sheet, and of a picture on it at most
_LARGEST = 4  # times a small picture's own size
_BAR, _GAP, _LEGEND, _LONGEST = 22, 8, 40, 28  # pixels of a line and between pictures; names, and letters of one


def write_contact_sheet(path: Path, segments: Sequence[Segment], names: Sequence[str]) -> None:
    """Draws the pictures with the most different names, at most one of a group as long as there are others.

    Args:
        path: the JPEG.
        segments: those to choose from.
        names: the vocabulary, which colours depend on.
    """
    colours = name_colours(names)
    chosen = set(choose_images(segments, PICTURES))
    by_image: dict[Path, list[Segment]] = {}
    for segment in segments:
        if segment.image in chosen:
            by_image.setdefault(segment.image, []).append(segment)
    said = {name: _drawable(name) or f"name {place}" for place, name in enumerate(names, 1)}
    cells = [_cell(image, own, colours, said) for image, own in sorted(by_image.items())]
    shown = Counter(segment.label for own in by_image.values() for segment in own)
    sheet = _sheet(cells, [(said[name], colours[name], shown[name]) for name in names if shown[name]])
    with atomic_file(path) as temporary:
        sheet.save(temporary, format="JPEG", quality=88)


def _cell(
    image: Path, segments: Sequence[Segment], colours: Mapping[str, Colour], said: Mapping[str, str]
) -> Image.Image:
    """A picture with its masks in colours, the names of the larger ones, and its file name below."""
    picture = read_image(image)
    height, width = picture.shape[:2]
    factor = min(_WIDE / width, _HIGH / height, _LARGEST)
    size = (max(1, round(factor * height)), max(1, round(factor * width)))
    rows, columns = (np.arange(now) * before // now for now, before in zip(size, (height, width), strict=True))
    masks = [segment.mask()[rows[:, None], columns] for segment in segments]
    small = np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))
    labels = [segment.label for segment in segments]
    painted = Image.fromarray(paint(small, masks, [colours[label] for label in labels]))
    cell = Image.new("RGB", (_WIDE, painted.height + _BAR), (255, 255, 255))
    cell.paste(painted, (0, 0))
    draw = ImageDraw.Draw(cell)
    for note in name_notes(masks, [said[label] for label in labels], [True] * len(masks)):
        _write_on(draw, note.x, note.y, _cut(note.text), painted.width)
    many = f"{len(segments)} segment{'s' if len(segments) > 1 else ''}"
    draw.text(
        (2, painted.height + _BAR / 2),
        f"{_cut(_drawable(image.name) or 'a picture', 50)}: {many}",
        (0, 0, 0),
        _font(),
        anchor="lm",
    )
    return cell


def _write_on(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, width: int) -> None:
    """Writes a name where it is said, moved in from the picture's edges, white with a dark rim."""
    half = draw.textlength(text, font=_font()) / 2 + 3
    x = min(max(x, half), max(half, width - half))
    draw.text((x, max(y, 9)), text, (255, 255, 255), _font(), anchor="mm", stroke_width=2, stroke_fill=(0, 0, 0))


def _sheet(cells: Sequence[Image.Image], legend: Sequence[tuple[str, Colour, int]]) -> Image.Image:
    """The pictures in rows, and below them the names with their colours and how many segments of each are shown."""
    rows = [cells[first : first + _COLUMNS] for first in range(0, len(cells), _COLUMNS)]
    across = 4
    listed = sorted(legend, key=lambda entry: -entry[2])[:_LEGEND]
    lines = -(-len(listed) // across) + (len(listed) < len(legend))
    wide = _COLUMNS * (_WIDE + _GAP) + _GAP
    high = _GAP + sum(max(cell.height for cell in row) + _GAP for row in rows) + lines * _BAR + _GAP
    sheet, top = Image.new("RGB", (wide, high), (255, 255, 255)), _GAP
    for row in rows:
        for place, cell in enumerate(row):
            sheet.paste(cell, (_GAP + place * (_WIDE + _GAP), top))
        top += max(cell.height for cell in row) + _GAP
    draw = ImageDraw.Draw(sheet)
    for place, (name, colour, count) in enumerate(listed):
        x, y = _GAP + place % across * (wide // across), top + place // across * _BAR
        draw.rectangle((x, y + 4, x + 14, y + 18), fill=colour)
        draw.text((x + 20, y + _BAR / 2), f"{_cut(name)} ({count})", (0, 0, 0), _font(), anchor="lm")
    if len(listed) < len(legend):
        more = f"and {counted(len(legend) - len(listed), 'more name')}"
        draw.text((_GAP, top + (lines - 0.5) * _BAR), more, (0, 0, 0), _font(), anchor="lm")
    return sheet


def _drawable(text: str) -> str | None:
    """A text in the letters of English, accents left out; None: it has others."""
    letters = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return plain if plain.isascii() and plain.isprintable() else None


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(15)
