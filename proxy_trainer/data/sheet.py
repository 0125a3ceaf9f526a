"""A contact sheet: annotated pictures in a grid, to look at a data set before anything is trained on it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from proxy_trainer.data.image_set import ImageSet
from proxy_trainer.data.rectangles import meet

_GAP: Final = 6
_MOST_TAGS: Final = 8
_PAPER: Final = (24, 24, 27)
_CROWD: Final = (235, 235, 235)


def contact_sheet(images: ImageSet, *, count: int = 24, columns: int = 6, tile: int = 256) -> Image.Image:
    """The first `count` pictures, the longest side `tile` pixels, with boxes, class names and a legend.

    Crowd regions are hatched in white.
    """
    rows = range(min(count, len(images)))
    tiles = [_tile(images, row, tile) for row in rows]
    columns = min(columns, len(tiles))
    lines = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    shown = sorted({int(label) for row in rows for label in images.labels[row]})
    width = columns * (tile + _GAP) + _GAP
    legend = _legend(images, shown, width)
    heights = [max(picture.height for picture in line) + _GAP for line in lines]
    sheet = Image.new("RGB", (width, sum(heights) + _GAP + legend.height), _PAPER)
    for number, line in enumerate(lines):
        for column, picture in enumerate(line):
            sheet.paste(picture, (_GAP + column * (tile + _GAP), _GAP + sum(heights[:number])))
    sheet.paste(legend, (0, sheet.height - legend.height))
    return sheet


def class_colour(label: int) -> tuple[int, int, int]:
    """A bright colour per label; neighbours differ most (golden angle of hues)."""
    red, green, blue = colorsys.hsv_to_rgb((0.13 + label * 0.618034) % 1, 0.75 if label % 2 else 0.95, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_boxes(
    picture: Image.Image,
    boxes: NDArray[np.float32],
    colours: Sequence[tuple[int, int, int]],
    names: Sequence[str],
) -> None:
    """Boxes (y1, x1, y2, x2) in pixels of the picture, large ones first, tags on top.

    Where there are many, only the largest box of each name has a tag.
    """
    draw = ImageDraw.Draw(picture)
    order = np.argsort([-(y2 - y1) * (x2 - x1) for y1, x1, y2, x2 in boxes.tolist()]).tolist()
    for number in order:
        y1, x1, y2, x2 = boxes[number].tolist()
        edge = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        draw.rectangle((edge[0] - 1, edge[1] - 1, edge[2] + 1, edge[3] + 1), outline=(0, 0, 0))
        draw.rectangle(edge, outline=colours[number], width=2)
    taken: list[tuple[float, float, float, float]] = []
    first = {names[number]: number for number in reversed(order)}
    for number in order if len(order) <= _MOST_TAGS else first.values():
        _tag(draw, boxes[number].tolist(), colours[number], names[number], taken)


def _tile(images: ImageSet, row: int, tile: int) -> Image.Image:
    scale = tile / images.resolution
    height, width = images.contents[row].tolist()
    content = Image.fromarray(images.pixels[row][:height, :width])
    picture = content.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    for box in images.crowds[row] * scale:
        _hatch(picture, box.tolist())
    labels = images.labels[row].tolist()
    draw_boxes(
        picture,
        images.boxes[row] * np.float32(scale),
        [class_colour(label) for label in labels],
        [images.categories[label].name for label in labels],
    )
    return picture


def _tag(
    draw: ImageDraw.ImageDraw,
    box: Sequence[float],
    colour: tuple[int, int, int],
    name: str,
    taken: list[tuple[float, float, float, float]],
) -> None:
    """The class name above, below or in the box; left out where it would cover another tag."""
    font = ImageFont.load_default(10)
    y1, x1, y2, _ = box
    width, height = draw.textlength(name, font) + 4, 12
    left = min(x1, draw.im.size[0] - width)
    for top in (y1 - height, y2, y1):
        place = (left, top, left + width, top + height)
        free = not any(meet(place, other) for other in taken)
        if free and left >= 0 and top >= 0 and top + height <= draw.im.size[1]:
            taken.append(place)
            draw.rectangle(place, fill=colour)
            draw.text((left + 2, top), name, fill=(0, 0, 0), font=font)
            return


def _hatch(picture: Image.Image, box: Sequence[float]) -> None:
    y1, x1, y2, x2 = (round(value) for value in box)
    width, height = max(1, x2 - x1), max(1, y2 - y1)
    lines = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(lines)
    for start in range(-height, width, 8):
        draw.line((start, height, start + height, 0), fill=150)
    draw.rectangle((0, 0, width - 1, height - 1), outline=255)
    picture.paste(_CROWD, (x1, y1), lines)


def _legend(images: ImageSet, shown: list[int], width: int) -> Image.Image:
    """Classes of the sheet in their colours, as many lines as it takes."""
    font = ImageFont.load_default(13)
    entries = [(class_colour(label), images.categories[label].name) for label in shown]
    if any(len(crowds) for crowds in images.crowds):
        entries.append((_CROWD, "crowd (hatched)"))
    scratch = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    places, x, y = [], 2 * _GAP, 4
    for colour, name in entries:
        length = round(scratch.textlength(name, font)) + 34
        if x + length > width and x > 2 * _GAP:
            x, y = 2 * _GAP, y + 20
        places.append((x, y, colour, name))
        x += length
    legend = Image.new("RGB", (width, y + 24), _PAPER)
    draw = ImageDraw.Draw(legend)
    for x, y, colour, name in places:
        draw.rectangle((x, y + 3, x + 11, y + 14), fill=colour)
        draw.text((x + 17, y), name, fill=(230, 230, 230), font=font)
    return legend
