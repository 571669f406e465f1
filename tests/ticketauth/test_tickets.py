"""`issue()` and `consume()`: the syntax of a ticket, what it stands for, and whom it refuses."""

from __future__ import annotations

import math
import re
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketauth import tickets
from ticketauth.exceptions import Malformed, Misconfigured, NotAuthenticated, Refusal, TooMany
from ticketauth.limits import Rate
from ticketauth.stores.base import Limit
from ticketauth.stores.memory import MemoryStore
from ticketauth.types import GUEST, OURS, ConnectionId, Identity, Issuer, Sid, Subject, Ticket, TicketValue

GOOD = "0b9a7f52-3c1d-4e8f-9a2b-5c6d7e8f9a0b"
SECRET = "Abc_def-ghijklmnopqrstuvwxyz0123456789ABCDE"
HERE = ConnectionId("a-connection")
OWNER = Identity(OURS, Subject("7"))


class Untouchable(MemoryStore):
    """A store that must not be asked."""

    async def take(self, *args: object) -> bytes:
        raise AssertionError("the store was asked")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def consume(store: MemoryStore, value: str, path: str = "/ws/a/", address: str = "192.0.2.1", **kwargs) -> Ticket:
    return await tickets.consume(store, value, path=path, address=address, connection=HERE, **kwargs)


# Syntax

