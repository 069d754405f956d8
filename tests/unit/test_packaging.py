"""The wheel holds every package and data file, and an editable install finds the mapped folders."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MAPPED = {"jammi_sql": "jammi_sql", "udfs": "jammi_sql/udfs", "sql": "jammi_sql/sql"}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Names of the files in a wheel that setuptools builds, without network, from a copy of the sources."""
    source = tmp_path_factory.mktemp("source")
    for folder in MAPPED:
        shutil.copytree(PROJECT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, source)
    build = "import setuptools.build_meta, sys; print(setuptools.build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(source)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = source.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


@pytest.mark.parametrize("folder", sorted(MAPPED))
def test_the_wheel_holds_every_module_and_sql_file(folder: str, wheel_names: frozenset[str]) -> None:
    expected = {
        f"{MAPPED[folder]}/{path.relative_to(PROJECT / folder).as_posix()}"
        for pattern in ("*.py", "*.sql")
        for path in (PROJECT / folder).rglob(pattern)
    }
    assert expected
    assert expected <= wheel_names


def test_the_wheel_is_typed_and_holds_nothing_else(wheel_names: frozenset[str]) -> None:
    assert "jammi_sql/py.typed" in wheel_names
    outside = {name for name in wheel_names if not name.startswith("jammi_sql/") and ".dist-info/" not in name}
    assert outside == set()


def test_every_package_folder_has_an_init() -> None:
    folders = {path.parent for root in ("jammi_sql", "udfs") for path in (PROJECT / root).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_the_mapped_packages_are_importable_with_their_data() -> None:
    assert importlib.import_module("jammi_sql.udfs").__name__ == "jammi_sql.udfs"
    migrations = files("jammi_sql.sql").joinpath("migrations")
    assert "0001_topics.sqlite.sql" in {entry.name for entry in migrations.iterdir()}


def test_the_console_script_points_at_main() -> None:
    scripts = importlib.metadata.entry_points(group="console_scripts", name="jammi-sql")
    assert {script.value for script in scripts} == {"jammi_sql.console.main:main"}
