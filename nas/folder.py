"""Where a campaign lives: one folder, whose name is the campaign's name."""

from __future__ import annotations

import contextlib
import difflib
import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy_trainer.data.splits import SplitRecord

DEFAULT_ROOT: Final = "campaigns"
CACHE: Final = ".cache"
LEFT_BEHIND_SECONDS: Final = 24 * 3600
LONGEST_NAME: Final = 64
NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}", re.ASCII)


class FolderError(ValueError):
    """No campaign of this name, or one too many."""


def root(given: Path | None = None) -> Path:
    """The directory of all campaigns: what is given, or NAS_HOME, or `campaigns` here."""
    return (given or Path(os.environ.get("NAS_HOME") or DEFAULT_ROOT)).absolute()


def sqlite_url(path: Path) -> str:
    """The URL of a database in this file; in a URL a `%` of its name means something else."""
    return f"sqlite:///{str(path).replace('%', '%25')}"


@dataclass(frozen=True, slots=True)
class CampaignFolder:
    """The paths of one campaign."""

    path: Path

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.path.name

    @property
    def log(self) -> Path:
        """What engines print while the campaign runs."""
        return self.path / "log.txt"

    @property
    def cache(self) -> Path:
        """Decoded pictures and whatever else can be made again; shared by all campaigns beside this one."""
        return self.path.parent / CACHE

    @property
    def weights(self) -> Path:
        """Proxy weights of the best few trials."""
        return self.path / "weights"

    @property
    def checkpoints(self) -> Path:
        """Trainings that are under way, where the config has them written down."""
        return self.path / "checkpoints"

    @property
    def database(self) -> str:
        """The URL of the campaign's database: a SQLite file in here unless another was recorded."""
        return self.recorded or sqlite_url(self.path / "campaign.sqlite")

    @property
    def recorded(self) -> str | None:
        """The URL of a database elsewhere, where one was recorded. Raises FolderError for an empty one."""
        if not self._address.exists():
            return None
        url = self._address.read_text(encoding="utf-8").strip()
        if not url:  # to fall back on a SQLite file would be to go on from whatever it holds
            raise FolderError(f"{self._address} is empty: write the URL of the campaign's database there")
        return url

    def record_database(self, url: str) -> None:
        """Remember a database elsewhere; readable by the owner only, since a URL may hold a password."""
        self._replace(self._address, url + "\n")

    @property
    def data_paths(self) -> dict[str, str] | None:
        """Where the data lie, by the config's words, if they were moved. Raises FolderError."""
        if not self._moved.exists():
            return None
        try:
            paths = json.loads(self._moved.read_text(encoding="utf-8"))
        except ValueError:
            paths = None
        if not isinstance(paths, dict) or not all(isinstance(path, str) for path in paths.values()):
            raise FolderError(
                f"{self._moved}: expected the paths of the campaign's data; delete it, and go on with "
                "`nas run CONFIG --continue`"
            )
        return paths

    def record_data_paths(self, paths: dict[str, str]) -> None:
        """Remember where the data lie now."""
        self._replace(self._moved, json.dumps(paths) + "\n")

    def _replace(self, path: Path, text: str) -> None:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}.", dir=self.path)  # for the owner only
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)  # there is one text or the other, whatever happens
        finally:
            Path(name).unlink(missing_ok=True)

    def record_splits(self, splits: SplitRecord) -> None:
        """Write down which image ids belong to which split, as JSON, for whoever uses them later."""
        ids = {split.value: splits.ids[split] for split in sorted(splits.ids)}
        (self.path / "splits.json").write_text(json.dumps(ids) + "\n", encoding="utf-8")

    @property
    def _address(self) -> Path:
        return self.path / "database.url"

    @property
    def _moved(self) -> Path:
        return self.path / "data.json"


def create(root: Path, name: str, fill: Callable[[CampaignFolder], None]) -> CampaignFolder:
    """A new folder, filled under another name first: whatever happens, it is there whole or not at all.

    Raises FolderError for a bad name or one that is taken.
    """
    if not NAME.fullmatch(name):
        raise FolderError(
            f"campaign name {name[:80]!r}: expected at most 64 letters, digits, '.', '_' and '-', "
            "a letter or digit first"
        )
    taken = (
        f"campaign {name!r} already exists in {root}; go on with `nas resume {name}` or choose another --name"
    )
    if (root / name).exists():
        raise FolderError(taken)
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    partial = CampaignFolder(Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".partial", dir=root)))
    try:
        partial.path.chmod(0o755)
        partial.weights.mkdir()
        fill(partial)
        partial.path.rename(root / name)
    except BaseException as error:
        shutil.rmtree(partial.path, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FolderError(taken) from error
        raise
    return CampaignFolder(root / name)


def _sweep(root: Path) -> None:
    """Remove what starts that were killed have left; none takes so long that it could be under way."""
    for path in root.glob(".*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_BEHIND_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def find(root: Path, name: str) -> CampaignFolder:
    """The folder of a campaign that exists. Raises FolderError, with the nearest name that does."""
    if NAME.fullmatch(name) and (root / name).is_dir():
        return CampaignFolder(root / name)
    names = sorted(path.name for path in root.iterdir() if NAME.fullmatch(path.name)) if root.is_dir() else []
    near = difflib.get_close_matches(name, names, n=1)
    there = (
        f"did you mean {near[0]!r}?"
        if near
        else f"there are: {', '.join(names[:8])}"
        if names
        else "there is none"
    )
    raise FolderError(f"no campaign {name[:80]!r} in {root}; {there}")