ODD = {
    "empty": "",
    "no dashes": GOOD.replace("-", ""),
    "some dashes": GOOD.replace("-", "", 1),
    "dashes elsewhere": "0b9a7f5-23c1d-4e8f-9a2b-5c6d7e8f9a0b",
    "urn": f"urn:uuid:{GOOD}",
    "braces": f"{{{GOOD}}}",
    "full-width digit": GOOD.replace("0", "０", 1),
    "full-width letter": GOOD.replace("b", "ｂ", 1),
    "arabic digit": GOOD.replace("9", "٩", 1),
    "long s": GOOD.replace("5", "ſ", 1),
    "kelvin sign": GOOD.replace("5", "\u212a", 1),
    "underscore": GOOD.replace("a7", "_7", 1),
    "leading space": f" {GOOD}",
    "trailing space": f"{GOOD} ",
    "leading plus": f"+{GOOD[1:]}",
    "0x": f"0x{GOOD[2:]}",
    "minus": f"-{GOOD[1:]}",
    "trailing LF": f"{GOOD}\n",
    "trailing CR": f"{GOOD}\r",
    "two lines": f"{GOOD}\n{GOOD}",
    "NUL": f"{GOOD}\x00",
    "NUL inside": GOOD.replace("b", "\x00", 1),
    "not UTF-8": f"{GOOD[:-2]}\udcff\udcfe",
    "soft hyphens": GOOD.replace("-", "\u00ad"),
    "too long": f"{GOOD}0",
    "too short": GOOD[:-1],
    "version 1": "0b9a7f52-3c1d-1e8f-9a2b-5c6d7e8f9a0b",
    "version 7": "0b9a7f52-3c1d-7e8f-9a2b-5c6d7e8f9a0b",
    "variant of Microsoft": "0b9a7f52-3c1d-4e8f-ca2b-5c6d7e8f9a0b",
    "nil": str(uuid.UUID(int=0)),
    "r16 a counter": "visits",
    "r16 a throttle": "throttle_anon_127.0.0.1",
    "r16 a cache key": ":1:visits",
    "r16 a folder": "../",
    "r16 a pattern": "*",
    "a comma": f"{GOOD},{GOOD}",
    "a secret, and none is asked for": f"{GOOD}.{SECRET}",
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
async def test_r17_an_odd_ticket_is_malformed_before_the_store_is_asked(value: str) -> None:
    with pytest.raises(Malformed, match="ticket_syntax"):
        await consume(Untouchable(), value)


def test_the_twin_takes_many_of_them() -> None:
    taken = []
    for name, value in ODD.items():
        try:
            uuid.UUID(value)
        except ValueError:
            continue
        taken.append(name)
    assert {"no dashes", "urn", "braces", "full-width digit", "arabic digit", "dashes elsewhere"} <= set(taken)


@given(st.text())
def test_r17_what_is_taken_is_a_version_4_uuid_to_the_letter(value: str) -> None:
    try:
        parsed = tickets.parse(value, secret=False)
    except Malformed:
        return
    assert str(uuid.UUID(parsed)) == parsed == value.lower()


def test_r5_a_ticket_is_taken_in_either_case() -> None:
    assert tickets.parse(GOOD.upper(), secret=False) == GOOD


@pytest.mark.parametrize(
    "value",
    [
        GOOD,
        f"{GOOD}.",
        f"{GOOD}{SECRET}",
        f"{GOOD}.{SECRET[1:]}",
        f"{GOOD}.{SECRET}A",
        f"{GOOD}.{SECRET[1:]}=",
        f"{GOOD}.{SECRET[1:]}+",
        f"{GOOD}.{SECRET[1:]}/",
        f"{GOOD}.{SECRET}\n",
        f"{GOOD}.{SECRET[1:]}\u212a",
        f"{GOOD}-{SECRET}",
    ],
)
def test_where_a_secret_is_asked_for_nothing_else_is_taken(value: str) -> None:
    with pytest.raises(Malformed):
        tickets.parse(value, secret=True)


def test_the_case_of_a_secret_counts_and_that_of_the_uuid_does_not() -> None:
    assert tickets.parse(f"{GOOD.upper()}.{SECRET}", secret=True) == f"{GOOD}.{SECRET}"
    assert tickets.parse(f"{GOOD}.{SECRET.lower()}", secret=True) != f"{GOOD}.{SECRET}"


# Issue


async def test_r5_ten_thousand_tickets_are_distinct_version_4_uuids(store: MemoryStore, monkeypatch) -> None:
    monkeypatch.setattr(store, "_forget", lambda now: None)  # it would look through all of them, each time
    issued = {(await tickets.issue(store, Ticket(OWNER), ttl=30)).value for _ in range(10_000)}
    assert len(issued) == 10_000
    assert all(tickets.parse(value, secret=False) == value for value in issued)


async def test_r5_a_secret_is_256_bits_more(store: MemoryStore) -> None:
    issued = await tickets.issue(store, Ticket(OWNER), ttl=30, secret=True)
    assert re.fullmatch(r"[0-9a-f-]{36}\.[A-Za-z0-9_-]{43}", issued.value)
    assert await consume(store, issued.value, secret=True) == Ticket(OWNER)


async def test_r6_the_client_is_told_how_long_and_until_when(store: MemoryStore, monkeypatch) -> None:
    monkeypatch.setattr("ticketauth.tickets.time.time", lambda: 1000.5)
    issued = await tickets.issue(store, Ticket(OWNER), ttl=30)
    assert (issued.expires_in, issued.expires_at) == (30, 1030.5)


@pytest.mark.parametrize(("seconds", "answer"), [(29, None), (31, "unknown")])
async def test_r6_the_store_keeps_the_time(seconds: int, answer: str | None) -> None:
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    issued = await tickets.issue(store, Ticket(OWNER), ttl=30)
    now[0] += seconds
    assert await reason(consume(store, issued.value)) == answer


async def test_r9_a_rate_is_the_stores_to_count(store: MemoryStore) -> None:
    limits = (Limit("owner", Rate(1, 60)),)
    await tickets.issue(store, Ticket(OWNER), ttl=30, limits=limits)
    with pytest.raises(TooMany):
        await tickets.issue(store, Ticket(OWNER), ttl=30, limits=limits)


# What it stands for

WHOLE = Ticket(
    Identity(
        Issuer("https://id.example"),
        Subject("ü|7"),
        Sid("a login"),
        issued_at=1700000000.25,
        expires_at=1700000060,
        claims={"roles": ["a", "b"], "nested": {"n": None}},
        password_claim="abc",
    ),
    path="/ws/über uns/",
    address="2001:db8::1",
    claims={"room": 7, "name": "\u2028\x00 %s", "empty": {}},
)


@pytest.mark.parametrize(
    "ticket",
    [
        WHOLE,
        Ticket(OWNER),
        Ticket(GUEST),
        Ticket(replace(OWNER, issued_at=1.5, expires_at=None)),
        Ticket(replace(OWNER, claims={"sub": "7"})),
    ],
)
async def test_a_ticket_comes_back_as_it_was_issued(store: MemoryStore, ticket: Ticket) -> None:
    issued = await tickets.issue(store, ticket, ttl=30)
    assert await consume(store, issued.value, path=ticket.path, address=ticket.address) == ticket


WORDS = st.text(max_size=10)
VALUES = st.none() | st.booleans() | st.integers() | WORDS | st.lists(WORDS, max_size=3)


@given(st.dictionaries(WORDS, VALUES, max_size=5))
def test_any_claims_that_are_json_come_back(claims: dict[str, Any]) -> None:
    ticket = replace(WHOLE, claims=claims)
    assert tickets._decode(tickets._encode(ticket)) == ticket


# Whom it refuses


async def reason(call: Any) -> str | None:
    try:
        await call
    except Refusal as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize(
    "path", ["/ws/b/", "/ws/a", "/ws/A/", "/ws/a//", "/ws/a/../a/", "/ws/%61/", "", "/service/ws/a/"]
)
async def test_r22_another_path_is_refused_and_the_ticket_is_spent(store: MemoryStore, path: str) -> None:
    issued = await tickets.issue(store, Ticket(OWNER, path="/ws/a/"), ttl=30)
    assert await reason(consume(store, issued.value, path)) == "path"
    assert await reason(consume(store, issued.value, "/ws/a/")) == "replay"


async def test_r22_a_ticket_without_a_path_opens_any(store: MemoryStore) -> None:
    issued = await tickets.issue(store, Ticket(OWNER), ttl=30)
    assert await consume(store, issued.value, "/ws/b/") == Ticket(OWNER)


async def test_r22_another_address_is_refused_and_the_ticket_is_spent(store: MemoryStore) -> None:
    issued = await tickets.issue(store, Ticket(OWNER, address="192.0.2.1"), ttl=30)
    assert await reason(consume(store, issued.value, address="192.0.2.2")) == "address"
    assert await reason(consume(store, issued.value, address="192.0.2.1")) == "replay"


async def test_r26_a_second_use_is_told_which_connection_was_first(store: MemoryStore) -> None:
    issued = await tickets.issue(store, Ticket(OWNER), ttl=30)
    await consume(store, issued.value)
    with pytest.raises(NotAuthenticated, match="replay") as caught:
        await consume(store, issued.value)
    assert caught.value.facts["first_connection"] == HERE


async def test_every_handshake_has_a_nonce_of_its_own(store: MemoryStore, monkeypatch) -> None:
    nonces = []

    async def take(ticket: TicketValue, nonce: str, connection: ConnectionId) -> bytes:
        nonces.append(nonce)
        return b"{}"

    monkeypatch.setattr(store, "take", take)
    for _ in range(2):
        await consume(store, GOOD)
    assert len(set(nonces)) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", nonce) for nonce in nonces)


# Claims of the project


async def test_claims_up_to_the_limit_are_taken_and_no_byte_more(store: MemoryStore) -> None:
    largest = {"c": "x" * (tickets.LARGEST_CLAIMS - len('{"c": ""}'))}
    await tickets.issue(store, Ticket(OWNER, claims=largest), ttl=30)
    with pytest.raises(Misconfigured, match=f"take {tickets.LARGEST_CLAIMS + 1} bytes; {tickets.LARGEST_CLAIMS}"):
        await tickets.issue(store, Ticket(OWNER, claims={"c": largest["c"] + "x"}), ttl=30)


CIRCLE: dict[str, Any] = {}
CIRCLE["self"] = CIRCLE


@pytest.mark.parametrize(
    "claims",
    [{"when": object()}, {"n": math.nan}, {"n": math.inf}, {"b": b"bytes"}, {("a", "b"): 1}, {"s": {1, 2}}, CIRCLE],
    ids=lambda claims: next(iter(claims)),
)
async def test_claims_that_are_no_json_are_the_projects_mistake_and_nothing_is_issued(claims: dict[str, Any]) -> None:
    store = MemoryStore()
    with pytest.raises(Misconfigured, match="must be JSON"):
        await tickets.issue(store, Ticket(OWNER, claims=claims), ttl=30)
    assert not store._kept
