"""`services` and `shared` are common words: a stranger's packages of these names must never be taken for ours."""

import importlib
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "shared")
WHERE = "import services, shared; print(services.__file__); print(shared.__file__)"


@pytest.fixture
def strangers(tmp_path):
    """A folder with packages of the same names."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    return tmp_path


def origins(*options, cwd, **environ):
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *options, "-c", WHERE],
        cwd=cwd,
        env=bare | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line) for line in done.stdout.splitlines()]


def ours(paths):
    return all(path.is_relative_to(ROOT) for path in paths)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_imported_package_is_ours(name):
    module = importlib.import_module(name)

    assert module.__file__ is not None, f"{name} degraded to a namespace package: its __init__.py is gone"
    assert Path(module.__file__).is_relative_to(ROOT)


def test_a_process_started_in_a_strangers_folder_imports_ours(strangers):
    assert ours(origins("-P", cwd=strangers))
    assert ours(origins(cwd=strangers, PYTHONSAFEPATH="1"))


def test_the_guard_would_see_a_stranger(strangers):
    """Without the safe path the stranger wins: that is why every process is started with it."""
    assert not ours(origins(cwd=strangers))


def test_the_wheel_holds_the_two_packages_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}

    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)


def test_the_distribution_cannot_be_uploaded_by_accident():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert "Private :: Do Not Upload" in project["classifiers"]


def test_every_package_is_a_regular_one():
    """A folder without __init__.py would be shared with any stranger of that name."""
    folders = {file.parent for name in PACKAGES for file in (ROOT / name).rglob("*.py")}

    assert [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_tests_are_no_package():
    """An __init__.py below tests/ would let tests/unit/services shadow services."""
    assert [str(file) for file in (ROOT / "tests").rglob("__init__.py")] == []
