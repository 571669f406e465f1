"""The README's three steps, in a project that `startproject` has just made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = re.findall(r"<!-- readme: (\w+) ?(\S*) -->\n```(\w+)\n(.*?)```", README, re.DOTALL)
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

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
    for action, name, _, text in STEPS:
        if action == "write":
            (tmp_path / name).write_text(text, encoding="utf-8")
        elif action == "append":
            with (tmp_path / name).open("a", encoding="utf-8") as file:
                file.write(text)
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
    own = project / "mysite" / "settings.py"
    server = f'CACHES["default"]["LOCATION"] = "unix://{settings.VALKEY_SOCKET}?db=3"\n'
    own.write_text(f"{own.read_text()}\n{server}", encoding="utf-8")
    walked = _python(project, "-c", WALK, **environment)
    assert "first {'hello': 'ada'}" in walked
    assert "second 401" in walked
