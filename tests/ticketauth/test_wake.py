"""The wake: whatever ends a login says "look" to all hubs, once it is committed, and never to anybody's harm."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone
from redis import Redis

from tests.servers import Node, until
from ticketauth import conf, logins, permissions, wake
from ticketauth.exceptions import NotAuthenticated
from ticketauth.issuers import verify_refresh
from ticketauth.models import ForeignIdentity, Login, Revocation
from ticketauth.types import OURS, Issuer, Sid, Subject

IDP = "https://idp.example"

Heard = Callable[[float], "str | None"]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log has of wakes: the service of other tests has its own worries."""
    return [message for message in caplog.messages if message.startswith("wakes")]


@pytest.fixture
def heard(valkey: Redis) -> Iterator[Heard]:
    """The next message, or None after so many seconds without one."""
    wake.flush()
    with valkey.pubsub() as pubsub:
        pubsub.subscribe(conf.store().client.key("channel", "wake"))  # type: ignore[attr-defined]
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"

        def hear(seconds: float) -> str | None:
            message = pubsub.get_message(timeout=seconds)
            return message["data"].decode() if message else None

        yield hear
        wake.flush()


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def change_password(user: User) -> None:
    user.set_password("another")
    user.save()


def end_session(user: User) -> None:
    browser = Client()
    browser.force_login(user)
    browser.logout()


def reuse_a_refresh_token(user: User) -> None:
    oldest = async_to_sync(verify_refresh)(str(logins.start(user)))
    newer = logins.rotate(oldest).payload
    logins.rotate(newer)
    with pytest.raises(NotAuthenticated, match="refresh_reused"):
        logins.rotate(oldest)


def write_a_row(user: User) -> None:
    """As the admin does, and a project whose provider told it of a logout."""
    now = timezone.now()
    Revocation.objects.create(issuer=IDP, subject="u1", revoked_at=now, expires_at=now)


def delete_an_identity(user: User) -> None:
    ForeignIdentity.objects.create(issuer=IDP, subject="u1", user=user).delete()


def permit_something(user: User) -> bool:
    return True


CAUSES: dict[str, Callable[[User], Any]] = {
    "end": lambda user: logins.end(Sid(Login.objects.get(user=user).pk)),
    "end_all": logins.end_all,
    "deny": lambda user: logins.deny(OURS, Subject(str(user.pk))),
    "deactivate": deactivate,
    "change_password": change_password,
    "delete the user": User.delete,
    "delete the login": lambda user: Login.objects.filter(user=user).delete(),
    "delete an identity": delete_an_identity,
    "write a row": write_a_row,
    "end the session": end_session,
    "reuse a refresh token": reuse_a_refresh_token,
}


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_wakes(owner: User, heard: Heard, cause: str) -> None:
    logins.start(owner)
    assert heard(0.0) is None
    CAUSES[cause](owner)
    assert heard(5.0) == ""


def test_what_ends_nothing_wakes_nobody(owner: User, heard: Heard) -> None:
    sid = Sid(logins.start(owner)["sid"])
    owner.save()
    logins.end(sid)
    assert heard(5.0) == ""
    assert not logins.end(sid)
    owner.save()
    wake.flush()
    assert heard(0.0) is None


def test_a_password_names_its_user_where_tokens_without_a_login_end_with_it(
    owner: User, heard: Heard, settings: Any
) -> None:
    settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "CHECK_REVOKE_TOKEN": True}
    owner.save(update_fields=["last_login"])
    wake.flush()
    assert heard(0.0) is None
    change_password(owner)
    assert heard(5.0) == f"\0{owner.pk}"


def test_a_permission_names_its_user(owner: User, heard: Heard, settings: Any) -> None:
    ForeignIdentity.objects.create(issuer=IDP, subject="u1", user=owner)
    permissions.permissions_changed(owner)
    wake.flush()
    assert heard(0.0) is None, "nobody is asked, so nobody need be told"
    settings.TICKETAUTH = {**settings.TICKETAUTH, "MAY_CONNECT": f"{__name__}.permit_something"}
    permissions.permissions_changed(owner)
    assert {heard(5.0), heard(5.0)} == {f"\0{owner.pk}", f"{IDP}\0u1"}


def test_it_waits_for_the_commit(owner: User, heard: Heard) -> None:
    login = Sid(logins.start(owner)["sid"])
    with transaction.atomic():
        logins.end(login)
        wake.flush()
        assert heard(0.0) is None
    assert heard(5.0) == ""


def test_what_is_rolled_back_wakes_nobody(owner: User, heard: Heard) -> None:
    login = Sid(logins.start(owner)["sid"])
    with transaction.atomic():
        logins.end(login)
        transaction.set_rollback(True)
    wake.flush()
    assert heard(0.0) is None


def test_where_a_project_commits_by_itself_the_poll_finds_it(owner: User, heard: Heard) -> None:
    login = Sid(logins.start(owner)["sid"])
    connection.set_autocommit(False)
    try:
        assert logins.end(login)
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert Login.objects.get(pk=login).revoked_at


