"""The house keeps its shape: import directions, light imports, small files, narrow seams."""

from __future__ import annotations

import ast
import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from controller.protocol import Controller, Recombining, Space, Textual
from proxy_trainer.protocol import Evaluator

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("nas", "controller", "proxy_trainer", "results_db", "search_space")

MAX_FILE_LINES: Final = 300
LONG_FILES: Final[dict[str, str]] = {
    "nas/campaign.py": "one state machine: its verbs share what is in flight and what is spent",
}
"""Files over the cap, and why they are one noun all the same."""

MAX_FUNCTION_LINES: Final = 60
LONG_FUNCTIONS: Final[dict[str, str]] = {}
"""Functions over the cap (`path:name`), and why they do not come apart."""

SEAMS: Final[dict[type[Any], dict[str, list[str]]]] = {
    Controller: {"ask": ["rng", "pending"], "tell": ["outcome"]},
    Space: {"sample": ["rng"], "mutate": ["genome", "rng"], "fingerprint": ["genome"]},
    Textual: {"to_text": ["genome"], "from_text": ["text"]},
    Recombining: {"crossover": ["a", "b", "rng"]},
    Evaluator: {"evaluate": ["assignment"]},
}
"""To widen one of these takes a decision record (docs/decisions)."""

HEAVY: Final = ("tensorflow", "keras", "sqlalchemy", "alembic", "ray", "pycocotools", "PIL", "matplotlib")


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file as `path:name` with its lines, decorators and docstring left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            yield f"{name(path)}:{node.name}", node.end_lineno - first.lineno + 1


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    command = [str(program), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)


def test_imports_flow_one_way() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


def test_the_import_contract_is_not_toothless(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    for path, forbidden in (
        ("search_space/genome.py", "controller.protocol, tensorflow, pydantic, sqlalchemy, ray"),
        ("controller/protocol.py", "results_db, keras, alembic"),
        ("results_db/__init__.py", "proxy_trainer, nas"),
    ):
        with (tmp_path / path).open("a", encoding="utf-8") as file:
            file.write(f"\nimport {forbidden}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert "Contracts: 0 kept, 5 broken." in result.stdout, result.stdout
    for pair in (
        "search_space.genome -> controller.protocol",
        "search_space.genome -> tensorflow",
        "search_space.genome -> pydantic",
        "search_space.genome -> sqlalchemy",
        "search_space.genome -> ray",
        "controller.protocol -> results_db",
        "controller.protocol -> keras",
        "controller.protocol -> alembic",
        "results_db -> proxy_trainer",
        "results_db -> nas",
    ):
        assert pair in result.stdout, result.stdout


def test_every_module_says_what_it_is() -> None:
    for path in modules():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert len(text.partition("\n")[0].split()) >= 3, (
            f"{name(path)}: its first line does not say what it is"
        )


def test_files_stay_small() -> None:
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    long = {path: count for path, count in lines.items() if count > MAX_FILE_LINES}
    assert long.keys() == LONG_FILES.keys(), f"over {MAX_FILE_LINES} lines, or excused and no longer: {long}"


def test_functions_stay_small() -> None:
    lines = dict(found for path in modules() for found in functions(path))
    long = {where: count for where, count in lines.items() if count > MAX_FUNCTION_LINES}
    assert long.keys() == LONG_FUNCTIONS.keys(), f"over {MAX_FUNCTION_LINES} lines, or excused: {long}"


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam.__name__)
def test_seams_stay_narrow(seam: type[Any]) -> None:
    members = {
        member: list(inspect.signature(value).parameters)[1:]
        for member, value in vars(seam).items()
        if not member.startswith("_")
    }
    assert members == SEAMS[seam]


@pytest.mark.parametrize(
    "statement",
    [
        *(f"import {package}" for package in PACKAGES),
        "import search_space.catalog, controller.config, proxy_trainer.protocol",
        "import sys; sys.argv = ['nas', '--help']; import nas.cli; nas.cli.main()",
    ],
)
def test_light_imports_stay_light(statement: str, tmp_path: Path) -> None:
    # At exit, since `nas --help` leaves by SystemExit; on stderr, since help goes to stdout.
    spy = (
        "import atexit, sys\n"
        f"heavy = {HEAVY}\n"
        "atexit.register(lambda: print('loaded', sorted(sys.modules.keys() & heavy), file=sys.stderr))\n"
    )
    command = [sys.executable, "-c", spy + statement]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "loaded []\n")
