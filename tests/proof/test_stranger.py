"""The library in a stranger's project: the wheel in an environment of its own, by the README's own blocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from tests.processes import listens
from tests.readme import ROOT, blocks, use_redis, write_files
from tests.servers import free_port, until
from tests.sockets import handshake

OWN = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
"""Variables that any terminal has; and pip's, which say where packages come from."""

SUPERUSER = {
    "DJANGO_SUPERUSER_USERNAME": "ada",
    "DJANGO_SUPERUSER_PASSWORD": "pw",
    "DJANGO_SUPERUSER_EMAIL": "a@b.example",
}

FOUND = """
import importlib.util, json, ticketauth
names = ["api", "config", "tests", "ws"]
print(json.dumps([ticketauth.__file__, [name for name in names if importlib.util.find_spec(name)]]))
"""


class Terminal:
    """A shell in a folder that no checkout is near, with none of the tests' variables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            name: value for name, value in os.environ.items() if name in OWN or name.startswith(("PIP_", "UV_"))
        }

    def run(self, script: str, **environment: str) -> str:
        """What a block prints that is pasted here, if all of it works."""
        done = subprocess.run(**self._shell(script, environment), capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return str(done.stdout)

    def start(self, script: str) -> subprocess.Popen[str]:
        """The same, for what goes on."""
        output = (self.folder / "served").open("w")
        with output:
            return subprocess.Popen(**self._shell(f"exec {script}", {}), stdout=output, stderr=output)

    def _shell(self, script: str, environment: dict[str, str]) -> dict[str, Any]:
        activated = "test ! -e .venv || . .venv/bin/activate"
        command = ["bash", "-e", "-c", f"{activated}\n{script}"]
        return {"args": command, "cwd": self.folder, "env": {**self._environment, **environment}, "text": True}


@pytest.fixture(scope="module")
def project(valkey: object, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """The README's three steps, pasted; but for the clone, in whose place is the wheel that pip makes of it."""
    terminal = Terminal(tmp_path_factory.mktemp("project"))
    install, then = blocks("run")
    wheel = f"pip wheel --quiet --no-deps --wheel-dir dist '{ROOT}'"
    install = install.replace("python3 ", f"'{sys.executable}' ").replace("../ticketauth[", "$(echo $PWD/dist/*.whl)[")
    try:
        # Nobody has to compile what is run once.
        terminal.run(install.replace("pip install", f"{wheel}\npip install"), PIP_NO_COMPILE="1")
    except AssertionError as error:
        if "No matching distribution found for hatchling" in str(error):
            pytest.skip("pip reaches no package index here, so nothing can be installed as a stranger would.")
        raise
    write_files(terminal.folder)
    use_redis(terminal.folder, f"unix://{settings.VALKEY_SOCKET}?db=3")
    terminal.run(then.replace("createsuperuser", "createsuperuser --no-input"), **SUPERUSER)
    return terminal


@pytest.fixture(scope="module")
def port(project: Terminal) -> Iterator[int]:
    """Where it is served."""
    (serve,) = blocks("serve")
    port = free_port()
    process = project.start(f"{serve.strip()} --port {port}")
    try:
        until(lambda: listens(port), 60)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def test_the_wheel_holds_the_library_and_nothing_else(project: Terminal) -> None:
    (wheel,) = (project.folder / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert {name.partition("-")[0] for name in names} == {"ticketauth"}
    assert len(names) == 2


def test_a_ticket_opens_a_socket_once(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        access = client.post("/api/token/", json={"username": "ada", "password": "pw"}).json()["access"]
        ticket = client.post("/api/tickets/", headers={"Authorization": f"Bearer {access}"}).json()["ticket_uuid"]
    with handshake(port, f"/ws/hello/?ticket_uuid={ticket}") as opened:
        assert opened.json() == {"hello": "ada"}
    assert handshake(port, f"/ws/hello/?ticket_uuid={ticket}").status == 401


def test_the_command_gives_a_ticket_too(port: int, project: Terminal) -> None:
    ticket = project.run("python manage.py ticket ada --path /ws/hello/").strip()
    with handshake(port, f"/ws/hello/?ticket_uuid={ticket}") as opened:
        assert opened.json() == {"hello": "ada"}


def test_nothing_of_the_service_is_in_reach(project: Terminal) -> None:
    where, found = json.loads(project.run(f"python -c '{FOUND}'"))
    assert Path(where).is_relative_to(project.folder / ".venv")
    assert found == []


def test_in_a_checkout_all_of_it_would_be(project: Terminal) -> None:
    """The twin: what a test sees that runs where the source is."""
    where, found = json.loads(project.run(f"python -c '{FOUND}'", PYTHONPATH=str(ROOT)))
    assert where == str(ROOT / "ticketauth" / "__init__.py")
    assert found == ["api", "config", "tests", "ws"]


def test_the_check_names_what_is_weak_in_a_fresh_project_and_nothing_else(project: Terminal) -> None:
    assert project.run("python manage.py check --fail-level ERROR 2>&1").count("ticketauth.") == 1
