"""Read again at every step, many at once."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework_simplejwt.utils import get_md5_hash_password

from ticketauth import batch, logins, users
from ticketauth.batch import GATHERING, MOST_TURNS, PATIENCE, Batcher, query
from ticketauth.exceptions import NotAuthenticated, Unavailable
from ticketauth.loops import PerLoop
from ticketauth.models import Login, Revocation
from ticketauth.types import OURS, Identity, Sid, Subject


@pytest.fixture
def login(owner: User) -> Login:
    logins.start(owner)
    return Login.objects.get()


def in_thread(read, seconds=5):
    async def answer(questions):
        return await query(lambda: read(questions), seconds)

    return answer


def identity_of(login: Login, **changes) -> Identity:
    return Identity(OURS, Subject(str(login.user_id)), Sid(login.sid), **changes)


async def batches(questions: int, turns: int) -> list[int]:
    """How many shared a call, of those who come one after the other, so many turns of the loop apart."""
    calls: list[int] = []

    async def answer(asked):
        calls.append(len(asked))
        return asked

    batcher: Batcher[int, int] = Batcher(answer)
    async with asyncio.TaskGroup() as group:
        for number in range(questions):
            group.create_task(batcher.ask(number))
            for _ in range(turns):
                await asyncio.sleep(0)
    return calls


class Held:
    """Answers each question with itself, when it may."""

    def __init__(self) -> None:
        self.asked = asyncio.Queue[list[int]]()
        self.release = asyncio.Event()

    async def answer(self, questions):
        self.asked.put_nowait(questions)
        await self.release.wait()
        return questions


class TestQueries:
    def test_user_and_login_are_one_query(self, login: Login) -> None:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            standings = users._read_all([identity_of(login)] * 5)
        assert len(queries) == 1
        assert all(isinstance(standing, users.Standing) for standing in standings)

    async def test_who_comes_during_a_query_shares_the_next(self) -> None:
        calls: list[int] = []

        def read(questions):
            calls.append(len(questions))
            return [question * 2 for question in questions]

        batcher: Batcher[int, int] = Batcher(in_thread(read))
        first = asyncio.create_task(batcher.ask(0))
        await asyncio.sleep(0)
        others = [asyncio.create_task(batcher.ask(number)) for number in range(1, 51)]
        assert await asyncio.gather(first, *others) == [number * 2 for number in range(51)]
        assert len(calls) <= 3

    async def test_who_is_on_the_way_joins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ticketauth.batch.GATHERING", 10.0)
        assert await batches(5, turns=2) == [5]

    async def test_a_stream_of_newcomers_holds_up_nobody_for_long(self) -> None:
        assert len(await batches(4 * MOST_TURNS, turns=1)) >= 3

    async def test_a_busy_loop_gathers_no_longer_than_one_of_its_turns(self) -> None:
        """What a turn costs elsewhere is simulated: turns are counted, but time counts as well."""
        turns = 0

        async def answer(questions):
            return [turns for _ in questions]

        batcher: Batcher[int, int] = Batcher(answer)
        asked = asyncio.create_task(batcher.ask(1))
        while not asked.done():
            turns += 1
            time.sleep(2 * GATHERING)  # noqa: ASYNC251 -- the loop is held up, that is the point
            await asyncio.sleep(0)
        assert await asked <= 4

    async def test_one_who_gives_up_disturbs_nobody(self) -> None:
        batcher: Batcher[int, int] = Batcher(in_thread(lambda questions: questions))
        patient, impatient = asyncio.create_task(batcher.ask(1)), asyncio.create_task(batcher.ask(2))
        await asyncio.sleep(0)
        impatient.cancel()
        assert await patient == 1

    async def test_a_read_that_never_ends_is_abandoned(self) -> None:
        release = threading.Event()
        hangs = iter([True, False])

        def read(questions):
            if next(hangs):
                release.wait(10)
            return questions

        batcher: Batcher[int, int] = Batcher(in_thread(read, 2))
        try:
            with pytest.raises(TimeoutError):
                await batcher.ask(1)
            assert await batcher.ask(2) == 2
        finally:
            release.set()

    async def test_only_who_asked_hears_of_the_failure_of_one(self) -> None:
        async def halve(questions):
            return [ValueError("odd") if question % 2 else question // 2 for question in questions]

        batcher: Batcher[int, int] = Batcher(halve)
        outcomes = await asyncio.gather(*(batcher.ask(number) for number in (2, 3, 4)), return_exceptions=True)
        assert [outcomes[0], type(outcomes[1]), outcomes[2]] == [1, ValueError, 2]

    async def test_a_lane_that_hangs_does_not_hold_up_the_other(self) -> None:
        begun, release = asyncio.Event(), asyncio.Event()

        async def answer(questions):
            if 0 in questions:
                begun.set()
                await release.wait()
            return questions

        batcher: Batcher[int, int] = Batcher(answer, lanes=2)
        hanging = asyncio.create_task(batcher.ask(0))
        await begun.wait()
        assert await asyncio.gather(*(batcher.ask(number) for number in (1, 2, 3))) == [1, 2, 3]
        release.set()
        assert await hanging == 0

    async def test_who_comes_during_a_call_goes_with_the_next(self, monkeypatch) -> None:
        monkeypatch.setattr(batch, "PATIENCE", 60)
        held = Held()
        batcher: Batcher[int, int] = Batcher(held.answer, lanes=4)
        waiting = []
        for number in range(4):
            waiting.append(asyncio.create_task(batcher.ask(number)))
            for _ in range(2 * MOST_TURNS):
                await asyncio.sleep(0)
        held.release.set()
        await asyncio.gather(*waiting)
        assert [held.asked.get_nowait(), held.asked.get_nowait()] == [[0], [1, 2, 3]]

    async def test_no_more_lanes_are_opened_than_there_may_be(self) -> None:
        held = Held()
        batcher: Batcher[int, int] = Batcher(held.answer, lanes=2)
        waiting = []
        for number in (0, 1):
            waiting.append(asyncio.create_task(batcher.ask(number)))
            assert await held.asked.get() == [number]
        waiting.append(asyncio.create_task(batcher.ask(2)))
        await asyncio.sleep(3 * PATIENCE)
        assert held.asked.empty()
        held.release.set()
        assert await asyncio.gather(*waiting) == [0, 1, 2]

    async def test_who_waits_too_long_is_told(self) -> None:
        held = Held()
        batcher: Batcher[int, int] = Batcher(held.answer)
        patient = asyncio.create_task(batcher.ask(1))
        hurried = asyncio.create_task(batcher.ask(2, within=0.01))
        await asyncio.wait([hurried], timeout=10)
        held.release.set()
        assert await patient == 1
        assert isinstance(hurried.exception(), TimeoutError)

    async def test_all_who_wait_hear_of_a_failure(self) -> None:
        def read(questions):
            raise DatabaseError("gone")

        batcher: Batcher[int, int] = Batcher(in_thread(read))
        outcomes = await asyncio.gather(batcher.ask(1), batcher.ask(2), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [DatabaseError, DatabaseError]
        with pytest.raises(DatabaseError):
            await batcher.ask(3)


class TestStanding:
    async def test_it_ends_with_the_login(self, login: Login) -> None:
        standing = await users.read(identity_of(login, expires_at=1.0))
        assert standing.expires_at == login.expires_at.timestamp()

    async def test_without_login_with_the_token(self, owner: User) -> None:
        ends = timezone.now().timestamp() + 60
        assert (await users.read(Identity(OURS, Subject(str(owner.pk)), expires_at=ends))).expires_at == ends

    async def test_one_poisoned_subject_spoils_no_batch(self, owner: User) -> None:
        poisoned = [Identity(OURS, Subject(text)) for text in ("x", "9" * 40, "1.5", "-1", "")]
        good = Identity(OURS, Subject(str(owner.pk)))
        outcomes = await asyncio.gather(*(users.read(one) for one in [*poisoned[:4], good]), return_exceptions=True)
        assert [isinstance(outcome, NotAuthenticated) for outcome in outcomes] == [True] * 4 + [False]

    @pytest.mark.parametrize(("age", "refused"), [(-60, False), (60, True)])
    async def test_ours_without_login_can_be_revoked_by_user(self, owner: User, age: int, refused: bool) -> None:
        now = timezone.now()
        await Revocation.objects.acreate(
            issuer="", subject=str(owner.pk), revoked_at=now + timedelta(seconds=age), expires_at=now
        )
        identity = Identity(OURS, Subject(str(owner.pk)), issued_at=now.timestamp())
        if refused:
            with pytest.raises(NotAuthenticated):
                await users.read(identity)
        else:
            await users.read(identity)

    async def test_simplejwts_password_claim_is_honoured(self, owner: User) -> None:
        claim = get_md5_hash_password(owner.password)
        identity = Identity(OURS, Subject(str(owner.pk)), password_claim=claim)
        await users.read(identity)
        await User.objects.aupdate(password="another")
        with pytest.raises(NotAuthenticated, match="password_changed"):
            await users.read(identity)

    async def test_a_rotated_secret_key_ends_no_login(self, login: Login, settings) -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another key of more than fifty characters, for Django to be content"
        await users.read(identity_of(login))

    async def test_a_silent_database_is_unavailable(self, owner: User, monkeypatch, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "DATABASE_DEADLINE": 0.05}

        async def nothing(identities):
            await asyncio.Event().wait()

        monkeypatch.setattr(users, "_batchers", PerLoop(lambda: Batcher(nothing)))
        with pytest.raises(Unavailable):
            await users.read(Identity(OURS, Subject(str(owner.pk))))


async def test_but_for_that_of_a_session_which_would_begin_it_anew(owner: User, client: Client) -> None:
    await database_sync_to_async(client.force_login)(owner)
    session = client.session
    identity = await database_sync_to_async(_without_a_kept_sid)(session, owner)
    await database_sync_to_async(logins.end)(identity.sid)
    past = timezone.now() - timedelta(days=1)
    await Login.objects.aupdate(expires_at=past)
    await database_sync_to_async(logins.clear)()
    with pytest.raises(NotAuthenticated):
        await database_sync_to_async(logins.of_session)(session, owner)


def _without_a_kept_sid(session: Any, user: User) -> Identity:
    """As before this app was installed."""
    del session[logins.SESSION_KEY]
    Login.objects.all().delete()
    return logins.of_session(session, user)


async def test_logins_that_are_over_are_cleared(login: Login, owner: User) -> None:
    await database_sync_to_async(logins.start)(owner)
    await Login.objects.filter(pk=login.pk).aupdate(expires_at=timezone.now() - timedelta(days=1))
    assert await database_sync_to_async(logins.clear)() == 1
    assert await Login.objects.acount() == 1
