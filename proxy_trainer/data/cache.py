"""Pictures decoded once: a memory-mapped uint8 array at one resolution, shared by all workers."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from proxy_trainer.data.annotations import Annotations, load_annotations, write_annotations
from proxy_trainer.data.coco import read_instances
from proxy_trainer.data.errors import DataError
from proxy_trainer.data.files import DAMAGED, locked, replacing
from proxy_trainer.data.pictures import BadPicture, decode, strict_warnings

_FORMAT: Final = 1
"""Counted up whenever the same files would give other pixels or other columns."""

MOST_BAD: Final = 0.01
"""Unusable pictures are left out below this share; from here on the set is refused."""

MOST_BYTES: Final = 2**28
"""Of one picture file; Pillow refuses more than 89 million pixels."""

_LARGE_PIXELS: Final = 2**24
"""Larger pictures are decoded one at a time, or many cores would need much memory."""

_AHEAD: Final = 128
_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BadImage:
    """A picture that is left out, and why."""

    file_name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelCache:
    """Decoded pictures, in the order of the annotations they were made for.

    `pixels` uint8 [N, R, R, 3], memory-mapped; `digests` uint8 [N, 16], a hash of each picture's file;
    `usable` bool [N]: the rows of bad pictures are zeros.
    """

    pixels: NDArray[np.uint8]
    digests: NDArray[np.uint8]
    usable: NDArray[np.bool_]
    bad: tuple[BadImage, ...]


def open_annotations(file: Path, empty_boxes: Literal["refuse", "drop"], cache_dir: Path) -> Annotations:
    """An instances file, parsed once for all workers. Raises DataError, CacheError."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read: {error.strerror}; expected a COCO instances file"
        ) from error
    digest = hashlib.blake2b(data, digest_size=16, key=f"{_FORMAT}|{empty_boxes}".encode()).hexdigest()
    path = cache_dir / f"annotations-{digest}.npz"

    def build() -> None:
        annotations = read_instances(file, data, empty_boxes=empty_boxes)
        with replacing(path) as out:
            write_annotations(out, annotations)

    return _load_or_build(path, lambda: load_annotations(path), build)


def open_pixels(images: Path, annotations: Annotations, resolution: int, cache_dir: Path) -> PixelCache:
    """The pictures of these annotations, decoded on first use; bad ones are named in a warning each time.

    A changed picture file (by name, size or time of change) is another cache. Raises DataError when a
    picture is missing or can't be read or 1 % or more are unusable, CacheError when the cache can't be
    written.
    """
    key = f"pixels-{resolution}-{_pictures_key(images, annotations, resolution)}"
    pixels, notes = cache_dir / f"{key}.npy", cache_dir / f"{key}.npz"

    def build() -> None:
        with replacing(pixels) as out, strict_warnings():
            facts = _decode_all(images, annotations, resolution, out)
        with replacing(notes) as out:  # last: where the notes are, the pixels are whole
            np.savez(out, digests=facts.digests, reasons=np.array(facts.reasons, dtype=np.str_))

    cache = _load_or_build(pixels, lambda: _load_pixels(pixels, notes, annotations, resolution), build)
    for bad in cache.bad:
        _LOG.warning("left out: %s: %s", images / bad.file_name, bad.reason)
    if cache.bad and len(cache.bad) >= MOST_BAD * len(annotations):
        raise DataError(
            f"{images}: {len(cache.bad)} of {len(annotations)} pictures cannot be used, the first is "
            f"{cache.bad[0].file_name}: {cache.bad[0].reason}; "
            "mend or remove them (fewer than 1 % are left out)"
        )
    return cache


def _load_or_build(path: Path, load: Callable[[], _T], build: Callable[[], None]) -> _T:
    """What is there, if it is whole; else built by whoever comes first while the others wait."""
    try:
        return load()
    except DAMAGED:
        with locked(path):
            try:
                return load()
            except DAMAGED:
                build()
            return load()


