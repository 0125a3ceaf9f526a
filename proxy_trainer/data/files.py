"""Files that several processes build and share: made once, whole or not at all."""

from __future__ import annotations

import lzma
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import filelock

from proxy_trainer.data.errors import CacheError

DAMAGED: Final = (
    *(OSError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(ValueError, TypeError, KeyError, AttributeError, RuntimeError),
)
"""What reading a damaged .npz raises: a flipped bit may ask for a password (RuntimeError), for an unknown
compression (NotImplementedError, which is one) or for a giant array."""


@contextmanager
def cache_errors(path: Path) -> Iterator[None]:
    """Turn what the system says about writing below `path` into one clear line."""
    try:
        yield
    except CacheError:
        raise
    except OSError as error:
        raise CacheError(
            f"cache {path}: cannot be written: {error.strerror or error}; free some space or choose another "
            "cache directory"
        ) from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time is inside for this path; the lock of a process that died is free.

    Errors of the body pass through as they are.
    """
    with cache_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path.with_name(path.name + ".lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` at the end, whole; nothing is left of a failed one.

    Call it inside `locked(path)`. Raises CacheError.
    """
    part = path.with_name(path.name + ".part")
    try:
        with cache_errors(path), part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with cache_errors(path):
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
