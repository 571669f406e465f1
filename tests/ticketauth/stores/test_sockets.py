"""The live sockets in every kind of Redis: what one worker writes, all can read, wherever the primary is."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import pytest

from tests.servers import Sentinels, Topology, eventually
from tests.ticketauth.stores.conftest import PATIENCE
from ticketauth import registry
from ticketauth.exceptions import Unavailable
from ticketauth.registry import Registry
from ticketauth.stores.client import Client
from ticketauth.stores.sockets import Change, SocketStore, Worker, Written
from ticketauth.types import OURS, ConnectionId, LiveSocket, Sid, Subject

ADA, BOB = Subject("Ada Lovelace"), Subject("Bob")


def socket_of(subject: Subject, *, sid: str = "login", address: str = "198.51.100.7", since: float = 1.0) -> LiveSocket:
    name = ConnectionId(secrets.token_hex(16))
    return LiveSocket(name, OURS, subject, "Ada", Sid(sid), "/ws/", "ticket_query", address, "Firefox on Linux", since)


@pytest.fixture
def store(topology: Topology, prefix: str) -> SocketStore:
    return SocketStore(Client(topology.url, prefix=prefix, deadline=PATIENCE))


class Scribe:
    """A worker that believes what it should."""

    def __init__(self, store: SocketStore, *, per_user: int = 0, per_address: int = 0) -> None:
        self._store = store
        self._limits = per_user, per_address
        self._name = secrets.token_hex(8)
        self.sockets, self.fence = -1, ""

    async def write(self, *changes: Change) -> Written | None:
        worker = Worker(self._name, 15.0, self.fence, self.sockets, *self._limits)
        written = await self._store.write(worker, changes)
        if written:
            opened = sum(change.opened and change.socket.connection_id not in written.refused for change in changes)
            self.sockets = max(self.sockets, 0) + opened - sum(not change.opened for change in changes)
            self.fence = written.fence
        return written

    async def open(self, *sockets: LiveSocket) -> frozenset[ConnectionId]:
        """Those that were refused."""
        written = await self.write(*(Change(socket, opened=True, new=True) for socket in sockets))
        assert written
        return written.refused

    async def unwanted(self) -> frozenset[ConnectionId]:
        written = await self.write()
        assert written
        return written.unwanted

    async def close(self, *sockets: LiveSocket) -> None:
        assert await self.write(*(Change(socket, opened=False) for socket in sockets))


async def everybodys(store: SocketStore) -> set[LiveSocket]:
    return {socket async for socket in store.everybodys()}


async def test_what_workers_write_all_can_read(store: SocketStore) -> None:
    first, second = Scribe(store), Scribe(store)
    phone, laptop, bobs = socket_of(ADA, since=1), socket_of(ADA, sid="laptop", since=2), socket_of(BOB)
    await first.open(phone, bobs)
    await second.open(laptop)
    assert await store.of_owner(OURS, ADA, 10) == [laptop, phone]
    assert await store.of_owner(OURS, BOB, 10) == [bobs]
    assert await store.counts(OURS, ADA) == {"login": 1, "laptop": 1}
    assert await everybodys(store) == {phone, laptop, bobs}
    await first.close(phone, bobs)
    assert await everybodys(store) == {laptop}
    assert await store.of_owner(OURS, ADA, 10) == [laptop]


async def test_everybodys_are_read_in_steps(store: SocketStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketauth.stores.sockets._STEP", 10)
    sockets = [socket_of(ADA, sid=str(number)) for number in range(150)]
    await Scribe(store).open(*sockets)
    assert await everybodys(store) == set(sockets)


async def test_a_wish_reaches_the_worker_that_holds_it(store: SocketStore) -> None:
    first, second = Scribe(store), Scribe(store)
    here, there = socket_of(ADA), socket_of(ADA)
    await first.open(here)
    await second.open(there)
    assert await store.end([there.connection_id], (OURS, BOB)) == 0
    assert await store.end([there.connection_id], (OURS, ADA)) == 1
    assert await store.end([here.connection_id, "unknown"]) == 1
    assert await first.unwanted() == {here.connection_id}
    assert await second.unwanted() == {there.connection_id}
    await first.close(here)
    assert await first.unwanted() == set()


async def test_limits_hold_for_all_workers(store: SocketStore) -> None:
    first, second = Scribe(store, per_user=2), Scribe(store, per_user=2)
    sockets = [socket_of(ADA) for _ in range(3)]
    assert await first.open(sockets[0]) == frozenset()
    assert await second.open(*sockets[1:]) == {sockets[2].connection_id}
    await first.close(sockets[0])
    assert await second.open(sockets[2]) == frozenset()


@pytest.mark.parametrize(
    ("addresses", "refused"),
    [
        (["198.51.100.7"] * 3, 2),
        (["2001:db8::1", "2001:db8::2", "2001:db8:1::1"], 1),
        ([""] * 3, 0),
    ],
)
async def test_guests_count_by_address(store: SocketStore, addresses: Sequence[str], refused: int) -> None:
    worker = Scribe(store, per_user=1, per_address=1)
    sockets = [socket_of(Subject(""), address=address) for address in addresses]
    assert len(await worker.open(*sockets)) == refused


async def test_what_is_not_as_it_was_left_is_noticed_and_nothing_is_written(store: SocketStore) -> None:
    worker = Scribe(store)
    await worker.open(socket_of(ADA), socket_of(ADA))
    worker.sockets = 1
    assert await worker.write(Change(socket_of(ADA), opened=True, new=True)) is None
    worker.sockets, worker.fence = 2, "another primary"
    assert await worker.write(Change(socket_of(ADA), opened=True, new=True)) is None
    assert len(await everybodys(store)) == 2


async def test_addresses_that_nobody_counts_are_not_kept(topology: Topology, store: SocketStore, prefix: str) -> None:
    """Nobody would drop from such a list what is over."""
    await Scribe(store, per_user=1).open(socket_of(ADA))
    kept = [key for node in topology.primaries for key in node.client.scan_iter(f"{{{prefix}}}:address:*")]
    assert kept == []


async def test_all_keys_are_in_one_slot_and_none_stays(topology: Topology, store: SocketStore, prefix: str) -> None:
    worker, socket = Scribe(store, per_address=2), socket_of(ADA)
    await worker.open(socket)
    await store.end([socket.connection_id])
    kept = [key for node in topology.primaries for key in node.client.scan_iter(f"{{{prefix}}}:*")]
    assert {key.decode().split(":")[1] for key in kept} == {"sockets", "workers", "ends", "user", "address"}
    assert all(life > 0 for life in topology.lives(prefix))
    assert not [key for key in kept if b"Ada" in key or b"198.51" in key]


@pytest.mark.parametrize("text", ["x" * 10_000, "ü" * 10_000, "\ud800", 'a"b\\c\n\x00'])
async def test_texts_from_outside_are_taken_as_they_are_and_cut(store: SocketStore, text: str) -> None:
    worker = Scribe(store)
    await worker.open(socket_of(Subject(text), sid=text))
    (found,) = await store.of_owner(OURS, Subject(text), 10)
    assert len(found.sid.encode()) <= 255
    assert text.encode(errors="ignore").decode().startswith(found.sid)


class Live:
    """A live socket that only notes its end."""

    def __init__(self) -> None:
        self.socket = socket_of(ADA)

    def end(self, refusal: Any) -> None:
        raise AssertionError(refusal)


async def test_a_fail_over_loses_none(
    sentinels: Sentinels, prefix: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it bring any back: each worker writes all of its sockets to the new primary."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 0.05}
    store = SocketStore(Client(sentinels.url, prefix=prefix, deadline=PATIENCE))
    monkeypatch.setattr(registry, "sockets", lambda: store)
    worker, lives = Registry(), [Live() for _ in range(3)]
    for live in lives:
        worker.opened(live)

    async def are_listed(expected: list[Live]) -> None:
        if await everybodys(store) != {live.socket for live in expected}:
            raise Unavailable("not yet")

    await eventually(lambda: are_listed(lives), Unavailable)
    worker.discard(lives[0])
    sentinels.fail_over()
    await eventually(lambda: are_listed(lives[1:]), Unavailable)
    await worker.aclose()
    sentinels.heal()