def _pictures_key(images: Path, annotations: Annotations, resolution: int) -> str:
    if not images.is_dir():
        raise DataError(f"{images}: is not a directory, expected the one that holds the pictures")
    digest = hashlib.blake2b(f"{_FORMAT}|{resolution}".encode(), digest_size=12)
    missing: list[str] = []
    inside = _Inside(images)
    for name, (height, width) in zip(annotations.file_names, annotations.sizes, strict=True):
        try:
            facts = (images / name).stat()
        except (OSError, ValueError):
            missing.append(name)
            continue
        if not stat.S_ISREG(facts.st_mode):
            missing.append(name)
        inside.check(name)
        digest.update(
            f"{name}|{height}|{width}|{facts.st_size}|{facts.st_mtime_ns}\n".encode(errors="replace")
        )
    if missing:
        raise DataError(
            f"{images}: {len(missing)} of {len(annotations)} pictures are missing, "
            f"the first is {missing[0]}; put them there, or remove them from the annotations"
        )
    return digest.hexdigest()


class _Inside:
    """Whether files are where their names say: a name is checked already, but a link may lead anywhere."""

    def __init__(self, images: Path) -> None:
        self._images = images
        self._root = images.resolve()
        self._parents: set[Path] = set()

    def check(self, name: str) -> None:
        path = self._images / name
        if path.parent not in self._parents:
            self._check(name, path.parent.resolve())
            self._parents.add(path.parent)
        if path.is_symlink():
            self._check(name, path.resolve())

    def _check(self, name: str, target: Path) -> None:
        if not target.is_relative_to(self._root):
            raise DataError(
                f"{self._images / name}: is a link to {target}, outside of the images directory; "
                "copy it there, or name the directory that holds all of them"
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Facts:
    digests: NDArray[np.uint8]
    reasons: list[str]


def _decode_all(images: Path, annotations: Annotations, resolution: int, out: IO[bytes]) -> _Facts:
    """Write all pictures as one .npy, in order, decoding ahead on all cores; note what was wrong with them.

    What is wrong with the disk or the memory is not noted but raised, as DataError: it may pass, and the
    cache stays.
    """
    count = len(annotations)
    shape = (count, resolution, resolution, 3)
    np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
    facts = _Facts(np.zeros((count, 16), np.uint8), [""] * count)
    blank = np.zeros(shape[1:], np.uint8)
    large = Lock()

    def one(row: int) -> NDArray[np.uint8]:
        try:
            data = _read(images / annotations.file_names[row])
            facts.digests[row] = np.frombuffer(hashlib.blake2b(data, digest_size=16).digest(), np.uint8)
            height, width = annotations.sizes[row].tolist()
            with large if height * width > _LARGE_PIXELS else nullcontext():
                return decode(data, (height, width), resolution)
        except OSError as error:
            file = images / annotations.file_names[row]
            raise DataError(f"{file}: cannot be read: {error.strerror}; try again once it can be") from error
        except MemoryError as error:
            raise DataError(f"{images / annotations.file_names[row]}: no memory left to decode it") from error
        except BadPicture as error:
            facts.reasons[row] = str(error)
        return blank

    for picture in _in_threads(one, count):
        # Written, not mapped: a full disk is then an error here and not a bus error anywhere.
        out.write(picture.data)
    return facts


def _read(file: Path) -> bytes:
    """The bytes of a picture file. Raises BadPicture where they are too many, OSError."""
    with file.open("rb") as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadPicture(f"it has more than {MOST_BYTES:,} bytes")
    return data


def _in_threads(one: Callable[[int], NDArray[np.uint8]], count: int) -> Iterator[NDArray[np.uint8]]:
    """one(0), one(1), ... computed a bounded number ahead; Pillow decodes outside of Python's lock."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for start in range(0, count, _AHEAD):
            yield from threads.map(one, itertools.islice(range(start, count), _AHEAD))


def _load_pixels(pixels: Path, notes: Path, annotations: Annotations, resolution: int) -> PixelCache:
    """Raises ValueError when the files are not what they should be (a truncated map is refused by NumPy)."""
    with notes.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        digests, reasons = file["digests"], file["reasons"].tolist()
    mapped = np.load(pixels, mmap_mode="r", allow_pickle=False)
    if mapped.shape != (len(annotations), resolution, resolution, 3) or len(reasons) != len(annotations):
        raise ValueError(f"{pixels}: shape {mapped.shape}")
    bad = tuple(
        BadImage(name, reason) for name, reason in zip(annotations.file_names, reasons, strict=True) if reason
    )
    return PixelCache(
        pixels=mapped, digests=digests, usable=np.array([not reason for reason in reasons], np.bool_), bad=bad
    )
