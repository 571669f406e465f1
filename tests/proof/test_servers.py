"""R27, R28: refusals are alike, and the same on every server; `docs/servers.md` says what a client sees on which."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.asgi_servers import COMMANDS, project_environment, service_environment, serving
from tests.conftest import Service
from tests.docs.tables import read, rows, section
from tests.e2e.test_refusals import REASONS, UNKNOWN, told
from tests.servers import Node, until
from tests.sockets import Handshake, handshake
from ticketauth import logins
from ticketauth.stores.redis import RedisStore
from ticketauth.types import ConnectionId, Nonce, TicketValue

GOOD = "https://good.example"
V1 = "ticketauth.v1"
HELLO = "/ws/hello/"
EVENTS = "/ws/events/"
DOWN = "a dependency is down"
TOO_LONG = "request line or headers too long"
TOO_BIG = "a message over the size limit, on a live socket"


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=["denial", "close"])
def profile(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def service_port(server: str, node: Node, django_db_setup: None) -> Iterator[int]:
    with serving(COMMANDS[server], "config.asgi:application", service_environment(node.url)) as port:
        yield port


@pytest.fixture(scope="module")
def project_port(server: str, profile: str, node: Node, django_db_setup: None) -> Iterator[int]:
    environment = project_environment(node.url, REFUSAL_PROFILE=profile)
    with serving(COMMANDS[server], "tests.project.asgi:application", environment) as port:
        yield port


@pytest.fixture
def service(service_port: int) -> Iterator[Service]:
    """The service, with its own profile: `auto`."""
    with Service(service_port) as service:
        yield service


@pytest.fixture
def project(project_port: int) -> Iterator[Service]:
    """A project that uses the library alone, with either profile."""
    with Service(project_port) as project:
        yield project


@pytest.fixture
def access(owner: User) -> str:
    """The owner's access token."""
    return str(logins.start(owner).access_token)


REQUESTS: Mapping[str, dict[str, Any]] = {
    "malformed, or more than one credential": {"query": "ticket_uuid=bad"},
    "no good credential": {"query": f"ticket_uuid={UNKNOWN}"},
    "not permitted": {"headers": [("X-Turnstile", "forbidden")]},
    "foreign or missing origin": {"query": f"ticket_uuid={UNKNOWN}", "origin": "https://evil.example"},
    "no such path": {"query": f"ticket_uuid={UNKNOWN}", "path": "/nowhere/"},
    "request line too long": {"query": "x" * 8192},
    "headers too long": {"headers": [(f"X-{number}", "x" * 7000) for number in range(5)]},
    "too many": {"headers": [("X-Turnstile", "too_many")]},
    "the server restarts": {"headers": [("X-Turnstile", "restarting")]},
}
"""How to be refused. Redis is up for these."""

DAPHNES_OWN = {"headers too long": "400 without a body"}
"""Its limit for headers is below ours."""


def promises() -> dict[str, list[str]]:
    """The table of refusals in the protocol: denial, close, code. A live socket is past them."""
    table = {name: cells for name, *cells in rows(section(read("docs/protocol.md"), "Refusals"))}
    del table[TOO_BIG]
    statuses, *rest = table.pop(TOO_LONG)
    line, headers = statuses.split(", ")
    return {**table, "request line too long": [line, *rest], "headers too long": [headers, *rest]}


def promised(name: str, server: str, profile: str) -> str:
    """What a client is to see."""
    denial, close, _ = promises()[name]
    daphne = server == "daphne"
    if profile == "close" and close != "never":
        return f"{'4503' if close in {'1012', '1013'} else close} without a reason" if daphne else close
    return DAPHNES_OWN.get(name, "403 without a body") if daphne else denial


def seen(answer: Handshake, code: str) -> str:
    """What a client sees: the status or the close code, where it has the body or reason that belongs to it."""
    if answer.accepted:
        number, reason = answer.close_code()
        if not reason:
            return f"{number} without a reason"
        waits = reason.startswith("{")
        assert (json.loads(reason)["code"] if waits else reason) == code
        assert waits == (code in {"too_many", "unavailable", "restarting"})
        return str(number)
    if not answer.body:
        return f"{answer.status} without a body"
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.problem["status"], answer.problem["code"]) == (answer.status, code)
    assert ("www-authenticate" in answer.headers) == (answer.status == 401)
    assert ("retry-after" in answer.headers) == (answer.status in {429, 503})
    return str(answer.status)


