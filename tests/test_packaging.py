"""What pip installs: every file of the five packages, the command, and the locked requirements."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

import nas

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("nas", "controller", "proxy_trainer", "results_db", "search_space")
PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def run(*command: str, cwd: Path, **environment: str) -> str:
    env = {**os.environ, **environment}
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def package_files(root: Path) -> set[str]:
    paths = (path for package in PACKAGES for path in (root / package).rglob("*"))
    return {
        path.relative_to(root).as_posix()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: setuptools leaves build folders beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / file, source)
    run(*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(folder), ".", cwd=source)
    return next(folder.glob("*.whl"))


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {entry for entry in archive.namelist() if ".dist-info/" not in entry}
    assert names == package_files(ROOT)
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert any(re.fullmatch(r"results_db/migrations/versions/0001\w*\.py", entry) for entry in names)


def test_the_command_runs_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    run(*PIP, "install", "--no-index", "--no-deps", "--target", str(home), str(wheel), cwd=tmp_path)
    where = "import nas, results_db.migrations as m; print(nas.__file__, *m.__path__)"
    for found in run(sys.executable, "-c", where, cwd=tmp_path, PYTHONPATH=str(home)).split():
        assert Path(found).is_relative_to(home)
    text = run(str(home / "bin" / "nas"), "--help", cwd=tmp_path, PYTHONPATH=str(home))
    assert "run" in text
    assert "resume" in text


def test_the_lock_file_meets_the_requirements(wheel: Path) -> None:
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", lock_file(), re.MULTILINE))
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
        message = email.message_from_bytes(archive.read(metadata))
    assert message["Version"] == nas.__version__
    for text in message.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if requirement.marker and "gpu" in str(requirement.marker):
            continue  # what GPUs need is not for every machine, so it is not locked
        name = requirement.name.lower()
        assert name in pins, f"{text} is not in requirements.lock: run make lock"
        assert pins[name] in requirement.specifier, f"{text}, locked {pins[name]}: run make lock"


def test_the_lock_file_names_no_host() -> None:
    assert not re.search(r"://|^\s*-", lock_file(), re.MULTILINE)


def lock_file() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")
