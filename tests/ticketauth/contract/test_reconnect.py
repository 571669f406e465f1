"""The programs that stay connected, run as they are; Kotlin and Swift as far as they can be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.conftest import Service
from tests.ticketauth.contract.conftest import node
from ticketauth.contract.page import Page
from ticketauth.contract.reconnect import Ends, reconnecting
from ticketauth.contract.snippets import Connection, Credential, Snippet

POLL = 0.2
READY = "ticketauth.ready"
ENDS = Ends(stop=(4400, 4403, 1009), renew=(4401,), stop_statuses=(400, 403, 413, 404), renew_statuses=(401,))
OFFER = Credential("ticket", "subprotocol", "Sec-WebSocket-Protocol")
HEADER = Credential("ticket", "header", "Authorization", "Ticket ")
QUERY = Credential("ticket", "query", "ticket_uuid")

runs = pytest.mark.parametrize("language", ["javascript", "python"])


@contextmanager
def running(snippet: Snippet, token: str, folder: Path) -> Iterator[Iterator[str]]:
    """The lines of a program, which is given half a minute."""
    program = folder / "program"
    program.write_text(snippet.code.replace("<access token>", token), encoding="utf-8")
    program = program.rename(program.with_suffix({"python": ".py", "javascript": ".mjs"}[snippet.language]))
    command = [sys.executable, "-W", "error", "-u"] if snippet.language == "python" else [node()]
    process = subprocess.Popen(
        [*command, str(program)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PATH": os.environ["PATH"], "ACCESS_TOKEN": token},
    )  # fmt: skip
    assert process.stdout
    too_long = threading.Timer(30, process.kill)
    too_long.start()
    with process:
        yield (line.strip() for line in process.stdout)
        too_long.cancel()
        process.kill()


def of(language: str, written: tuple[Snippet, ...]) -> Snippet:
    return next(snippet for snippet in written if snippet.language == language)


def of_the_service(contract: Page, language: str) -> Snippet:
    assert contract.after
    return of(language, contract.after.snippets)


class TestAtTheService:
    @pytest.fixture(autouse=True)
    def _often(self, settings: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": POLL}

    @runs
    def test_4401_makes_a_new_ticket_and_4403_is_the_end(
        self, contract: Page, service: Service, tokens: dict[str, str], settings: Any, tmp_path: Path, language: str
    ) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_MAX_AGE": 1, "EXPIRY_NOTICE": 0}
        with running(of_the_service(contract, language), tokens["access"], tmp_path) as lines:
            first = json.loads(next(lines))
            settings.TICKETAUTH = {**settings.TICKETAUTH, "SOCKET_MAX_AGE": 0}
            assert next(lines) == "closed 4401"
            second = json.loads(next(lines))
            assert first["type"] == second["type"] == READY
            assert first["connection_id"] != second["connection_id"]
            service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
            assert list(lines) == ["closed 4403", "stopped 4403"]

    @runs
    def test_without_a_ticket_even_for_a_refreshed_token_it_stops(
        self, contract: Page, tmp_path: Path, language: str
    ) -> None:
        with running(of_the_service(contract, language), "no.good.token", tmp_path) as lines:
            assert list(lines) == ["closed 401", "stopped 401"]


@dataclass
class Scripted:
    """A ticket endpoint and a socket that ends each connection as it is told."""

    ends: list[tuple[int, str, bool]]
    """Code, reason, and whether the socket is ready before."""
    statuses: list[int] = field(default_factory=list)
    """Of the first tickets; all others are issued."""
    opened: list[float] = field(default_factory=list)
    tickets: int = 0

    def socket(self, socket: ServerConnection) -> None:
        self.opened.append(time.monotonic())
        code, reason, ready = self.ends.pop(0)
        if ready:
            socket.send(json.dumps({"type": READY}))
        socket.close(code, reason)

    def answer(self) -> int:
        self.tickets += 1
        return self.statuses.pop(0) if self.statuses else 201

    @property
    def pauses(self) -> list[float]:
        return [after - before for before, after in zip(self.opened, self.opened[1:], strict=False)]


@contextmanager
def serving(scripted: Scripted) -> Iterator[tuple[str, str]]:
    """The addresses of its ticket endpoint and of its socket."""

    class Tickets(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"ticket_uuid": f"t{scripted.tickets}"}).encode()
            self.send_response(scripted.answer())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Tickets) as http,
        serve(
            scripted.socket,
            "127.0.0.1",
            0,
            subprotocols=None,
            select_subprotocol=lambda _, offered: next(iter(offered), None),
        ) as sockets,
    ):
        for server in (http, sockets):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/", f"ws://127.0.0.1:{sockets.socket.getsockname()[1]}/"
        http.shutdown()


Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """All lines that a program writes at a scripted server."""

    def run(language: str, scripted: Scripted, ready_frame: bool = True) -> list[str]:
        with serving(scripted) as (tickets, url):
            connection = Connection(url, "", tickets, "", "", ready_frame)
            snippet = of(language, tuple(reconnecting(connection, OFFER, HEADER, ENDS)))
            with running(snippet, "token", tmp_path) as lines:
                return [line for line in lines if not line.startswith("{")]

    return run


@runs
class TestAtAScriptedServer:
    def test_a_second_4401_in_a_row_backs_off(self, run: Run, language: str) -> None:
        scripted = Scripted([(4401, "", False), (4401, "", False), (4403, "", False)])
        assert run(language, scripted) == ["closed 4401", "closed 4401", "closed 4403", "stopped 4403"]
        assert scripted.pauses[1] >= 0.5

    def test_a_socket_that_was_ready_begins_anew_at_once(self, run: Run, language: str) -> None:
        scripted = Scripted([*[(4401, "", True)] * 6, (4400, "", False)])
        assert run(language, scripted)[-1] == "stopped 4400"
        assert sum(scripted.pauses) < 0.5 * (1 + 2 + 4 + 8)  # The least that back-off would take.

    def test_it_does_not_come_earlier_than_told(self, run: Run, language: str) -> None:
        scripted = Scripted([(1013, '{"code":"unavailable","retry_after":2}', True), (4403, "", False)])
        run(language, scripted)
        assert scripted.pauses[0] >= 2

    def test_an_open_socket_alone_is_not_ready(self, run: Run, language: str) -> None:
        scripted = Scripted([(4401, "", False), (4401, "", False), (4403, "", False)])
        assert run(language, scripted, ready_frame=False)[-1] == "stopped 4403"
        assert scripted.pauses[1] >= 0.5

    def test_a_token_that_is_refreshed_gives_a_ticket(self, run: Run, language: str) -> None:
        scripted = Scripted([(4403, "", False)], statuses=[401])
        assert run(language, scripted) == ["closed 4403", "stopped 4403"]
        assert scripted.tickets == 2

    def test_where_no_ticket_is_to_be_had_for_now_it_comes_later(self, run: Run, language: str) -> None:
        scripted = Scripted([(4403, "", False)], statuses=[503])
        assert run(language, scripted) == ["closed 503", "closed 4403", "stopped 4403"]


def written(language: str, in_apps: Credential, ready_frame: bool = True) -> str:
    connection = Connection(
        "wss://x.example/room/", "/room/", "https://x.example/tickets/", "https://x.example", "", ready_frame
    )
    return of(language, tuple(reconnecting(connection, in_apps, in_apps, ENDS))).code


@pytest.mark.parametrize("ready_frame", [True, False])
@pytest.mark.parametrize(
    ("credential", "carried"),
    [(OFFER, "ticketauth.ticket."), (HEADER, "Ticket "), (QUERY, "?ticket_uuid=")],
    ids=["offer", "header", "query"],
)
@pytest.mark.parametrize("language", ["javascript", "python", "kotlin", "swift"])
class TestEveryLanguage:
    def test_the_ticket_goes_where_it_is_taken(
        self, language: str, credential: Credential, carried: str, ready_frame: bool
    ) -> None:
        assert carried in written(language, credential, ready_frame)

    def test_it_waits_for_the_frame_where_there_is_one(
        self, language: str, credential: Credential, carried: str, ready_frame: bool
    ) -> None:
        assert (READY in written(language, credential, ready_frame)) is ready_frame

    def test_no_place_is_left_empty(
        self, language: str, credential: Credential, carried: str, ready_frame: bool
    ) -> None:
        assert "§" not in written(language, credential, ready_frame)
