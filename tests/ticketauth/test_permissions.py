"""`MAY_CONNECT`: a project says who may connect where, and says so again while the socket lives."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Group, User
from django.db import connections, transaction

from tests.servers import until
from ticketauth import hub, logins, permissions, tickets, users
from ticketauth.batch import THREADS, query
from ticketauth.conf import store
from ticketauth.middleware import TicketAuthMiddlewareStack
from ticketauth.testing import Refused, TicketCommunicator, connect, ticket_for
from ticketauth.types import OURS, Identity, Sid, Ticket

pytestmark = pytest.mark.django_db(transaction=True)

MIRROR, CHAT = "/ws/mirror/", "/ws/chat/"
FOREVER = 600.0

asked: list[tuple[str, str]] = []
over = threading.Event()


def is_member(user: Any, path: str) -> bool:
    """By the database, as in a project."""
    asked.append((user.get_username(), path))
    return path != MIRROR or bool(user.groups.filter(name="members").exists())


async def is_member_asynchronously(user: Any, path: str) -> bool:
    return path != MIRROR or await user.groups.filter(name="members").aexists()


def fails(user: Any, path: str) -> bool:
    raise LookupError("no idea")


def fails_for_the_owner(user: Any, path: str) -> bool:
    if over.is_set() and user.get_username() == "owner":
        raise LookupError("no idea")
    return True


def is_cancelled(user: Any, path: str) -> bool:
    raise asyncio.CancelledError


async def is_cancelled_asynchronously(user: Any, path: str) -> bool:
    """As by a task which it shares with others, one of whom gave up."""
    raise asyncio.CancelledError


def gives_nothing(user: Any, path: str) -> None:
    return None


class Coroutine:
    """Awaited by nobody, for it does not look like a coroutine function."""

    def __call__(self, user: Any, path: str) -> Any:
        return asyncio.sleep(0)


gives_a_coroutine = Coroutine()


def waits(user: Any, path: str) -> bool:
    return over.wait(10)


@pytest.fixture
def member(owner: User) -> User:
    owner.groups.add(Group.objects.create(name="members"))
    return owner


@pytest.fixture
def stranger(transactional_db: None) -> User:
    return User.objects.create_user("stranger", password="correct horse")


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    asked.clear()
    over.clear()
    yield
    over.set()


def permit(settings: Any, name: str, **more: Any) -> None:
    """Only a wake can be in time, where the test does not say otherwise."""
    rarely = {"REVOCATION_POLL": FOREVER, "REVOCATION_SWEEP": FOREVER}
    settings.TICKETAUTH = {**settings.TICKETAUTH, **rarely, "MAY_CONNECT": f"{__name__}.{name}", **more}


async def closed(socket: TicketCommunicator) -> tuple[int, str]:
    while (message := await socket.receive_output(timeout=10))["type"] != "websocket.close":
        pass
    return message["code"], message["reason"]


def leave(user: User) -> None:
    user.groups.clear()
    permissions.permissions_changed(user)


def hangs_at_the_mirror(user: Any, path: str) -> bool:
    if path == MIRROR:
        over.wait(30)
    return True


class TestAnswers:
    async def test_one_that_hangs_takes_no_answer_from_those_before(self, settings) -> None:
        """And those after it are no failures: they were not asked."""
        permit(settings, "hangs_at_the_mirror", DATABASE_DEADLINE=2.0)
        first, second, *others = await permissions.answers([("ada", path) for path in (CHAT, MIRROR, CHAT, CHAT)])
        assert first is True
        assert type(second) is TimeoutError
        assert [type(other) for other in others] == [permissions.NotAsked] * 2

    async def test_coroutines_that_hang_take_no_answer_from_the_others(self, settings) -> None:
        permit(settings, "waits_at_the_mirror", DATABASE_DEADLINE=2.0)
        first, second, third = await permissions.answers([("ada", path) for path in (CHAT, MIRROR, CHAT)])
        assert (first, third) == (True, True)
        assert type(second) is TimeoutError

    async def test_what_hangs_holds_up_no_query(self, settings) -> None:
        permit(settings, "waits", DATABASE_DEADLINE=0.2)
        hanging = [permissions.answers([("ada", CHAT)]) for _ in range(permissions.THREADS + THREADS)]
        assert all(isinstance(answer, TimeoutError) for (answer,) in await asyncio.gather(*hanging))
        assert await query(lambda: 1, 5) == 1

    @pytest.mark.parametrize("name", ["is_cancelled", "is_cancelled_asynchronously"])
    async def test_a_cancellation_of_its_own_is_a_failure_and_stops_nobody(self, settings, name: str) -> None:
        permit(settings, name)
        (answer,) = await permissions.answers([("ada", CHAT)])
        assert isinstance(answer, RuntimeError)

    async def test_who_asks_can_be_stopped(self, settings) -> None:
        permit(settings, "waits_at_the_mirror")
        asking = asyncio.create_task(permissions.answers([("ada", MIRROR)]))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def test_its_connection_is_closed(self, owner: User, settings) -> None:
        permit(settings, "is_member_by_a_connection_of_its_own")
        assert await permissions.answers([(owner, MIRROR)]) == [False]
        assert [used.connection for used in connections_used] == [None]


class TestHandshake:
    @pytest.mark.parametrize("name", ["is_member", "is_member_asynchronously"])
    async def test_who_may_comes_in(self, member: User, routes, settings, name: str) -> None:
        permit(settings, name)
        async with connect(TicketAuthMiddlewareStack(routes), MIRROR, ticket=await ticket_for(member)) as socket:
            assert (await socket.receive_json_from())["user"] == "owner"

    @pytest.mark.parametrize("name", ["is_member", "is_member_asynchronously"])
    async def test_who_may_not_is_refused_and_the_ticket_is_spent(self, owner, routes, settings, name: str) -> None:
        permit(settings, name)
        application, ticket = TicketAuthMiddlewareStack(routes), await ticket_for(owner)
        for status, code in ((403, "forbidden"), (401, "not_authenticated")):
            with pytest.raises(Refused) as refused:
                async with connect(application, MIRROR, ticket=ticket):
                    pass
            assert (refused.value.status, refused.value.body["code"]) == (status, code)

    async def test_elsewhere_they_may(self, owner: User, routes, settings) -> None:
        permit(settings, "is_member")
        async with connect(TicketAuthMiddlewareStack(routes), CHAT, ticket=await ticket_for(owner)):
            assert asked == [("owner", CHAT)]

    async def test_the_log_says_why(self, owner: User, routes, settings, caplog: pytest.LogCaptureFixture) -> None:
        permit(settings, "is_member")
        with pytest.raises(Refused):
            async with connect(TicketAuthMiddlewareStack(routes), MIRROR, ticket=await ticket_for(owner)):
                pass
        assert [record.reason for record in caplog.records if hasattr(record, "reason")] == ["not_permitted"]

    @pytest.mark.parametrize("name", ["fails", "gives_nothing", "gives_a_coroutine"])
    @pytest.mark.filterwarnings("ignore:coroutine")
    async def test_nobody_comes_in_by_an_accident(self, member: User, routes, settings, name: str) -> None:
        permit(settings, name)
        with pytest.raises(Refused) as refused:
            async with connect(TicketAuthMiddlewareStack(routes), MIRROR, ticket=await ticket_for(member)):
                pass
        assert refused.value.status == 503

    async def test_it_has_a_deadline(self, member: User, routes, settings) -> None:
        permit(settings, "waits", DATABASE_DEADLINE=0.2)
        with pytest.raises(Refused) as refused:
            async with connect(TicketAuthMiddlewareStack(routes), MIRROR, ticket=await ticket_for(member)):
                pass
        over.set()
        assert refused.value.status == 503

    async def test_anonymous_is_asked_for_too(self, routes, settings) -> None:
        permit(settings, "is_member")
        application = TicketAuthMiddlewareStack(routes, required=False)
        async with connect(application, CHAT):
            assert asked == [("", CHAT)]


class TestLive:
    @pytest.mark.parametrize("name", ["is_member", "is_member_asynchronously"])
    async def test_what_changes_closes_at_once(self, member: User, routes, settings, name: str) -> None:
        permit(settings, name)
        application = TicketAuthMiddlewareStack(routes)
        async with (
            connect(application, MIRROR, ticket=await ticket_for(member)) as socket,
            connect(application, CHAT, ticket=await ticket_for(member)) as other,
        ):
            await database_sync_to_async(leave)(member)
            assert await closed(socket) == (4403, "forbidden")
            assert await other.receive_nothing(timeout=0.2)

    async def test_what_is_rolled_back_closes_nothing(self, member: User, routes, settings) -> None:
        permit(settings, "is_member")

        def leave_and_stay() -> None:
            with transaction.atomic():
                leave(member)
                transaction.set_rollback(True)

        async with connect(TicketAuthMiddlewareStack(routes), MIRROR, ticket=await ticket_for(member)) as socket:
            await socket.receive_json_from()
            await database_sync_to_async(leave_and_stay)()
            await database_sync_to_async(permissions.permissions_changed)(member)
            await asyncio.to_thread(until, lambda: len(asked) == 2)
            assert await socket.receive_nothing(timeout=0.2)

    async def test_what_nobody_said_is_found_by_the_sweep(self, member: User, routes, settings) -> None:
        permit(settings, "is_member", REVOCATION_POLL=0.05, REVOCATION_SWEEP=0.2)
        async with connect(TicketAuthMiddlewareStack(routes), MIRROR, ticket=await ticket_for(member)) as socket:
            await database_sync_to_async(member.groups.clear)()
            assert (await closed(socket))[0] == 4403

    async def test_anonymous_sockets_too(self, routes, settings) -> None:
        permit(settings, "fails_for_the_owner", REVOCATION_POLL=0.05, REVOCATION_SWEEP=0.1)
        application = TicketAuthMiddlewareStack(routes, required=False)
        async with connect(application, CHAT) as socket:
            permit(settings, "is_nobody", REVOCATION_POLL=0.05, REVOCATION_SWEEP=0.1)
            assert (await closed(socket))[0] == 4403

    async def test_it_is_asked_once_for_all_sockets_of_a_user_at_a_path(self, member: User, routes, settings) -> None:
        permit(settings, "is_member")
        application = TicketAuthMiddlewareStack(routes)
        # Of one login: two tickets without one differ in when they were issued.
        login = await database_sync_to_async(logins.start)(member)
        identity = Identity(OURS, users.subject_of(member), Sid(login["sid"]))
        both = [(await tickets.issue(store(), Ticket(identity), ttl=30)).value for _ in range(2)]
        async with (
            connect(application, MIRROR, ticket=both[0]) as socket,
            connect(application, MIRROR, ticket=both[1]) as another,
        ):
            await database_sync_to_async(leave)(member)
            assert [await closed(socket), await closed(another)] == [(4403, "forbidden")] * 2
        assert len(asked) == 3

    async def test_where_nobody_can_say_it_lasts_a_while_and_the_others_stay(
        self, owner: User, stranger: User, routes, settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        permit(settings, "fails_for_the_owner", REVOCATION_POLL=0.05, REVOCATION_SWEEP=0.1, BLIND_GRACE=0.5)
        application = TicketAuthMiddlewareStack(routes)
        async with (
            connect(application, CHAT, ticket=await ticket_for(owner)) as socket,
            connect(application, CHAT, ticket=await ticket_for(stranger)) as other,
        ):
            over.set()
            assert await socket.receive_nothing(timeout=0.3)
            assert (await closed(socket))[0] == 1013
            assert await other.receive_nothing(timeout=0.2)
        assert caplog.messages.count("MAY_CONNECT failed for a live socket") == 1

    async def test_what_works_again_is_forgotten(self, owner: User, routes, settings) -> None:
        grace = 2.0
        permit(settings, "fails_for_the_owner", REVOCATION_POLL=0.05, REVOCATION_SWEEP=0.1, BLIND_GRACE=grace)
        async with connect(TicketAuthMiddlewareStack(routes), CHAT, ticket=await ticket_for(owner)) as socket:
            unsure, began = (await hub.of_this_loop.get())._unsure, time.monotonic()
            while time.monotonic() < began + 1.5 * grace:
                over.set()
                await asyncio.to_thread(until, lambda: unsure)
                over.clear()
                await asyncio.to_thread(until, lambda: not unsure)
            assert await socket.receive_nothing()

    async def test_who_is_over_does_not_wait_for_a_slow_answer(
        self, owner: User, stranger: User, routes, settings
    ) -> None:
        often = {"REVOCATION_POLL": 0.5, "REVOCATION_SWEEP": 0.5}
        permit(settings, "waits_asynchronously", **often)
        application = TicketAuthMiddlewareStack(routes)
        login = await database_sync_to_async(logins.start)(owner)
        identity = Identity(OURS, users.subject_of(owner), Sid(login["sid"]))
        ticket = (await tickets.issue(store(), Ticket(identity), ttl=30)).value
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(4 * permissions.MOST_AT_A_TIME):
                await stack.enter_async_context(connect(application, CHAT, ticket=await ticket_for(stranger)))
            socket = await stack.enter_async_context(connect(application, CHAT, ticket=ticket))
            permit(settings, "waits_asynchronously", DATABASE_DEADLINE=0.5, **often)
            over.set()
            await database_sync_to_async(logins.end)(identity.sid)
            began = time.monotonic()
            assert (await closed(socket))[0] == 4403
            assert time.monotonic() - began < 0.5 + 1


async def waits_asynchronously(user: Any, path: str) -> bool:
    while over.is_set():  # noqa: ASYNC110 -- it is to be slow
        await asyncio.sleep(0.01)
    return True


async def waits_at_the_mirror(user: Any, path: str) -> bool:
    if path == MIRROR:
        await asyncio.Event().wait()
    return True


connections_used: list[Any] = []


def is_member_by_a_connection_of_its_own(user: Any, path: str) -> bool:
    answer = is_member(user, path)
    connections_used.append(connections["default"])
    # As by Django's default, it lasts as long as this.
    connections["default"].close_at = 0.0
    return answer


def is_nobody(user: Any, path: str) -> bool:
    return False
