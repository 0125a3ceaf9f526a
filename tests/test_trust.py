"""What comes from a file is data: nothing in the house would run it, and what tries to be run is refused."""

from __future__ import annotations

import ast
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from nas.yaml_file import YamlError, read_yaml
from search_space.spec import InvalidSpec, read_spec

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("nas", "controller", "proxy_trainer", "results_db", "search_space")

MODULES: Final = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tarfile", "pty")
"""Reading by one of these runs what was written."""

CALLS: Final = {
    "eval": "runs a text",
    "exec": "runs a text",
    "compile": "makes a text runnable",
    "__import__": "imports what a text names",
    "system": "is a shell",
    "popen": "is a shell",
    "extractall": "writes wherever an archive says",
    "unpack_archive": "writes wherever an archive says",
    "unsafe_load": "builds any object",
    "full_load": "builds many objects",
    "unsafe_load_all": "builds any object",
    "full_load_all": "builds many objects",
    "load_all": "builds what its loader allows",
    "enable_unsafe_deserialization": "lets Keras run what a file holds",
    "read_pickle": "runs what was written",
    "literal_eval": "is not needed: JSON and YAML are read by their own libraries",
}

NEEDED: Final = {  # call: what must stand in it, or else
    "np.load": ("allow_pickle", False),
    "keras.models.load_model": ("safe_mode", True),
}

SAFE_LOADERS: Final = ("SafeLoader", "CSafeLoader", "_Loader")

IMPORTS_BY_NAME: Final = {"proxy_trainer/coco_metrics.py": "hotcoco, which ships no types"}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def complaints(tree: ast.AST) -> Iterator[str]:
    """Whatever in this code could run what a file holds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [each.name for each in node.names]
            found = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            yield from (
                f"line {node.lineno}: imports {name}" for name in found if name.split(".")[0] in MODULES
            )
        if isinstance(node, ast.Call):
            yield from (f"line {node.lineno}: {problem}" for problem in _of_call(node))


def _of_call(call: ast.Call) -> Iterator[str]:
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    given = {word.arg: word.value for word in call.keywords}
    if last in CALLS and name not in ("re.compile", "model.compile", "yaml.compose"):
        yield f"{name}: {CALLS[last]}"
    if last == "import_module" and not (call.args and isinstance(call.args[0], ast.Constant)):
        yield f"{name}: imports what a variable names"
    for needed, (word, value) in NEEDED.items():
        if name == needed or (last == needed.rpartition(".")[2] and last == "load_model"):
            found = given.get(word)
            if not (isinstance(found, ast.Constant) and found.value is value):
                yield f"{name} without {word}={value}"
    if name in ("yaml.load", "yaml.compose", "yaml.parse", "yaml.scan"):
        loader = given.get("Loader")
        if loader is None or dotted(loader).rpartition(".")[2] not in SAFE_LOADERS:
            yield f"{name} by another loader than {SAFE_LOADERS[0]}"
    shell = given.get("shell")
    if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
        yield f"{name}: a shell"


def test_nothing_in_the_house_runs_what_a_file_holds() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for complaint in complaints(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "import ray.cloudpickle, dill",
        "eval(text)",
        "builtins.exec(text)",
        "compile(text, '', 'exec')",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "yaml.full_load(text)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "keras.models.load_model(path)",
        "load_model(path, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "os.system(line)",
        "subprocess.run(line, shell=True)",
        "archive.extractall(path)",
        "shutil.unpack_archive(path)",
        "importlib.import_module(name)",
    ],
)
def test_the_search_is_not_toothless(code: str) -> None:
    assert len(list(complaints(ast.parse(code)))) >= 1


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """A file that is there when something was run."""
    path = tmp_path / "was_run"
    yield path
    assert not path.exists(), "the file was run"


class Bomb:
    """Pickled, it touches a file when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def test_the_bomb_goes_off_where_it_may(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "x")))  # noqa: S301 - that is the point
    assert (tmp_path / "x").exists()


TAGS: Final = (
    "!!python/object/apply:os.mkdir ['{mark}']",
    "!!python/object/apply:os.system ['mkdir {mark}']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object/new:type [z, !!python/tuple [], {{extend: !!python/name:exec}}]",
)


@pytest.mark.parametrize("tag", TAGS)
def test_yaml_that_wants_to_be_run(tmp_path: Path, mark: Path, tag: str) -> None:
    file = tmp_path / "file.yaml"
    for text in (f"name: {tag}", f"format: spinenas-spec\nversion: {tag}", tag):
        file.write_text(text.format(mark=mark), encoding="utf-8")
        with pytest.raises(YamlError):
            read_yaml(file)
        with pytest.raises(InvalidSpec):
            read_spec(file)


def test_arrays_that_want_to_be_run(tmp_path: Path, mark: Path) -> None:
    """A cache or kept weights that somebody has exchanged."""
    from proxy_trainer.data.annotations import load_annotations
    from proxy_trainer.rebuild import load_arrays

    bomb = np.empty(1, object)
    bomb[0] = Bomb(mark)
    archive = tmp_path / "weights.npz"
    np.savez(archive, file_names=bomb, category_names=bomb, category_ids=bomb)
    readers: tuple[Callable[[Path], object], ...] = (load_arrays, load_annotations)
    for read in readers:
        with pytest.raises(ValueError, match=r"allow_pickle|Object arrays"):
            read(archive)


def _keras_file(path: Path, layer: dict[str, Any]) -> Path:
    """As `model.save` writes it, with this layer in a sequential model."""
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "trainable": True, "layers": [layer]},
        "registered_name": None,
        "build_config": {"input_shape": [None, 4]},
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.0", "date_saved": "x"}))
        archive.writestr("model.weights.h5", b"")  # never reached
    return path


def test_a_model_that_wants_to_be_run(tmp_path: Path, mark: Path) -> None:
    """Keras files may hold functions as bytecode; the house reads back only its own exports, and safely."""
    import base64
    import marshal

    from proxy_trainer.rebuild import run_keras

    code = compile(f"lambda x: (__import__('os').mkdir({str(mark)!r}), x)[1]", "bomb", "eval").co_consts[0]
    function = {
        "class_name": "__lambda__",
        "config": {"code": base64.b64encode(marshal.dumps(code)).decode(), "defaults": None, "closure": None},
    }
    by_bytecode = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "bomb", "function": function},
        "registered_name": None,
    }
    by_name = {
        "module": "os",
        "class_name": "mkdir",
        "config": {"path": str(mark)},
        "registered_name": "mkdir",
    }
    for layer in (by_bytecode, by_name):
        with pytest.raises((ValueError, TypeError), match=r"(?i)lambda|locate class"):
            run_keras(_keras_file(tmp_path / "model.keras", layer), np.zeros((1, 4), np.float32))
