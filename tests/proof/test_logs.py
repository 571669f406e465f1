"""R30 and R31: what real servers write of what is asked of them."""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.conftest import PASSWORD, Forge, Service
from tests.docs.tables import read, section
from tests.served import Served, served
from tests.servers import Node, free_port
from tests.sockets import handshake
from ticketauth.logs import fingerprint

GOOD = "https://good.example"
V1 = "ticketauth.v1"


def unspent() -> str:
    """What looks like a ticket."""
    return str(uuid.uuid4())


@pytest.fixture
def running(transactional_db: None) -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture
def client(running: Served) -> Iterator[Service]:
    """A client of the running service."""
    with Service(running.port) as client:
        yield client


def session_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return str(client.cookies["sessionid"].value)


class Walk:
    """All that clients do with secrets, rightly and wrongly; and the secrets."""

    def __init__(self, client: Service, owner: User) -> None:
        self._client = client
        self._owner = owner
        self.secrets = [PASSWORD]

    def secret(self, value: str) -> str:
        self.secrets.append(value)
        return value

    def login(self) -> dict[str, str]:
        pair = self._client.login(self._owner)
        # The signature alone is as good as the whole to who knows the rest.
        self.secrets += [*pair.values(), *(token.rpartition(".")[2] for token in pair.values())]
        return pair

    def ticket(self, access: str, path: str = "") -> str:
        return self.secret(self._client.ticket(access, path))

    def tickets_in_each_place(self, access: str) -> None:
        connect = self._client.connect
        for query in (
            "ticket_uuid={}",
            "ticket%5Fuuid={}",
            "a=1&ticket_uuid={}&b=2",
            "?ticket_uuid={}",
            "ticket_uuid={}%0a",
            "ticket_uuid='{}'",
            'ticket_uuid="{}"',
            "next=%2Fws%2F%3Fticket_uuid%3D{}",
        ):
            for ticket in (self.ticket(access), self.secret(unspent())):
                presented = query.format(ticket)
                for path in ("/ws/echo/", "/ws/echo/", "/ws/nowhere/"):
                    connect(presented, path)
                self._client.http.get(f"/api/tickets/?{presented}")
        for ticket in (self.ticket(access), self.secret(unspent())):
            connect(subprotocols=f"{V1}, ticketauth.ticket.{ticket}")
            connect(subprotocols=f"ticketauth.ticket.{ticket}, {V1}", origin=GOOD)
            connect(headers=[("Authorization", f"Ticket {ticket}")])
            connect(f"ticket_uuid={ticket}&ticket_uuid={ticket}")
            connect(f"ticket_uuid={ticket.upper()}")
            connect(f"ticket_uuid={ticket.replace('-', '')}")
            connect(f"ticket_uuid=%7B{ticket}%7D")
            self.secrets += [ticket.upper(), ticket.replace("-", "")]
        connect(f"ticket_uuid={self.ticket(access, '/ws/events/')}")

    def tokens_in_each_place(self, token: str) -> None:
        connect, post = self._client.connect, self._client.post
        connect(headers=[("Authorization", f"Bearer {token}")])
        connect(headers=[("Authorization", f"bearer  {token}x")])
        connect(cookie=f"access_token={token}", origin=GOOD)
        connect(cookie=f"access_token={token}")
        connect(f"token={token}")
        connect(f"jwt={token}&access_token={token}", path=f"/ws/{token}/")
        post("/api/tickets/", token=token)
        post("/api/tickets/", token=f"{token}x")
        self._client.http.get(f"/api/tickets/?token={token}&access={token}")
        self._client.http.get(f"/{token}/")
        post("/api/token/refresh/", {"refresh": token})

    def sessions(self) -> None:
        for session in (session_of(self._owner), secrets.token_hex(16)):
            self.secret(session)
            self._client.connect(cookie=f"sessionid={session}", origin=GOOD)
            self._client.connect(cookie=f"sessionid={session}")
            self._client.post("/api/tickets/", Cookie=f"sessionid={session}")

    def passwords(self) -> None:
        wrong = self.secret(secrets.token_hex(16))
        for body in (
            {"username": "owner", "password": wrong},
            {"username": wrong, "password": PASSWORD},
            {"username": "owner", "password": PASSWORD, "unknown": PASSWORD},
            {"password": PASSWORD},
            [PASSWORD],
        ):
            self._client.post("/api/token/", body)
        self._client.http.post("/api/token/", content=f'{{"username": "owner", "password": "{wrong}"')
        self._client.http.post("/api/token/", data={"username": "owner", "password": wrong})
        self._client.http.get(f"/api/token/?username=owner&password={wrong}")
        self._client.http.post("/admin/login/", data={"username": "owner", "password": wrong})

    def all(self) -> None:
        pair = self.login()
        self.tickets_in_each_place(pair["access"])
        for token in (*pair.values(), self.secret(Forge(pair["access"]).token(exp=1))):
            self.tokens_in_each_place(token)
        self.sessions()
        self.passwords()
        for path in ("/api/token/refresh/", "/api/token/logout/"):
            self._client.post(path, {"refresh": self.login()["refresh"]})


