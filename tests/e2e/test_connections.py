"""One's own open sockets, how many there may be, and what the registry says of them in Redis."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.dateparse import parse_datetime
from redis import Redis

from tests.conftest import Forge, Service
from tests.servers import until
from tests.sockets import Handshake
from ticketauth import admin, registry

CONNECTIONS = "/api/connections/"
POLL = 0.2
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GOOD = "https://good.example"


@pytest.fixture(autouse=True)
def _often(settings: Any) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": POLL}


def bearer(pair: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access']}"}


def sid_of(pair: dict[str, str]) -> str:
    sid: str = jwt.decode(pair["access"], options={"verify_signature": False})["sid"]
    return sid


def connect(service: Service, pair: dict[str, str], **kwargs: Any) -> Handshake:
    return service.connect(f"ticket_uuid={service.ticket(pair['access'])}", **kwargs)


def listed(service: Service, pair: dict[str, str]) -> list[dict[str, Any]]:
    answer = service.http.get(CONNECTIONS, headers=bearer(pair))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def all_listed(service: Service, pair: dict[str, str], number: int) -> list[dict[str, Any]]:
    """As soon as there are so many."""
    ends = time.monotonic() + 20
    while len(found := listed(service, pair)) != number:
        assert time.monotonic() < ends, found
        time.sleep(0.01)
    return found


def end(service: Service, pair: dict[str, str], connection_id: str) -> httpx.Response:
    return service.http.delete(f"{CONNECTIONS}{connection_id}/", headers=bearer(pair))


class TestList:
    def test_those_of_all_ones_logins_and_nobody_elses(self, service: Service, tokens, other, strangers) -> None:
        for pair in (tokens, other, strangers):
            connect(service, pair)
        assert {told["sid"] for told in all_listed(service, tokens, 2)} == {sid_of(tokens), sid_of(other)}
        assert {told["sid"] for told in all_listed(service, strangers, 1)} == {sid_of(strangers)}

    def test_what_is_said_of_one(self, service: Service, tokens: dict[str, str]) -> None:
        before = datetime.now(UTC)
        connect(service, tokens, path="/ws/events/", headers=[("User-Agent", FIREFOX)])
        (told,) = all_listed(service, tokens, 1)
        assert re.fullmatch("[0-9a-f]{32}", told.pop("connection_id"))
        since = parse_datetime(told.pop("since"))
        assert since is not None
        assert abs((since - before).total_seconds()) < 5
        assert told == {
            "sid": sid_of(tokens),
            "path": "/ws/events/",
            "scheme": "ticket_query",
            "address": "127.0.0.1",
            "label": "Firefox on Linux",
        }

    def test_the_id_is_the_one_that_the_client_is_told(self, service: Service, tokens: dict[str, str]) -> None:
        ready = connect(service, tokens, path="/ws/events/").json()
        (told,) = all_listed(service, tokens, 1)
        assert told["connection_id"] == ready["connection_id"]

    def test_the_newest_is_first(self, service: Service, tokens: dict[str, str]) -> None:
        for path in ("/ws/echo/", "/ws/events/", "/ws/echo/"):
            connect(service, tokens, path=path)
        since = [told["since"] for told in all_listed(service, tokens, 3)]
        assert since == sorted(since, reverse=True)

    def test_one_that_is_closed_is_not_listed(self, service: Service, tokens: dict[str, str]) -> None:
        socket = connect(service, tokens)
        all_listed(service, tokens, 1)
        socket.close()
        all_listed(service, tokens, 0)

    def test_one_that_the_server_closed_is_not_listed(self, service: Service, tokens, other) -> None:
        socket = connect(service, tokens)
        all_listed(service, other, 1)
        service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert socket.close_code()[0] == 4403
        # The client has not answered the close frame: it is over all the same.
        all_listed(service, other, 0)

    def test_a_token_without_a_login_has_no_sid(self, service: Service, tokens: dict[str, str], forge: Forge) -> None:
        service.connect(headers=[("Authorization", f"Bearer {forge.token(sid=...)}")])
        assert [told["sid"] for told in all_listed(service, tokens, 1)] == [""]

    def test_a_browsers_session_sees_them_too(self, service: Service, owner: User, tokens: dict[str, str]) -> None:
        connect(service, tokens)
        all_listed(service, tokens, 1)
        browser = Client(headers={"host": "sockets.example"})
        browser.force_login(owner)
        assert len(browser.get(CONNECTIONS).json()) == 1

    def test_nobody_is_401(self, service: Service) -> None:
        answer = service.http.get(CONNECTIONS)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")

    def test_is_kept_by_nobody(self, service: Service, tokens: dict[str, str]) -> None:
        assert service.http.get(CONNECTIONS, headers=bearer(tokens)).headers["Cache-Control"] == "no-store"


class TestEnd:
    def test_that_one_is_closed_and_no_other(self, service: Service, tokens, other) -> None:
        socket, kept = connect(service, tokens), connect(service, tokens)
        told = all_listed(service, other, 2)
        assert end(service, other, told[-1]["connection_id"]).status_code == 204
        assert socket.close_code() == (4403, "forbidden")
        kept.send("still here?")
        assert kept.text() == "still here?"
        all_listed(service, tokens, 1)

    def test_within_a_poll_and_a_second(self, service: Service, tokens: dict[str, str], settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REVOCATION_POLL": 1.0}
        socket = connect(service, tokens)
        (told,) = all_listed(service, tokens, 1)
        assert end(service, tokens, told["connection_id"]).status_code == 204
        began = time.monotonic()
        assert socket.close_code()[0] == 4403
        assert time.monotonic() - began < 2

    def test_a_strangers_is_404_as_one_that_does_not_exist(self, service: Service, tokens, strangers) -> None:
        socket = connect(service, strangers)
        (told,) = all_listed(service, strangers, 1)
        connect(service, tokens)
        all_listed(service, tokens, 1)
        answers = [end(service, tokens, one) for one in (told["connection_id"], "unknown", "odd.id")]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}
        assert len(listed(service, strangers)) == 1
        socket.send("still here?")
        assert socket.text() == "still here?"

    def test_one_that_is_over_is_404(self, service: Service, tokens: dict[str, str]) -> None:
        socket = connect(service, tokens)
        (told,) = all_listed(service, tokens, 1)
        socket.close()
        all_listed(service, tokens, 0)
        assert end(service, tokens, told["connection_id"]).status_code == 404

    def test_nobody_is_401(self, service: Service) -> None:
        assert service.http.delete(f"{CONNECTIONS}some/").status_code == 401

    def test_a_session_needs_the_csrf_token(self, service: Service, owner: User, tokens: dict[str, str]) -> None:
        connect(service, tokens)
        (told,) = all_listed(service, tokens, 1)
        client = Client(enforce_csrf_checks=True, headers={"host": "sockets.example"})
        client.force_login(owner)
        assert client.delete(f"{CONNECTIONS}{told['connection_id']}/").status_code == 403

    def test_the_log_says_who_ended_what(self, service: Service, owner: User, tokens, caplog) -> None:
        caplog.set_level(logging.INFO, "ticketauth")
        socket = connect(service, tokens)
        (told,) = all_listed(service, tokens, 1)
        end(service, tokens, told["connection_id"])
        socket.close_code()
        assert f"disconnect outcome=done user={owner.pk} connection_id={told['connection_id']}" in caplog.text
        assert re.search(
            rf"close connection_id={told['connection_id']}.* reason=connection_ended code=4403", caplog.text
        )


class TestSessions:
    def test_the_open_sockets_of_each_login(self, service: Service, tokens, other) -> None:
        connect(service, tokens)
        connect(service, tokens)
        all_listed(service, tokens, 2)
        answer = service.http.get("/api/sessions/", headers=bearer(other)).json()
        assert {login["sid"]: login["connections"] for login in answer} == {sid_of(tokens): 2, sid_of(other): 0}

    def test_null_where_nobody_knows(self, service: Service, tokens: dict[str, str], redis_gone: None) -> None:
        (login,) = service.http.get("/api/sessions/", headers=bearer(tokens)).json()
        assert login["connections"] is None


@pytest.fixture
def redis_gone(settings: Any, tmp_path: Path) -> None:
    """At an address where nobody listens."""
    settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}?db=0"}


class TestRedisGone:
    def test_nobody_can_say_which_there_are(self, service: Service, tokens: dict[str, str], redis_gone: None) -> None:
        answers = [service.http.get(CONNECTIONS, headers=bearer(tokens)), end(service, tokens, "some")]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "unavailable")}
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)

    def test_sockets_live_on_and_one_line_says_so(
        self, service: Service, tokens: dict[str, str], settings, tmp_path: Path, caplog
    ) -> None:
        caplog.set_level(logging.INFO, "ticketauth")
        socket = connect(service, tokens)
        all_listed(service, tokens, 1)
        there = settings.TICKETAUTH
        settings.TICKETAUTH = {**there, "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}?db=0"}
        until(lambda: "live sockets are not registered: redis_unreachable" in caplog.text)
        time.sleep(3 * POLL)  # Nothing more is to happen: there is no event to wait for.
        socket.send("still here?")
        assert socket.text() == "still here?"
        settings.TICKETAUTH = there
        until(lambda: "live sockets are registered again" in caplog.text)
        assert caplog.text.count("live sockets are") == 2

    def test_what_was_opened_meanwhile_is_registered_afterwards(
        self, service: Service, tokens: dict[str, str], settings, tmp_path: Path, caplog
    ) -> None:
        there = settings.TICKETAUTH
        settings.TICKETAUTH = {**there, "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}?db=0"}
        assert service.connect(headers=[("Authorization", f"Bearer {tokens['access']}")]).accepted
        until(lambda: "live sockets are not registered" in caplog.text)
        settings.TICKETAUTH = there
        all_listed(service, tokens, 1)


class TestLost:
    """What Redis has lost is written again."""

    def test_emptied(self, service: Service, tokens: dict[str, str], valkey: Redis) -> None:
        for _ in range(3):
            connect(service, tokens)
        before = all_listed(service, tokens, 3)
        valkey.flushall()
        assert all_listed(service, tokens, 3) == before

    def test_the_index_alone(self, service: Service, tokens, valkey: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        """As when it has outlived its time: workers write theirs anew before that."""
        connect(service, tokens)
        before = all_listed(service, tokens, 1)
        valkey.delete(*valkey.scan_iter("{ticketauth}:user:*"))
        assert listed(service, tokens) == []
        monkeypatch.setattr(registry, "INDEX_LIFE", 1.0)
        assert all_listed(service, tokens, 1) == before


def keys(valkey: Redis) -> dict[str, int]:
    """The registry's keys, and how many milliseconds each has left."""
    kinds = ("sockets", "workers", "ends", "user", "address")
    return {key.decode(): valkey.pttl(key) for kind in kinds for key in valkey.scan_iter(f"{{ticketauth}}:{kind}:*")}


