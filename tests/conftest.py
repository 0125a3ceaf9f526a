"""What all tests share: hypothesis does not judge by the clock, because timing is never asserted."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
