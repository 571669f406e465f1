"""The README's three steps, in a project that `startproject` has just made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.readme import PYTHON_BLOCKS, ROOT, STEPS, use_redis, write_files

WALK = """
import asyncio, django
django.setup()
from django.contrib.auth.models import User
from django.test import Client
from mysite.asgi import application
from ticketauth.testing import Refused, connect

User.objects.create_user("ada", password="pw")
client = Client(SERVER_NAME="localhost")
access = client.post("/api/token/", {"username": "ada", "password": "pw"}).json()["access"]
bearer = {"Authorization": f"Bearer {access}"}
ticket = client.post("/api/tickets/", headers=bearer, content_type="application/json").json()["ticket_uuid"]

async def walk():
    async with connect(application, "/ws/hello/", ticket=ticket) as socket:
        print("first", await socket.receive_json_from())
    try:
        async with connect(application, "/ws/hello/", ticket=ticket):
            print("second", "let in")
    except Refused as refused:
        print("second", refused.status)

asyncio.run(walk())
"""


@pytest.mark.parametrize("block", PYTHON_BLOCKS)
def test_a_python_block_compiles(block: str) -> None:
    compile(block, "README.md", "exec")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh project with the README's files in it."""
    _python(tmp_path, "-m", "django", "startproject", "mysite", ".")
    write_files(tmp_path)
    return tmp_path


def _python(folder: Path, *arguments: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LD_LIBRARY_PATH"}}
    paths = {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=folder,
        env={**kept, **paths, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_three_steps_name_their_files() -> None:
    assert [name for action, name, _, _ in STEPS if action in {"append", "write"}] == [
        "mysite/settings.py",
        "mysite/urls.py",
        "mysite/consumers.py",
        "mysite/asgi.py",
    ]


def test_a_fresh_project_has_no_errors_and_walks_the_whole_way(project: Path) -> None:
    environment = {"DJANGO_SETTINGS_MODULE": "mysite.settings"}
    checked = _python(project, "manage.py", "check", **environment)
    assert re.findall(r"ticketauth\.\w+", checked) == ["ticketauth.W010"], (
        "a fresh SECRET_KEY is insecure, and no more is wrong"
    )
    _python(project, "manage.py", "migrate", **environment)
    use_redis(project, f"unix://{settings.VALKEY_SOCKET}?db=3")
    walked = _python(project, "-c", WALK, **environment)
    assert "first {'hello': 'ada'}" in walked
    assert "second 401" in walked