def seen_on(project: Service, node: Node) -> dict[str, str]:
    """Every refusal, with what a client sees of it."""
    codes = {name: code.strip("`") for name, (_, _, code) in promises().items()}
    found = {name: seen(project.connect(**{"path": HELLO, **how}), codes[name]) for name, how in REQUESTS.items()}
    node.kill()
    try:
        found[DOWN] = seen(project.connect(f"ticket_uuid={UNKNOWN}", HELLO), codes[DOWN])
    finally:
        node.start_again()
    return found


class TestR28Project:
    """The library alone, with `denial` and with `close`."""

    def test_every_refusal_is_told_as_the_protocol_says(
        self, project: Service, node: Node, server: str, profile: str
    ) -> None:
        assert seen_on(project, node) == {name: promised(name, server, profile) for name in promises()}

    def test_the_document_says_what_a_client_sees(
        self, project: Service, node: Node, server: str, profile: str
    ) -> None:
        text = section(read("docs/servers.md"), "What a client sees")
        heading = next(line for line in text.splitlines() if line.startswith("|"))
        column = [cell.strip() for cell in heading.split("|")][1:].index(server.partition(",")[0])
        written = {row[0]: row[column] for row in rows(text) if row[1] == profile}
        assert written == seen_on(project, node)

    def test_a_ticket_opens_once(self, project: Service, access: str, owner: User, server: str, profile: str) -> None:
        ticket = project.ticket(access, HELLO)
        socket = project.connect(f"ticket_uuid={ticket}", HELLO)
        assert socket.json() == {"hello": owner.username}
        socket.send('{"any": "thing"}')
        assert socket.json() == {"any": "thing"}
        again = seen(project.connect(f"ticket_uuid={ticket}", HELLO), "not_authenticated")
        assert again == promised("no good credential", server, profile)

    def test_a_message_that_is_too_large_ends_the_socket(self, project: Service, access: str, server: str) -> None:
        socket = project.connect(f"ticket_uuid={project.ticket(access, HELLO)}", HELLO)
        socket.json()
        socket.send("a" * 65537)
        assert socket.close_code()[0] == (4400 if server == "daphne" else 1009)

    def test_the_naive_way_tells_nobody_why(self, project: Service) -> None:
        """The twin: a close before the upgrade is 403 on every server, whatever its code and reason."""
        answer = project.connect(path="/naive/")
        assert answer.status == 403
        assert b"4401" not in answer.body
        assert b"not_authenticated" not in answer.body


class TestR28Service:
    """The whole service, with `auto`."""

    def test_a_ticket_opens_once(self, service: Service, access: str, owner: User, server: str) -> None:
        ticket = service.ticket(access, EVENTS)
        socket = service.connect(path=EVENTS, subprotocols=f"{V1}, ticketauth.ticket.{ticket}")
        assert socket.headers["sec-websocket-protocol"] == V1
        ready = socket.json()
        assert (ready["type"], ready["user"]["username"]) == ("ticketauth.ready", owner.username)
        socket.send('{"type": "ping", "id": 1}')
        assert socket.json() == {"type": "pong", "id": 1}
        again = seen(service.connect(f"ticket_uuid={ticket}", EVENTS), "not_authenticated")
        assert again == promised("no good credential", server, "denial")

    @pytest.mark.parametrize("sign", [{"origin": GOOD}, {"subprotocols": V1}], ids=["a browser", "ticketauth.v1"])
    def test_who_can_read_a_close_code_gets_one(
        self, service: Service, node: Node, server: str, sign: dict[str, str]
    ) -> None:
        query = f"ticket_uuid={UNKNOWN}"
        refused = service.connect(query, **sign)
        assert refused.headers.get("sec-websocket-protocol") == sign.get("subprotocols")
        assert seen(refused, "not_authenticated") == promised("no good credential", server, "close")
        node.kill()
        try:
            assert seen(service.connect(query, **sign), "unavailable") == promised(DOWN, server, "close")
        finally:
            node.start_again()

    @pytest.mark.parametrize("name", ["malformed, or more than one credential", "no such path"])
    def test_a_bug_is_answered_with_a_status(self, service: Service, server: str, name: str) -> None:
        _, _, code = promises()[name]
        answer = service.connect(**REQUESTS[name], subprotocols=V1)
        assert seen(answer, code.strip("`")) == promised(name, server, "denial")

    def test_two_origins_are_refused_and_spend_nothing(self, service: Service, access: str) -> None:
        ticket = service.ticket(access)
        two = service.connect(f"ticket_uuid={ticket}", headers=[("Origin", GOOD), ("Origin", GOOD)])
        assert two.status in {400, 403}
        assert service.connect(f"ticket_uuid={ticket}").accepted


