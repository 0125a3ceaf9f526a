"""What can be wrong with data, each said in one line."""

from __future__ import annotations


class DataError(ValueError):
    """A data set that cannot be used as it is: the line names the file, the entry, and what to do."""


class CacheError(OSError):
    """The cache directory cannot be written: no space, no permission, not a directory."""