class TestInRedis:
    def test_no_key_stays_for_ever(self, service: Service, tokens: dict[str, str], valkey: Redis) -> None:
        connect(service, tokens)
        (told,) = all_listed(service, tokens, 1)
        connect(service, tokens)
        end(service, tokens, told["connection_id"])
        found = keys(valkey)
        assert {key.split(":")[1] for key in found} >= {"sockets", "workers", "user"}
        # Gone meanwhile: -2.
        assert all(left > 0 or left == -2 for left in found.values())

    def test_no_credential_is_in_it(self, service: Service, tokens: dict[str, str], valkey: Redis) -> None:
        ticket = service.ticket(tokens["access"])
        service.connect(f"ticket_uuid={ticket}")
        service.connect(headers=[("Authorization", f"Bearer {tokens['access']}")])
        all_listed(service, tokens, 2)
        kept = [*keys(valkey), *(str(valkey.hgetall(key)) for key in keys(valkey) if ":sockets:" in key)]
        assert len(kept) > 3
        assert not [text for text in kept if ticket in text or tokens["access"] in text]

    def test_a_refused_handshake_leaves_nothing(self, service: Service, tokens: dict[str, str], valkey: Redis) -> None:
        valkey.delete(*valkey.scan_iter("{ticketauth}:*"), "nothing")
        ticket = service.ticket(tokens["access"])
        assert service.connect(f"ticket_uuid={ticket}", origin="https://evil.example").status == 403
        assert service.connect("ticket_uuid=7c0e0c5e-93a8-4bd1-a6e0-2d1e1b0e7c55").status == 401
        assert service.connect(path="/ws/nowhere/").status == 404
        connect(service, tokens)
        (told,) = all_listed(service, tokens, 1)
        (worker,) = (key for key in keys(valkey) if ":sockets:" in key)
        assert valkey.hkeys(worker) == [told["connection_id"].encode()]

    def test_when_all_have_gone_only_the_name_of_the_worker_is_left(
        self, service: Service, tokens: dict[str, str], valkey: Redis
    ) -> None:
        connect(service, tokens).close()
        until(lambda: [key for key in keys(valkey) if "workers" not in key] == [])

    def test_texts_are_bounded(self, service: Service, owner: User, valkey: Redis) -> None:
        User.objects.filter(pk=owner.pk).update(username="ü" * 150)
        owner.refresh_from_db()
        pair = service.login(owner)
        connect(service, pair, headers=[("User-Agent", "a" * 9000)])
        all_listed(service, pair, 1)
        (worker,) = (key for key in keys(valkey) if ":sockets:" in key)
        (entry,) = valkey.hvals(worker)
        assert len(entry) < 1000


