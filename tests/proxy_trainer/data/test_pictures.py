"""One picture: every mode and orientation ends upright in RGB, and nothing hostile gets through."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proxy_trainer.data.pictures import BadPicture, decode, fitted, strict_warnings


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def marked(height: int = 40, width: int = 60) -> Image.Image:
    """Grey with a bright square of 10 x 10 at x 5..15, y 20..30."""
    pixels = np.full((height, width), 60, np.uint8)
    pixels[20:30, 5:15] = 250
    return Image.fromarray(pixels)


def square_of(pixels: np.ndarray[Any, Any]) -> list[int]:
    ys, xs = np.nonzero(pixels.mean(axis=2) > 155)
    return [int(ys.min()), int(xs.min()), int(ys.max()) + 1, int(xs.max()) + 1]


def modes() -> dict[str, bytes]:
    grey = marked()
    alpha = grey.convert("RGBA")
    alpha.putalpha(128)
    palette = grey.convert("P")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return {
        "grey png": stored(grey),
        "grey jpeg": stored(grey, "JPEG", quality=95),
        "rgb": stored(grey.convert("RGB")),
        "rgba": stored(alpha),
        "grey alpha": stored(grey.convert("LA")),
        "palette": stored(palette),
        "palette, transparent": stored(palette, transparency=b"\x00\x80"),
        "two colours": stored(grey.point(lambda v: 255 * (v > 100)).convert("1")),
        "16 bit": stored(wide),
        "cmyk jpeg": stored(grey.convert("RGB").convert("CMYK"), "JPEG", quality=95),
        "cmyk tiff": stored(grey.convert("RGB").convert("CMYK"), "TIFF"),
        "mpo": stored(grey.convert("RGB"), "MPO", save_all=True, append_images=[marked().convert("RGB")]),
        "webp": stored(grey.convert("RGB"), "WEBP", quality=95),
        "animated gif": stored(grey, "GIF", save_all=True, append_images=[Image.new("L", (60, 40))]),
        "animated webp": stored(
            grey.convert("RGB"), "WEBP", quality=95, save_all=True, append_images=[Image.new("RGB", (60, 40))]
        ),
        "tiff of two pages": stored(grey, "TIFF", save_all=True, append_images=[Image.new("L", (60, 40))]),
        "16 bit pgm": b"P5 60 40 65535\n" + (np.asarray(grey).astype(">u2") * 257).tobytes(),
    }


@pytest.mark.parametrize("mode", modes())
def test_every_mode_becomes_rgb(mode: str) -> None:
    with strict_warnings():
        pixels = decode(modes()[mode], (40, 60), 60)
    assert pixels.shape == (60, 60, 3)
    assert square_of(pixels) == [20, 5, 30, 15]
    np.testing.assert_allclose(pixels[25, 10].astype(int), 250, atol=8)
    np.testing.assert_allclose(pixels[5, 30].astype(int), 0 if mode == "two colours" else 60, atol=8)
    assert not pixels[40:].any()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])  # Pillow turns a TIFF by itself
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_drawn_on_what_viewers_show(orientation: int, form: str) -> None:
    """The file stores the picture turned; viewers (and annotators) see the marker where it belongs."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[274] = orientation
    turned = marked() if orientation == 1 else marked().transpose(undo[orientation])
    pixels = decode(stored(turned, form, exif=exif), (40, 60), 60)
    assert square_of(pixels) == [20, 5, 30, 15]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_drawn_on_the_stored_pixels_when_the_sizes_say_so(orientation: int, form: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    pixels = decode(stored(marked(), form, exif=exif), (40, 60), 60)
    assert square_of(pixels) == [20, 5, 30, 15]


@pytest.mark.parametrize(
    ("height", "width", "resolution", "expected"),
    [
        (40, 60, 30, (20, 30)),
        (60, 40, 120, (120, 80)),
        (1, 1000, 100, (1, 100)),
        (427, 640, 128, (85, 128)),
        (7, 7, 7, (7, 7)),
    ],
)
def test_the_longest_side_fits(height: int, width: int, resolution: int, expected: tuple[int, int]) -> None:
    assert fitted(height, width, resolution) == expected


def test_reduction_averages() -> None:
    """A fine checkerboard turns grey instead of aliasing, through JPEG's own reduction as well."""
    checks = Image.fromarray(((np.indices((512, 512)).sum(axis=0) % 2) * 255).astype(np.uint8))
    for data in (stored(checks), stored(checks, "JPEG", quality=95)):
        assert np.abs(decode(data, (512, 512), 64)[4:-4, 4:-4].astype(int) - 128).max() < 12


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


HOSTILE = {
    "empty": b"",
    "text": b"not a picture",
    "truncated jpeg": stored(marked(400, 600), "JPEG")[:2000],
    "truncated png": stored(marked(400, 600))[:200],
    "postscript": stored(marked().convert("RGB"), "EPS"),
    "bomb": bomb(),
    "bomb of a gif": b"GIF89a" + struct.pack("<HHBBB", 65_000, 65_000, 0, 0, 0) + b";",
    "bomb of a bmp": b"BM"
    + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, 60_000, 60_000, 1, 1, *[0] * 6),
    "no pixels": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, 0, 0, 1, 24, *[0] * 6),
    "archive": b"PK\x03\x04" + bytes(200),
    "page": b"<html><body>404 not found</body></html>",
    "drawing": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "floats": stored(Image.fromarray(np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)), "TIFF"),
    "whole numbers of 32 bits": stored(Image.fromarray(np.full((40, 60), 2**30, np.int32)), "TIFF"),
    "text of a terabyte": b"P1 1000000 1000000\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused(kind: str) -> None:
    size = (60_000, 60_000) if "bomb" in kind else (400, 600) if "truncated" in kind else (40, 60)
    with strict_warnings(), pytest.raises(BadPicture) as caught:
        decode(HOSTILE[kind], size, 64)
    assert "\n" not in str(caught.value)
    if kind == "postscript":  # not even opened: Pillow would start Ghostscript
        assert "cannot identify" in str(caught.value)


def test_a_bomb_of_twice_the_limit_and_one_just_above_it() -> None:
    large = Image.new("1", (10_000, 9_000))  # just above Pillow's limit, where it only warns
    with strict_warnings(), pytest.raises(BadPicture, match="decompression bomb"):
        decode(stored(large), (9_000, 10_000), 64)


def test_another_size_than_the_annotations_say_is_refused() -> None:
    with pytest.raises(BadPicture, match="it has 60 x 40 pixels, the annotation file says 50 x 40"):
        decode(stored(marked()), (40, 50), 64)
    with pytest.raises(BadPicture, match="it has 60 x 40 pixels"):
        decode(stored(marked()), (60, 40), 64)  # turned, but the file has no EXIF that says so