def told(lines: list[str], secrets: list[str]) -> list[str]:
    """The lines that tell a secret."""
    return [line for line in lines if any(secret in line for secret in secrets)]


class TestR30:
    """No secret in a log, no line injected."""

    def test_no_secret_is_logged(self, running: Served, client: Service, owner: User) -> None:
        walk = Walk(client, owner)
        walk.all()
        lines = running.lines()
        assert len(lines) > 100
        assert told(lines, walk.secrets) == []

    def test_nor_while_redis_is_down(self, owner: User) -> None:
        with Node() as node, served(REDIS_URL=node.url) as running:
            with Service(running.port) as client:
                walk = Walk(client, owner)
                access = walk.login()["access"]
                ticket = walk.ticket(access)
                node.kill()
                assert client.connect(f"ticket_uuid={ticket}").status == 503
                assert client.post("/api/tickets/", token=access).status_code == 503
                client.http.get("/readyz")
                walk.sessions()
            lines = running.lines()
        assert any("redis_unreachable" in line for line in lines)
        assert told(lines, walk.secrets) == []

    def test_nor_by_a_consumer_that_fails(self, running: Served, client: Service, owner: User) -> None:
        walk = Walk(client, owner)
        access, session = walk.login()["access"], walk.secret(session_of(owner))
        with served("-m", "tests.workers", "faulty", WEB_CONCURRENCY="1") as faulty:
            connect = partial(handshake, faulty.port, origin=GOOD)
            connect(f"/?ticket_uuid={walk.ticket(access)}")
            connect("/", subprotocols=f"{V1}, ticketauth.ticket.{walk.ticket(access)}")
            connect("/", headers=[("Authorization", f"Ticket {walk.ticket(access)}")])
            connect("/", headers=[("Authorization", f"Bearer {access}")])
            connect("/", cookie=f"access_token={access}")
            connect("/", cookie=f"sessionid={session}")
            failures = [record["exc_info"] for record in faulty.records() if "exc_info" in record]
        assert [failure.count("RuntimeError: no idea what to do with") for failure in failures] == [1] * 6
        assert told(failures, walk.secrets) == []

    @pytest.mark.parametrize("style", ["json", "text"])
    def test_nobody_writes_a_line_of_their_own(self, owner: User, style: str) -> None:
        with served(LOG_FORMAT=style) as running, Service(running.port) as client:
            before = len(running.lines())
            inject(client)
            lines = running.lines()[before:]
        assert sum("forged" in line for line in lines) > 30
        assert [line for line in lines if not one_line(line, style)] == []

    def test_uvicorns_own_log_tells_the_ticket(self, tmp_path: Path) -> None:
        """The twin; and what docs/servers.md advises for it."""
        ticket, advised = unspent(), tmp_path / "log.json"
        found = re.search(r"```json\n(.*?)```", section(read("docs/servers.md"), "Access logs"), re.DOTALL)
        assert found
        advised.write_text(found[1])
        assert len(told(stock_uvicorn(ticket), [ticket])) == 2
        lines = stock_uvicorn(ticket, "--log-config", str(advised))
        assert sum("?ticket_uuid=[redacted]" in line for line in lines) == 2
        assert told(lines, [ticket]) == []


