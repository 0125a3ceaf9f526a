"""Every error that is the user's to deal with: the CLI says its line and nothing more."""

from __future__ import annotations

from typing import Final

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C."""


class Refusal(RuntimeError):
    """Why a command did not do it, where nothing but the command line asks for it."""


def expected() -> tuple[type[Exception], ...]:
    """Imported when something went wrong, not before: the CLI starts without any of it."""
    from controller.protocol import NothingLeft
    from nas.campaign import ControllerStuck, DataFailure, FatalFailure, TooManyFailures
    from nas.campaign_data import DataChanged
    from nas.config_file import ConfigError
    from nas.designs import UnknownDesign
    from nas.export.model_garden import NotExpressible
    from nas.export.report import ExportMismatch
    from nas.folder import FolderError
    from nas.reward import NoReward, NotFinite
    from nas.runners.worker import RunnerError
    from nas.simulation.run import MissingPackage
    from nas.validation import Refused
    from proxy_trainer.data.errors import CacheError, DataError
    from proxy_trainer.protocol import TrialFailed
    from results_db.errors import StorageError
    from search_space.catalog import UnknownName
    from search_space.genome import InvalidGenome
    from search_space.mutation import NoMutation
    from search_space.space import InvalidSpace, NotInSpace
    from search_space.spec import InvalidSpec

    return (
        CacheError,
        ConfigError,
        ControllerStuck,
        DataChanged,
        DataError,
        DataFailure,
        ExportMismatch,
        FatalFailure,
        FolderError,
        InvalidGenome,
        InvalidSpace,
        InvalidSpec,
        MissingPackage,
        NoMutation,
        NoReward,
        NotFinite,
        NotExpressible,
        NotInSpace,
        NothingLeft,
        Refusal,
        Refused,
        RunnerError,
        StorageError,
        TooManyFailures,
        TrialFailed,
        UnknownDesign,
        UnknownName,
    )
