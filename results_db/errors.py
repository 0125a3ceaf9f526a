"""What can go wrong with the database, each with a message of one line for the person in charge."""

from __future__ import annotations


class StorageError(RuntimeError):
    """The database could not do what was asked of it."""


class NoDatabase(StorageError):
    """There is nothing at this address, or it cannot be reached or read."""


class DatabaseUnreachable(NoDatabase):
    """It was lost, or somebody holds it locked: it may well come back; then one can ask again."""


class NotADatabase(StorageError):
    """Something is there, but it is no SpineNAS database."""


class NewerDatabase(StorageError):
    """The database was written by a later version of SpineNAS."""


class DiskFull(StorageError):
    """The write did not happen: there is no room. Nothing that was stored before is lost."""


class UnknownCampaign(StorageError, LookupError):
    """No campaign of this name is in the database."""


class UnknownTrial(StorageError, LookupError):
    """The campaign has no trial of this number."""


class CampaignExists(StorageError, ValueError):
    """The name is taken."""


class LabelTaken(StorageError, ValueError):
    """The campaign has rewards of this label, computed by another rule."""


class UnknownLabel(StorageError, LookupError):
    """The campaign has no rewards of this label."""


class CampaignBusy(StorageError):
    """Another process that is alive drives the campaign."""


class LeaseLost(StorageError):
    """Another process took the campaign over: this one may not write any more."""


class Guarded(StorageError, ValueError):
    """The database itself refuses to have its past changed."""


class IllegalTransition(StorageError, ValueError):
    """The trial is not in a state in which this can happen to it."""