Limit = Callable[..., None]


@pytest.fixture
def limit(settings: Any) -> Limit:
    def set_limit(**limits: int) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, **limits}

    return set_limit


class TestLimits:
    def test_one_too_many_of_a_user_is_429(self, service: Service, tokens, other, limit: Limit) -> None:
        limit(SOCKETS_PER_USER=2)
        assert [connect(service, pair).status for pair in (tokens, other)] == [101, 101]
        answer = connect(service, tokens)
        assert (answer.status, answer.problem["code"]) == (429, "too_many")
        assert int(answer.headers["retry-after"]) >= 1

    def test_another_user_is_not_concerned(self, service: Service, tokens, strangers, limit: Limit) -> None:
        limit(SOCKETS_PER_USER=1)
        assert [connect(service, pair).status for pair in (tokens, strangers)] == [101, 101]

    def test_one_too_many_of_an_address_is_429(self, service: Service, tokens, strangers, limit: Limit) -> None:
        limit(SOCKETS_PER_ADDRESS=1)
        assert [connect(service, pair).status for pair in (tokens, strangers)] == [101, 429]

    def test_a_profile_that_closes_says_4429(self, service: Service, tokens, limit: Limit, settings) -> None:
        limit(SOCKETS_PER_USER=1, REFUSAL_PROFILE="close")
        connect(service, tokens)
        code, reason = connect(service, tokens).close_code()
        assert (code, '"code":"too_many"' in reason) == (4429, True)

    def test_addresses_of_one_network_count_together(self, service: Service, tokens, limit: Limit) -> None:
        limit(SOCKETS_PER_ADDRESS=1, TRUSTED_PROXIES=["127.0.0.1"])
        from_there = [[("X-Forwarded-For", address)] for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
        assert [connect(service, tokens, headers=headers).status for headers in from_there] == [101, 429, 101]

    def test_one_that_closes_makes_room(self, service: Service, tokens: dict[str, str], limit: Limit) -> None:
        limit(SOCKETS_PER_USER=1)
        connect(service, tokens).close()
        until(lambda: connect(service, tokens).status == 101)

    def test_one_that_is_ended_makes_room_at_once(self, service: Service, tokens, other, limit: Limit) -> None:
        limit(SOCKETS_PER_USER=1)
        socket = connect(service, tokens)
        service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert socket.close_code()[0] == 4403
        assert connect(service, other).status == 101

    def test_a_refused_one_takes_no_room(self, service: Service, tokens: dict[str, str], limit: Limit) -> None:
        limit(SOCKETS_PER_USER=2)
        first = connect(service, tokens)
        connect(service, tokens)
        assert [connect(service, tokens).status for _ in range(3)] == [429] * 3
        first.close()
        until(lambda: connect(service, tokens).status == 101)

    def test_places_of_other_workers_count(self, service: Service, tokens, valkey: Redis, limit: Limit) -> None:
        """Those of a worker that lives: the others' are dropped."""
        limit(SOCKETS_PER_USER=2)
        kept = connect(service, tokens)
        all_listed(service, tokens, 1)
        (index,) = valkey.scan_iter("{ticketauth}:user:*")
        (worker,) = valkey.scan_iter("{ticketauth}:sockets:*")
        (entry,) = valkey.hvals(worker)
        valkey.zadd(index, {"elsewhere:anotherworker": 1, "gone:deadworker": 2})
        valkey.hset("{ticketauth}:sockets:anotherworker", "elsewhere", entry)
        late = connect(service, tokens)
        assert late.accepted
        code, reason = late.close_code()
        assert (code, '"retry_after"' in reason) == (4429, True)
        valkey.delete("{ticketauth}:sockets:anotherworker")
        until(lambda: connect(service, tokens).status == 101)
        kept.send("still here?")
        assert kept.text() == "still here?"


PAGE = "/admin/ticketauth/login/sockets/"


def browser_of(user: User) -> Client:
    client = Client(headers={"host": "sockets.example"})
    client.force_login(user)
    return client


def staff(user: User, *permissions: str) -> Client:
    """The browser of a member of the staff who may do so much."""
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return browser_of(user)


class TestAdmin:
    def test_it_shows_everybodys(self, service: Service, owner: User, tokens, strangers) -> None:
        connect(service, tokens, headers=[("User-Agent", FIREFOX)])
        connect(service, strangers)
        ids = [all_listed(service, pair, 1)[0]["connection_id"] for pair in (tokens, strangers)]
        page = staff(owner, "view_login").get(PAGE).content.decode()
        assert all(one in page for one in ids)
        assert "Firefox on Linux" in page
        assert "2 live sockets" in page

    def test_the_logins_lead_there(self, service: Service, owner: User) -> None:
        assert f'href="{PAGE}"' in staff(owner, "view_login").get("/admin/ticketauth/login/").content.decode()

    @pytest.mark.parametrize("query", ["STRANG", "sid", "ws/EV", "address"])
    def test_it_is_searched(self, service: Service, owner: User, tokens, strangers, settings, query: str) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TRUSTED_PROXIES": ["127.0.0.1"]}
        connect(service, tokens, headers=[("X-Forwarded-For", "203.0.113.1")])
        connect(service, strangers, path="/ws/events/", headers=[("X-Forwarded-For", "198.51.100.7")])
        (hidden,), (told,) = all_listed(service, tokens, 1), all_listed(service, strangers, 1)
        asked = {"sid": told["sid"][3:9], "address": told["address"][:6]}.get(query, query)
        page = staff(owner, "view_login").get(PAGE, {"q": asked}).content.decode()
        assert told["connection_id"] in page
        assert hidden["connection_id"] not in page

    def test_it_ends_the_chosen(self, service: Service, owner: User, strangers) -> None:
        chosen, kept = connect(service, strangers), connect(service, strangers)
        told = all_listed(service, strangers, 2)
        browser = staff(owner, "view_login", "delete_login")
        answer = browser.post(PAGE, {"chosen": [told[1]["connection_id"], "unknown"]}, follow=True)
        assert "Ended 1 sockets." in answer.content.decode()
        assert chosen.close_code()[0] == 4403
        kept.send("still here?")
        assert kept.text() == "still here?"

    def test_who_may_only_look_ends_nothing(self, service: Service, owner: User, strangers) -> None:
        connect(service, strangers)
        (told,) = all_listed(service, strangers, 1)
        browser = staff(owner, "view_login")
        assert browser.post(PAGE, {"chosen": [told["connection_id"]]}).status_code == 403
        assert "End the chosen" not in browser.get(PAGE).content.decode()

    def test_others_see_nothing(self, service: Service, owner: User) -> None:
        assert staff(owner).get(PAGE).status_code == 403
        User.objects.update(is_staff=False)
        assert browser_of(owner).get(PAGE).status_code == 302

    def test_it_needs_the_csrf_token(self, service: Service, owner: User) -> None:
        User.objects.update(is_staff=True, is_superuser=True)
        client = Client(enforce_csrf_checks=True, headers={"host": "sockets.example"})
        client.force_login(owner)
        assert client.post(PAGE, {"chosen": ["some"]}).status_code == 403

    def test_it_is_bounded_and_says_so(self, service: Service, owner: User, tokens, monkeypatch) -> None:
        monkeypatch.setattr(admin, "MOST_SHOWN", 2)
        for _ in range(3):
            connect(service, tokens)
        all_listed(service, tokens, 3)
        page = staff(owner, "view_login").get(PAGE).content.decode()
        assert page.count("/ws/echo/") == 2
        assert "there are more" in page

    def test_without_redis_it_says_so(self, service: Service, owner: User, redis_gone: None) -> None:
        browser = staff(owner, "view_login", "delete_login")
        answer = browser.get(PAGE)
        assert (answer.status_code, "nobody knows" in answer.content.decode()) == (503, True)
        assert "nothing was ended" in browser.post(PAGE, {"chosen": ["some"]}, follow=True).content.decode()

    def test_what_a_client_says_is_only_text(self, service: Service, owner: User) -> None:
        User.objects.filter(pk=owner.pk).update(username="<script>alert(1)</script>")
        owner.refresh_from_db()
        pair = service.login(owner)
        connect(service, pair)
        all_listed(service, pair, 1)
        assert "<script>alert" not in staff(owner, "view_login").get(PAGE).content.decode()
