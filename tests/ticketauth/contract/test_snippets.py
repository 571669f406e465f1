"""The snippets of the page, run as they are against the service; Kotlin and Swift as far as they can be read."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client

from tests.conftest import PASSWORD
from tests.ticketauth.contract.conftest import node
from ticketauth.contract.page import Channel, Page
from ticketauth.contract.snippets import Connection, Credential, snippets

WEBSOCAT = f"""#!{sys.executable}
# Stands in for websocat where there is none: the options of the snippets, one message there, one back.
import argparse, asyncio, sys
from websockets.asyncio.client import connect

parser = argparse.ArgumentParser()
parser.add_argument("-H", action="append", default=[])
parser.add_argument("--protocol")
parser.add_argument("url")
given = parser.parse_args()
headers = [tuple(header.lstrip("=").split(": ", 1)) for header in given.H]

async def main():
    offers = given.protocol.split(", ") if given.protocol else None
    async with connect(given.url, additional_headers=headers, subprotocols=offers) as socket:
        await socket.send(sys.stdin.readline().strip())
        print(await socket.recv())

asyncio.run(main())
"""
READY, PONG = "ticketauth.ready", "pong"
PARTS = ("ticket", "ticketSubprotocol", "ticketHeader", "bearerAuth", "jwtQuery", "jwtCookie", "sessionCookie")


def channel(contract: Page, address: str) -> Channel:
    return next(found for found in contract.channels if found.address == address)


def code(contract: Page, address: str, scheme: str, language: str) -> str:
    found = channel(contract, address)
    [choice] = [choice for choice in found.choices if choice.scheme.id == scheme]
    return next(snippet.code for snippet in choice.snippets if snippet.language == language)


@pytest.fixture
def session_key(owner: User) -> str:
    client = Client()
    client.force_login(owner)
    return client.cookies[django_settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def variables(access: str, session_key: str, tmp_path: Path) -> dict[str, str]:
    """An environment with the credentials, and a websocat."""
    stand_in = tmp_path / "websocat"
    stand_in.write_text(WEBSOCAT)
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    path = f"{os.environ['PATH']}:{tmp_path}"
    return {"PATH": path, "ACCESS_TOKEN": access, "SESSION_KEY": session_key, "HOME": str(tmp_path)}


def lines_of(command: list[str], count: int, environment: Mapping[str, str], said: str = "") -> list[str]:
    """The first lines that a program writes, which then is ended."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    too_long = threading.Timer(30, process.kill)
    too_long.start()
    with process:
        process.stdin.write(said)
        process.stdin.flush()
        lines = [line for _ in range(count) if (line := process.stdout.readline().strip())]
        too_long.cancel()
        process.kill()
        assert len(lines) == count, process.stderr.read()
    return lines


class TestBash:
    @pytest.fixture(autouse=True)
    def _tools(self) -> None:
        for tool in ("bash", "curl", "jq"):
            if not shutil.which(tool):
                pytest.skip(f"There is no {tool} here.")

    @pytest.mark.parametrize("scheme", PARTS)
    def test_it_connects(self, contract: Page, variables, scheme: str) -> None:
        text = code(contract, "/ws/echo/", scheme, "bash")
        assert lines_of(["bash", "-c", text], 1, variables, "hello\n") == ["hello"]

    def test_a_login_gives_the_token_that_it_needs(self, contract: Page, variables, owner: User) -> None:
        assert contract.login
        login = contract.login.code.replace("<user>", owner.username).replace("<password>", PASSWORD)
        text = f"unset ACCESS_TOKEN\n{login}\n{code(contract, '/ws/events/', 'ticket', 'bash')}"
        assert READY in lines_of(["bash", "-c", text], 1, variables, "{}\n")[0]

    def test_without_a_ticket_curl_says_why(self, contract: Page, variables) -> None:
        text = code(contract, "/ws/echo/", "ticket", "bash").split("\nwebsocat")[0]
        done = subprocess.run(
            ["bash", "-c", text], env={**variables, "ACCESS_TOKEN": "x"}, capture_output=True, text=True, check=False
        )
        assert "401" in done.stderr

    def test_the_endpoint_shows_the_same_request(self, contract: Page) -> None:
        [endpoint] = contract.endpoints
        assert endpoint.request
        assert endpoint.request.code in code(contract, "/ws/events/", "ticket", "bash")


class TestPython:
    def run(self, text: str, count: int, variables: Mapping[str, str]) -> list[str]:
        return lines_of([sys.executable, "-W", "error", "-u", "-c", text], count, variables)

    @pytest.mark.parametrize("scheme", PARTS)
    def test_it_connects_and_is_answered(self, contract: Page, variables, scheme: str) -> None:
        ready, pong = self.run(code(contract, "/ws/events/", scheme, "python"), 2, variables)
        assert (json.loads(ready)["type"], json.loads(pong)["type"]) == (READY, PONG)

    def test_where_everything_may_be_sent_it_says_hello(self, contract: Page, variables) -> None:
        assert self.run(code(contract, "/ws/echo/", "ticket", "python"), 1, variables) == ["hello"]