def test_without_a_ticket_server_there_is_none(owner: User, heard: Heard, settings: Any) -> None:
    store = "ticketauth.stores.memory.MemoryStore"
    settings.TICKETAUTH = {**settings.TICKETAUTH, "STORE": store}
    logins.end_all(owner)
    settings.TICKETAUTH = {**settings.TICKETAUTH, "STORE": conf.Settings().STORE, "REDIS_URL": ""}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    logins.end_all(owner)
    asyncio.run(asyncio.wait_for(wake.listen(lambda whom: None), 5))


@pytest.fixture
def node(settings: Any) -> Iterator[Node]:
    """The ticket server, which the test may break."""
    with Node() as node:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": node.url}
        yield node
        wake.flush()


class TestRedisFails:
    def test_a_logout_does_not_wait_for_it(self, owner: User, node: Node) -> None:
        sids = [Sid(logins.start(owner)["sid"]) for _ in range(20)]
        with node.paused():
            began = time.monotonic()
            assert all(logins.end(sid) for sid in sids)
            assert time.monotonic() - began < conf.current().REDIS_DEADLINE
            assert len([thread for thread in threading.enumerate() if thread.name == "ticketauth-wake"]) <= 2
            wake.flush()

    def test_it_is_said_once(self, owner: User, node: Node, caplog: pytest.LogCaptureFixture) -> None:
        # The outage of another test is over.
        logins.deny(OURS, Subject("6"))
        wake.flush()
        caplog.clear()
        node.kill()
        for _ in range(3):
            logins.deny(OURS, Subject("7"))
            wake.flush()
        node.start()
        logins.deny(OURS, Subject("7"))
        wake.flush()
        assert said(caplog) == ["wakes cannot be published (redis_unreachable): live sockets are closed by the poll"]

    def test_there_may_be_no_thread(self, owner: User, monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
        with monkeypatch.context() as context:
            context.setattr(threading.Thread, "start", lambda thread: (_ for _ in ()).throw(RuntimeError))
            logins.deny(OURS, Subject("7"))
        logins.deny(OURS, Subject("7"))
        assert heard(5.0) == ""


class Listener:
    """Listens in a task, and notes what it hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(wake.listen(self.heard.put_nowait))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def hears(self) -> Any:
        async with asyncio.timeout(15):
            return await self.heard.get()


def subscribers(client: Redis) -> int:
    return len(client.client_list(_type="pubsub"))


async def is_subscribed(client: Redis, number: int = 1) -> None:
    await asyncio.to_thread(until, lambda: subscribers(client) == number)


class TestListening:
    async def test_it_hears_whom_to_read(self, node: Node) -> None:
        async with Listener() as listener:
            await is_subscribed(node.client)
            await wake._publish({""})
            await wake._publish({f"{IDP}\0a user"})
            assert await listener.hears() is None
            assert await listener.hears() == (Issuer(IDP), Subject("a user"))

    @pytest.mark.parametrize("said", [b"", b"\xff\xfe", b"x" * 100_000, b"nonsense"])
    async def test_whatever_is_said_means_look(self, node: Node, said: bytes) -> None:
        async with Listener() as listener:
            await is_subscribed(node.client)
            node.client.publish(conf.store().client.key("channel", "wake"), said)  # type: ignore[attr-defined]
            assert await listener.hears() is None

    async def test_it_takes_up_a_connection_that_is_killed_and_makes_up_for_what_it_missed(
        self, node: Node, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with Listener() as listener:
            for _ in range(3):
                await is_subscribed(node.client)
                node.client.client_kill_filter(_type="pubsub")
                assert await listener.hears() is None
            assert listener.heard.empty()
        assert said(caplog) == ["wakes are not heard (redis_unreachable): live sockets are closed by the poll"] * 3

    async def test_a_server_that_went_silent_is_given_up(self, node: Node, caplog: pytest.LogCaptureFixture) -> None:
        async with Listener() as listener:
            await is_subscribed(node.client)
            with node.paused():
                await asyncio.to_thread(until, lambda: said(caplog))
            assert await listener.hears() is None
        assert len(said(caplog)) == 1

    async def test_it_is_forbidden(self, node: Node, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        node.client.execute_command("ACL", "SETUSER", "default", "-subscribe", "-publish")
        async with Listener():
            await asyncio.to_thread(until, lambda: said(caplog))
        assert said(caplog) == ["wakes are not heard (redis_permission): live sockets are closed by the poll"]

    async def test_it_leaves_nothing(self, node: Node) -> None:
        async with Listener():
            await is_subscribed(node.client)
        await is_subscribed(node.client, 0)

    async def test_it_can_be_stopped_at_any_moment(self, node: Node) -> None:
        for turns in range(40):
            async with asyncio.timeout(5), Listener():
                for _ in range(turns):
                    await asyncio.sleep(0)
        await is_subscribed(node.client, 0)
