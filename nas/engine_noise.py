"""Where the chatter of engines goes: to the campaign's log, so that the terminal stays quiet."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def moved_to(log: Path) -> Iterator[TextIO]:
    """Send descriptors 1 and 2 (this process's and its children's) to `log`; yields the real stdout.

    Descriptors, not `sys.stdout`: TensorFlow and Ray print from C++ and from other processes.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    sink = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    terminal = io.TextIOWrapper(os.fdopen(os.dup(saved[0]), "wb", 0), encoding="utf-8", write_through=True)
    try:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        yield terminal
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:  # on a full disk too, or the error would be said to the log
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            for descriptor in (*saved, sink):
                os.close(descriptor)
            terminal.close()