class TestJavaScript:
    """In Node; those that need a browser are in `tests/browser/`."""

    def run(self, text: str, count: int, access: str, tmp_path: Path) -> list[str]:
        program = tmp_path / "snippet.mjs"
        program.write_text(text.replace("<access token>", access), encoding="utf-8")
        return lines_of([node(), str(program)], count, {"PATH": os.environ["PATH"]})

    @pytest.mark.parametrize("scheme", PARTS[:5])
    def test_it_connects_and_is_answered(self, contract: Page, access: str, tmp_path: Path, scheme: str) -> None:
        text = code(contract, "/ws/events/", scheme, "javascript")
        ready, pong = self.run(text, 2, access, tmp_path)
        assert (json.loads(ready)["type"], json.loads(pong)["type"]) == (READY, PONG)

    def test_where_everything_may_be_sent_it_says_hello(self, contract: Page, access: str, tmp_path: Path) -> None:
        assert self.run(code(contract, "/ws/echo/", "ticket", "javascript"), 1, access, tmp_path) == ["hello"]


def written(language: str, credential: Credential, **changes: Any) -> str:
    """A snippet of a connection that waits for `ticketauth.ready`."""
    given: dict[str, Any] = {
        "url": "wss://x.example/room/1/",
        "path": "/room/1/",
        "tickets": "https://x.example/api/tickets/",
        "origin": "https://x.example",
        "first_message": '{"type": "ping"}',
        "ready_frame": True,
    }
    found = snippets(Connection(**{**given, **changes}), credential)
    return next(snippet.code for snippet in found if snippet.language == language)


QUERY = Credential("ticket", "query", "ticket_uuid")
OFFER = Credential("ticket", "subprotocol", "Sec-WebSocket-Protocol")
BEARER = Credential("token", "header", "Authorization", "Bearer ")
COOKIE = Credential("session", "cookie", "sessionid")
OWN = Credential("credential", "header", "X-Badge")


class TestKotlin:
    def test_a_ticket_goes_into_the_address(self) -> None:
        text = written("kotlin", QUERY)
        assert '.header("Authorization", "Bearer $accessToken")' in text
        assert "val ticket = newTicket()" in text
        assert '.url("wss://x.example/room/1/?ticket_uuid=$ticket")' in text

    def test_or_into_the_subprotocol(self) -> None:
        header = '.header("Sec-WebSocket-Protocol", "ticketauth.v1, ticketauth.ticket.$ticket")'
        assert header in written("kotlin", OFFER)

    def test_a_token_needs_no_ticket(self) -> None:
        text = written("kotlin", BEARER)
        assert "newTicket" not in text
        assert '.header("Authorization", "Bearer $accessToken")' in text

    def test_a_cookie_comes_with_an_origin(self) -> None:
        text = written("kotlin", COOKIE)
        assert '.header("Cookie", "sessionid=$sessionKey")' in text
        assert '.header("Origin", "https://x.example")' in text

    def test_a_refusal_before_the_upgrade_is_told_by_its_status(self) -> None:
        assert "401 -> println(" in written("kotlin", QUERY)

    def test_it_notices_a_dead_link(self) -> None:
        assert "pingInterval(20, TimeUnit.SECONDS)" in written("kotlin", QUERY)

    def test_what_would_end_or_change_a_text_does_not(self) -> None:
        text = written("kotlin", QUERY, first_message='{"price": "$five", "quote": """}')
        assert 'send("""{"price": "${\'$\'}five", "quote": ${\'"\'}${\'"\'}${\'"\'}}""")' in text


class TestSwift:
    def test_a_ticket_goes_into_the_address(self) -> None:
        text = written("swift", QUERY)
        assert 'request.setValue("Bearer \\(accessToken)", forHTTPHeaderField: "Authorization")' in text
        assert 'let url = URL(string: "wss://x.example/room/1/?ticket_uuid=\\(ticket)")!' in text

    def test_or_into_the_subprotocol(self) -> None:
        assert 'protocols: ["ticketauth.v1", "ticketauth.ticket.\\(ticket)"])' in written("swift", OFFER)

    def test_a_cookie_comes_with_an_origin(self) -> None:
        text = written("swift", COOKIE)
        assert 'request.setValue("sessionid=\\(sessionKey)", forHTTPHeaderField: "Cookie")' in text
        assert 'request.setValue("https://x.example", forHTTPHeaderField: "Origin")' in text

    def test_what_would_end_a_text_does_not(self) -> None:
        assert 'send(.string(##"{"a": "#x"}"##))' in written("swift", QUERY, first_message='{"a": "#x"}')


@pytest.mark.parametrize("language", ["bash", "javascript", "python", "kotlin", "swift"])
class TestEveryLanguage:
    def test_without_a_ticket_endpoint_a_ticket_is_given_by_hand(self, language: str) -> None:
        text = written(language, QUERY, tickets="")
        assert "api/tickets" not in text
        assert "ticket_uuid=" in text

    def test_a_scheme_of_the_projects_own_goes_where_it_says(self, language: str) -> None:
        assert "X-Badge" in written(language, OWN)

    def test_where_nothing_is_to_be_sent_nothing_is(self, language: str) -> None:
        text = written(language, BEARER, first_message="")
        assert "send(" not in text
        assert READY not in text
