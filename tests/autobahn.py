"""The Autobahn|Testsuite's fuzzing client. It runs under Python 2.7 alone, so in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.servers import Link, Proxy

# The release that pins what it needs.
PACKAGE = "autobahntestsuite==25.10.1"


class Absent(Exception):
    """It cannot run here; the message says why."""


class FuzzingClient:
    """The suite, installed into a folder once.

    Args:
        folder: Where it is, or is to be.

    Raises:
        Absent: There is no Python 2.7, or the packages cannot be installed.
    """

    def __init__(self, folder: Path) -> None:
        self._python = python27()
        # A user's site folder, for Python 2.7 comes without `venv`, and without `virtualenv` more often than not.
        self._environment = {**os.environ, "PYTHONUSERBASE": str(folder), "PYTHONPATH": ""}
        if not (folder / PACKAGE).exists():
            self._install()
            (folder / PACKAGE).touch()

    async def failed(
        self, folder: Path, servers: Mapping[str, str], cases: Sequence[str], without: Sequence[str] = ()
    ) -> dict[str, set[str]]:
        """The cases that fail, by the names of the servers.

        Args:
            folder: For the reports.
            servers: Their names, and the address of each.
            cases: Patterns like `7.*`.
            without: Patterns too.
        """
        report = await self._run(folder, servers, cases, without)
        return {server: {case for case, said in cases.items() if not _passed(said)} for server, cases in report.items()}

    async def _run(
        self, folder: Path, servers: Mapping[str, str], cases: Sequence[str], without: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        spec = {
            "outdir": str(folder / "reports"),
            "servers": [{"agent": name, "url": url} for name, url in servers.items()],
            "cases": list(cases),
            "exclude-cases": list(without),
            "exclude-agent-cases": {},
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        process = await asyncio.create_subprocess_exec(
            self._python, "-m", "autobahntestsuite.wstest", "--mode", "fuzzingclient", "--spec", "spec.json",
            cwd=folder, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        index = folder / "reports" / "index.json"
        assert index.exists(), output.decode()
        report: dict[str, dict[str, Any]] = json.loads(index.read_text())
        return report

    def _install(self) -> None:
        command = [self._python, "-m", "pip", "install", "--user", "--ignore-installed", "--retries", "1", PACKAGE]
        try:
            done = subprocess.run(
                command, env=self._environment, capture_output=True, text=True, timeout=300, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Absent(f"{PACKAGE} could not be installed within {error.timeout:.0f} s") from None
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
            raise Absent(f"{PACKAGE} could not be installed for Python 2.7: {''.join(errors[-1:])}")


def _passed(said: Mapping[str, str]) -> bool:
    """Whether both what was answered and how it was closed were right."""
    answered = said["behavior"] in {"OK", "NON-STRICT", "INFORMATIONAL"}
    return answered and said["behaviorClose"] in {"OK", "INFORMATIONAL"}


def python27() -> str:
    """A Python 2.7 that works.

    Raises:
        Absent: There is none.
    """
    versions = [os.environ.get("PYENV_VERSION", "")]
    if shutil.which("pyenv"):
        # It has shims for what is not switched on, too.
        known = subprocess.run(["pyenv", "whence", "python2.7"], capture_output=True, text=True, check=False)
        versions += known.stdout.split()
    for version in versions:
        environment = {**os.environ, "PYENV_VERSION": version} if version else None
        with contextlib.suppress(OSError):
            asked = subprocess.run(
                ["python2.7", "-c", "import pip, sys; print(sys.executable)"],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if asked.returncode == 0:
                return asked.stdout.strip()
    raise Absent("there is no Python 2.7 with pip, and the Autobahn|Testsuite runs under no other")


class Ticketing(Proxy):
    """Puts a fresh ticket into each handshake, and passes on every byte else as it comes.

    Args:
        port: Of the server behind it.
        fresh: Gives a ticket.
    """

    def __init__(self, port: int, fresh: Callable[[], Awaitable[str]]) -> None:
        server: Any = SimpleNamespace(port=port)
        super().__init__(server)
        self._fresh = fresh
        self._open: set[Link] = set()

    async def _request(self, link: Link, chunk: bytes) -> bytes:
        if link in self._open:
            return chunk
        self._open.add(link)
        target, version, rest = chunk.partition(b" HTTP/1.1\r\n")
        return b"%s?ticket_uuid=%s%s%s" % (target, (await self._fresh()).encode(), version, rest)