def stock_uvicorn(ticket: str, *arguments: str) -> list[str]:
    """What uvicorn writes of a ticket in a handshake and in a call."""
    port = free_port()
    with served("-m", "uvicorn", "tests.careless:application", "--port", str(port), *arguments, port=port) as running:
        assert handshake(port, f"/ws/?ticket_uuid={ticket}").status == 401
        assert httpx.post(f"http://127.0.0.1:{port}/?ticket_uuid={ticket}", json={"username": ""}).status_code == 401
        return running.lines()


_ENCODED = [
    "%0a", "%0d%0a", "%0d", "%00", "%1b[2J", "%7f", "%c2%85", "%c2%9b31m", "%e2%80%a8", "%e2%80%a9", "%1c", "%ff",
]  # fmt: skip
_RAW = ["\x85", "\x9b31m", "\x80\xa8", "\xe2\x80\xa8", "\xff"]
_PLAIN = ["\n", "\r\n", "\x1b[2J", "\u2028", "\x85", "\0", "\ud800"]
_FORGED = '{"level": "INFO", "logger": "ticketauth", "message": "forged"}'


def inject(client: Service) -> None:
    """Send what ends a line, or moves a terminal's cursor, wherever a client can write something."""
    for end in _ENCODED:
        forged = end + quote(_FORGED)
        client.connect(path=f"/ws/{forged}/")
        client.connect(path=f"/ws/echo/?ticket_uuid={forged}&{forged}={forged}")
        client.connect(path=f"/ws/echo/?{forged}")
        client.http.get(f"/api/{forged}/?{forged}")
    for end in _RAW:
        forged = end + _FORGED
        client.connect(origin=forged)
        client.connect(cookie=f"sessionid={forged}; access_token={forged}", origin=GOOD)
        for name in ("User-Agent", "X-Forwarded-For", "Authorization", "Referer"):
            client.connect(headers=[(name, forged)])
            client.http.post("/api/tickets/", headers=[(name.encode(), forged.encode("latin-1"))])
        client.connect(headers=[("Authorization", f"Ticket {forged}")])
        client.http.post("/api/tickets/", headers=[(b"Authorization", f"Bearer {forged}".encode("latin-1"))])
    for end in _PLAIN:
        body = json.dumps({"username": end + _FORGED, "password": end + _FORGED, "refresh": end, end: end})
        for path in ("/api/token/", "/api/token/refresh/", "/api/tickets/"):
            client.http.post(path, content=body, headers={"Content-Type": "application/json"})


def one_line(line: str, style: str) -> bool:
    """Whether it is the service's own, and one line to every program and terminal."""
    if line.splitlines() != [line] or not line.isprintable():
        return False
    if style == "text":
        return bool(re.fullmatch(r"\d\d:\d\d:\d\d [A-Z]+ +[a-z_.]+: .*", line))
    record = json.loads(line)
    return {"time", "level", "logger", "message"} <= set(record) and record["message"].isprintable()


@dataclass
class Attempt:
    """What is asked from an address, and what the log should say of it."""

    send: Callable[[str], Any]
    facts: Mapping[str, str | None]