def told_by_reason(service: Service, access: str, node: Node, origin: str | None) -> dict[str, object]:
    """All that reaches a client with each kind of bad ticket."""
    found: dict[str, object] = {}
    for reason, prepare in REASONS.items():
        User.objects.update(is_active=True)
        ticket = prepare(service, access, node.client)
        found[reason] = told(service.connect(f"ticket_uuid={ticket}", origin=origin))
    return found


@pytest.mark.parametrize("origin", [None, GOOD])
def test_r27_no_reason_can_be_told_from_another(service: Service, access: str, node: Node, origin: str | None) -> None:
    found = told_by_reason(service, access, node, origin)
    assert found == dict.fromkeys(REASONS, found["unknown"])


def test_r27_a_store_that_says_why_can_be_told(access: str, node: Node) -> None:
    """The twin."""
    environment = service_environment(node.url, STORE="tests.twins.TalkativeStore")
    with (
        serving(COMMANDS["uvicorn, websockets-sansio"], "config.asgi:application", environment) as port,
        Service(port) as service,
    ):
        found = told_by_reason(service, access, node, None)
    assert found["spent"] != found["unknown"] != found["fenced"]


class TestR27Time:
    """No measurable difference in time.

    Handshakes with each kind of ticket in shuffled order, so that whatever else the machine does meets all alike. What
    is compared is the probability that one of a kind takes longer than one of an unknown ticket (Mann and Whitney's U
    over its maximum): one half where the kinds do not differ, with a standard deviation of 0.024 for so many.
    """

    SAMPLES = 300
    MEASURABLE = 0.2

    def test_r27_no_reason_takes_longer_than_another(self, node: Node, transactional_db: None) -> None:
        assert self.leaks(node, "ticketauth.stores.redis.RedisStore") == {}

    def test_a_store_that_looks_something_up_for_a_spent_ticket_does(self, node: Node, transactional_db: None) -> None:
        assert set(self.leaks(node, "tests.twins.LeakyStore")) == {"spent"}

    def leaks(self, node: Node, store: str) -> dict[str, float]:
        environment = service_environment(node.url, STORE=store)
        with serving(COMMANDS["uvicorn, websockets-sansio"], "config.asgi:application", environment) as port:
            seconds = self.measure(port, node)
        longer = {reason: longer_than(seconds["unknown"], sample) for reason, sample in seconds.items()}
        return {reason: share for reason, share in longer.items() if abs(share - 0.5) > self.MEASURABLE}

    def measure(self, port: int, node: Node) -> dict[str, list[float]]:
        tickets = asyncio.run(prepared(node, self.SAMPLES))
        attempts = [(reason, ticket) for reason, some in tickets.items() for ticket in some]
        random.shuffle(attempts)
        seconds: dict[str, list[float]] = {reason: [] for reason in tickets}
        handshake(port, f"/ws/echo/?ticket_uuid={UNKNOWN}").close()
        for reason, ticket in attempts:
            begun = time.perf_counter()
            answer = handshake(port, f"/ws/echo/?ticket_uuid={ticket}")
            seconds[reason].append(time.perf_counter() - begun)
            assert answer.status == 401
        return seconds


async def prepared(node: Node, samples: int) -> dict[str, list[str]]:
    """So many tickets of each kind. One that is expired or spent can be shown again and again; one is fenced once."""
    node.client.flushall()
    store = RedisStore(node.url)
    expired, spent, *fenced = [TicketValue(str(uuid.uuid4())) for _ in range(2 + samples)]
    await store.put(expired, b"payload", 1, ())
    for ticket in (spent, *fenced):
        await store.put(ticket, b"payload", 600, ())
    await store.take(spent, Nonce("nonce"), ConnectionId("connection"))
    kept = until(lambda: len(keys := list(node.client.scan_iter("{ticketauth}:t:*"))) == samples and keys)
    for key in kept:
        value = node.client.get(key)
        assert isinstance(value, bytes)
        node.client.set(key, b"0" * 40 + value[40:], keepttl=True)
    return {
        "unknown": [UNKNOWN] * samples,
        "expired": [expired] * samples,
        "spent": [spent] * samples,
        "fenced": list(fenced),
    }


def longer_than(these: list[float], those: list[float]) -> float:
    """The probability that one of those is longer than one of these."""
    ordered = sorted(these)
    wins = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in those)
    return wins / 2 / len(these) / len(those)
