"""One picture file, decoded: whatever its mode, orientation and size, it becomes RGB that fits a square.

Pillow only; hostile files (bombs, truncated, of another type) raise BadPicture.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is opened at all: no format that starts another program (EPS) or fetches anything."""

_EXIF_ORIENTATION: Final = 274
_16_BIT: Final = ("PNG", "PPM")
"""Formats of 16 bits at most, which Pillow may hold in 32."""

_TURNED: Final = {
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientations that swap width and height, and what leads back from the picture as viewers show it."""


class BadPicture(ValueError):
    """A file that gives no picture, and why."""


@contextmanager
def strict_warnings() -> Iterator[None]:
    """Pillow's warnings about odd files stay quiet, the one about decompression bombs is an error.

    Around all decoding threads, not in each: Python's warning filters belong to the process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def fitted(height: int, width: int, resolution: int) -> tuple[int, int]:
    """Height and width of a picture whose longest side becomes `resolution`, in whole pixels."""
    scale = resolution / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def decode(data: bytes, size: tuple[int, int], resolution: int) -> NDArray[np.uint8]:
    """RGB of shape (resolution, resolution, 3): the picture top left, longest side `resolution`, then zeros.

    `size` is (height, width) by the annotation file. It also says which way up the boxes are: if it is the
    size of the stored pixels of a picture that EXIF turns by 90 degrees, the boxes were drawn on the stored
    pixels and EXIF is left aside. In every other case (size after turning, or an orientation that keeps
    the size) boxes are taken to be drawn on the picture as viewers show it. Raises BadPicture.

    Call it inside `strict_warnings()`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _square(image, size, resolution)
    except (BadPicture, MemoryError):
        raise
    # Decoders raise a zoo of types on broken bytes (OSError, SyntaxError, struct.error, EOFError ...).
    except Exception as error:
        raise BadPicture(" ".join(str(error).split()) or type(error).__name__) from error


def _square(image: Image.Image, size: tuple[int, int], resolution: int) -> NDArray[np.uint8]:
    back = _TURNED.get(image.getexif().get(_EXIF_ORIENTATION, 0))
    turned, shown = back is not None, image.format == "TIFF"  # which Pillow turns by itself as it loads it
    stored = (image.width, image.height) if turned and shown else (image.height, image.width)
    as_stored = turned and stored == size and stored[0] != stored[1]
    if size != stored and not (turned and size == stored[::-1]):
        raise BadPicture(
            f"it has {stored[1]} x {stored[0]} pixels, the annotation file says {size[1]} x {size[0]}"
        )
    # JPEG decoders can halve while decoding; twice the target keeps the final resize well sampled.
    image.draft(image.mode, (2 * resolution, 2 * resolution))
    form = image.format
    if as_stored:
        image = image.transpose(back) if back is not None and shown else image
    else:
        image = ImageOps.exif_transpose(image)
    rgb = _rgb(image, form)
    height, width = fitted(*size, resolution)
    canvas = np.zeros((resolution, resolution, 3), np.uint8)
    canvas[:height, :width] = np.asarray(
        rgb.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    )
    return canvas


def _rgb(image: Image.Image, form: str | None) -> Image.Image:
    """Grey, palette, CMYK and 16-bit pictures to RGB; transparency is dropped, as other loaders do."""
    if image.mode.startswith("I;16") or (image.mode == "I" and form in _16_BIT):
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("I", "F"):
        raise BadPicture("its pixels are 32-bit numbers, and nothing says which of them is white")
    if image.mode == "P":
        image = image.convert("RGBA")
    return image.convert("RGB")
