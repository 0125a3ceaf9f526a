"""What all tests share: no clock for hypothesis, because timing is never asserted; one thread for BLAS."""

from __future__ import annotations

import os

from hypothesis import settings

# Before numpy is loaded: surrogates fit small matrices, for which more threads only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("house", deadline=None)
settings.load_profile("house")
