"""A copy of the project to start in, so that no test meets the developer's own `.local/`."""

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
"""Seconds until a test gives up what it waits for; a loaded machine is slow to start."""

OWN_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "COVERAGE_PROCESS_CONFIG")


@pytest.fixture
def bare_environment():
    """The environment without anything that the service reads."""
    return {name: os.environ[name] for name in OWN_VARIABLES if name in os.environ}


@pytest.fixture
def production(bare_environment):
    """The least that the service starts with outside of development."""
    return bare_environment | {
        "SECRET_KEY": "k0-of-the-tests-abcdefghijklmnopqrstuvwxyz",
        "JWT_SIGNING_KEY": "k1-of-the-tests-abcdefghijklmnopqrstuvwxyz",
        "PUBLIC_URL": "https://tickets.example.com",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "DATABASE_URL": "sqlite:///:memory:",
    }


@pytest.fixture
def checkout(tmp_path):
    """A fresh copy of what a clone holds and a start needs."""
    target = tmp_path / "checkout"
    for folder in ("api", "config", "ticketauth", "ws"):
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", target)
    return target


@pytest.fixture
def python(checkout):
    """Run Python in the checkout to its end."""

    def run(*arguments, environment):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    return run


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Running:
    """A process whose output is read as it comes."""

    def __init__(self, process):
        self.process = process
        self.seen = ""
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with self.process.stdout as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, text):
        """Read on until a line has the text; everything so far."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, f"ended without {text!r}:\n{self.seen}"
            self.seen += line
            if text in line:
                return self.seen

    def end(self, number=signal.SIGTERM):
        """Ask it to end, and wait for it; its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=PATIENCE)
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.seen += line
        return code


@pytest.fixture
def start(checkout):
    """Start Python in the checkout; it is ended with the test."""
    with contextlib.ExitStack() as cleanup:

        def run(*arguments, environment):
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=checkout,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            cleanup.callback(process.wait, timeout=PATIENCE)
            cleanup.callback(process.terminate)
            return Running(process)

        yield run