class Attempts:
    """Of every kind, each with a credential of its own."""

    def __init__(self, client: Service, owner: User, stranger: User) -> None:
        self._client = client
        self._owner = owner
        self._access = client.login(owner)["access"]
        self._stranger = stranger
        self._session = session_of(owner)
        inactive = client.login(stranger)["access"]
        self._of_a_stranger = iter([client.ticket(inactive) for _ in range(10)])
        User.objects.filter(pk=stranger.pk).update(is_active=False)

    def one_of_each(self) -> list[Attempt]:
        return [*self._admitted(), *self._refused(), *self._malformed()]

    def _admitted(self) -> Iterator[Attempt]:
        admitted = partial(self._attempt, outcome="admitted", user=str(self._owner.pk), reason=None)
        ticket = self._ticket()
        yield admitted(f"ticket_uuid={ticket}", scheme="ticket_query", credential=ticket)
        ticket = self._ticket()
        offers = f"{V1}, ticketauth.ticket.{ticket}"
        yield admitted(subprotocols=offers, origin=GOOD, scheme="ticket_subprotocol", credential=ticket)
        ticket = self._ticket()
        yield admitted(authorization=f"Ticket {ticket}", scheme="ticket_header", credential=ticket)
        yield admitted(authorization=f"Bearer {self._access}", scheme="jwt_header", credential=self._access)
        cookie = f"access_token={self._access}"
        yield admitted(cookie=cookie, origin=GOOD, scheme="jwt_cookie", credential=self._access)
        yield admitted(cookie=f"sessionid={self._session}", origin=GOOD, scheme="session", credential=self._session)

    def _refused(self) -> Iterator[Attempt]:
        refused, owner = partial(self._attempt, outcome="refused"), str(self._owner.pk)
        spent = self._ticket()
        self._client.connect(f"ticket_uuid={spent}")
        yield refused(f"ticket_uuid={spent}", scheme="ticket_query", credential=spent, event="replay", reason="replay")
        nobodys = unspent()
        yield refused(f"ticket_uuid={nobodys}", scheme="ticket_query", credential=nobodys, reason="unknown")
        elsewhere = self._client.ticket(self._access, "/ws/events/")
        yield refused(
            f"ticket_uuid={elsewhere}", scheme="ticket_query", credential=elsewhere, reason="path", user=owner
        )
        out, user = next(self._of_a_stranger), str(self._stranger.pk)
        yield refused(f"ticket_uuid={out}", scheme="ticket_query", credential=out, reason="user_inactive", user=user)
        expired = Forge(self._access).token(exp=1)
        yield refused(
            authorization=f"Bearer {expired}", scheme="jwt_header", credential=expired, reason="token_expired_signature"
        )
        unknown = secrets.token_hex(16)
        yield refused(
            cookie=f"sessionid={unknown}", origin=GOOD, scheme="session", credential=unknown, reason="session_unknown"
        )

    def _malformed(self) -> Iterator[Attempt]:
        refused = partial(self._attempt, outcome="refused", scheme=None, credential=None)
        ticket = self._ticket()
        yield refused(f"ticket_uuid={ticket}x", reason="ticket_syntax")
        yield refused(f"ticket_uuid={ticket}&ticket_uuid={ticket}", reason="ticket_twice")
        yield refused(f"ticket_uuid={ticket}", authorization=f"Bearer {self._access}", reason="two_credentials")
        yield refused(f"ticket_uuid={ticket}", origin="https://evil.example", reason="origin_foreign")
        yield refused(cookie=f"access_token={self._access}", reason="origin_absent")
        yield refused(f"ticket_uuid={ticket}", path="/ws/nowhere/", reason="path_unknown")
        yield refused(reason="no_credential")
        yield refused("x" * 9_000, reason="target_too_long")

    def _attempt(
        self,
        query: str = "",
        *,
        path: str = "/ws/echo/",
        authorization: str = "",
        subprotocols: str | None = None,
        origin: str | None = None,
        cookie: str | None = None,
        credential: str | None,
        event: str = "handshake",
        **facts: str | None,
    ) -> Attempt:
        def send(address: str) -> None:
            headers = [("X-Forwarded-For", address), *([("Authorization", authorization)] if authorization else [])]
            self._client.connect(
                query, path, headers=headers, subprotocols=subprotocols, origin=origin, cookie=cookie, timeout=30
            )

        told = None if credential is None else fingerprint(credential)
        return Attempt(send, {"event": event, "path": path, "origin": origin, "credential": told, **facts})

    def _ticket(self) -> str:
        return self._client.ticket(self._access)


