"""The library's tests against what is shipped, under every Python and Django that `pyproject.toml` names.

A Python that is not on this machine is skipped by its name.

    nox                                           all of them
    nox -s lowest newest                          the two ends, as .ci/run does
    nox -s "tests(python='3.12', django='6.0')"   one; what comes after -- goes to pytest
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox
from nox.project import load_toml, python_versions

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).resolve().parent
PROJECT = load_toml(ROOT / "pyproject.toml")
PYTHONS = python_versions(PROJECT)
_FRAMEWORK = "Framework :: Django :: "
DJANGOS = [name.removeprefix(_FRAMEWORK) for name in PROJECT["project"]["classifiers"] if name.startswith(_FRAMEWORK)]
LIBRARY = ".[asyncapi,channels-redis,django-redis,issuers]"


def _switch_on_pyenv() -> None:
    """Have its shims of all versions work: those that are not switched on are found, and then fail."""
    if shutil.which("pyenv"):
        versions = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True).stdout
        os.environ["PYENV_VERSION"] = ":".join(reversed(versions.split()))


def _runs(python: str) -> bool:
    command = [f"python{python}", "-c", "import ssl, sqlite3, venv"]
    return bool(shutil.which(command[0])) and not subprocess.run(command, capture_output=True, check=False).returncode


def _go_together(python: str, django: str) -> bool:
    """Django 6 wants Python 3.12."""
    return django == "5.2" or python != "3.11"


_switch_on_pyenv()
HERE = [python for python in PYTHONS if _runs(python)] or PYTHONS[:1]


@nox.session
@nox.parametrize(
    ("python", "django"),
    [(python, django) for python in PYTHONS for django in DJANGOS if _go_together(python, django)],
)
def tests(session: nox.Session, django: str) -> None:
    """The newest release of everything, with each Django on each Python."""
    session.install(LIBRARY, "--group", "test", f"Django=={django}.*")
    _test_outside(session)


@nox.session(python=HERE[0], default=False)
def lowest(session: nox.Session) -> None:
    """The oldest Python here, with the lowest versions that `pyproject.toml` allows."""
    session.install("--resolution", "lowest-direct", LIBRARY, "--group", "test")
    _test_outside(session)


@nox.session(python=HERE[-1], default=False)
def newest(session: nox.Session) -> None:
    """The newest Python here, with the versions of the lock."""
    session.install("--require-hashes", "--requirement", "requirements/test.txt")
    session.install("--no-deps", ".")
    _test_outside(session)


def _test_outside(session: nox.Session) -> None:
    """Run the tests where no folder named ticketauth is in reach."""
    outside = Path(session.create_tmp()) / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    for folder in ("api", "config", "tests", "ws"):
        shutil.copytree(ROOT / folder, outside / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("manage.py", "pyproject.toml"):
        shutil.copy(ROOT / file, outside)
    session.chdir(outside)
    session.env.update({"PYTHONPATH": None, "DJANGO_SETTINGS_MODULE": None})
    shipped = (
        "import django, ticketauth; assert 'site-packages' in ticketauth.__file__; print('Django', django.__version__)"
    )
    session.run("python", "-c", shipped)
    # What schemathesis finds in the service's HTTP API depends on no version of these, and it takes its time.
    once = "tests/e2e/test_openapi.py::test_schemathesis_finds_nothing"
    chosen = session.posargs or ("tests/ticketauth", "tests/e2e", "--deselect", once)
    session.run("python", "-m", "pytest", "-n", "auto", *chosen)