class TestR31:
    """Every decision is logged."""

    def test_as_many_events_as_handshakes_at_once(
        self, running: Served, client: Service, owner: User, stranger: User
    ) -> None:
        cast = Attempts(client, owner, stranger)
        of_each_kind = chain.from_iterable(cast.one_of_each() for _ in range(5))
        attempts = {f"10.0.0.{number}": attempt for number, attempt in enumerate(of_each_kind)}
        began = datetime.now(UTC)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda address: attempts[address].send(address), attempts))
        records = [record for record in running.records() if record.get("address") in attempts]
        assert sorted(record["address"] for record in records) == sorted(attempts)
        for record in records:
            facts = attempts[record["address"]].facts
            assert {name: record.get(name) for name in facts} == facts
            assert began <= datetime.fromisoformat(record["time"]) <= datetime.now(UTC)
            assert 0 <= record["latency_ms"] < 30_000
        assert len({record["connection_id"] for record in records}) == len(attempts)

    def test_as_many_events_as_calls_at_once(self, running: Served, client: Service, owner: User) -> None:
        calls = {f"10.0.0.{number}": call for number, call in enumerate(decisions_over_http(client, owner) * 5)}
        with ThreadPoolExecutor(16) as pool:
            told = dict(zip(calls, pool.map(lambda address: calls[address].send(address), calls), strict=True))
        records = [record for record in running.records() if record.get("address") in calls]
        assert sorted(record["address"] for record in records) == sorted(calls)
        for record in records:
            facts = calls[record["address"]].facts
            assert {name: record.get(name) for name in facts} == facts
            if record["event"] == "issue" and record["outcome"] == "issued":
                assert record["credential"] == fingerprint(told[record["address"]].json()["ticket_uuid"])


def decisions_over_http(client: Service, owner: User) -> list[Attempt]:
    """Calls of every kind, granted and refused."""
    access, user = client.login(owner)["access"], str(owner.pk)
    password = {"username": owner.username, "password": PASSWORD}

    def send(path: str, body: Any, token: str, address: str) -> httpx.Response:
        return client.post(path, body, token, **{"X-Forwarded-For": address})

    def call(target: str, body: Any = None, token: str = "", **facts: str) -> Attempt:
        return Attempt(partial(send, target, body, token), facts)

    def with_its_own_login(path: str, address: str) -> httpx.Response:
        return send(path, {"refresh": client.login(owner)["refresh"]}, "", address)

    return [
        call("/api/token/", password, event="login", outcome="done", user=user),
        call("/api/token/", {**password, "password": "x"}, event="login", outcome="refused", reason="password"),
        call("/api/token/", {}, event="login", outcome="refused", reason="invalid"),
        Attempt(partial(with_its_own_login, "/api/token/refresh/"), {"event": "refresh", "outcome": "done"}),
        call("/api/token/refresh/", {"refresh": access}, event="refresh", outcome="refused"),
        Attempt(partial(with_its_own_login, "/api/token/logout/"), {"event": "logout", "outcome": "done"}),
        call("/api/token/logout/", {"refresh": "x"}, event="logout", outcome="refused"),
        call(
            "/api/tickets/", {"path": "/ws/echo/"}, access, event="issue", outcome="issued", user=user, path="/ws/echo/"
        ),
        call("/api/tickets/", {"path": "/x/"}, access, event="issue", outcome="refused", reason="invalid"),
        call("/api/tickets/", event="issue", outcome="refused", reason="no_credential"),
        call("/api/tickets/", token=f"{access}x", event="issue", outcome="refused", reason="token_invalid_signature"),
    ]
