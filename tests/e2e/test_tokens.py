"""Login, refresh, logout."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.conftest import PASSWORD, Forge, Service
from ticketauth.models import Login


def claims(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


def refresh(service: Service, token: str):
    return service.post("/api/token/refresh/", {"refresh": token})


def logout(service: Service, token: str) -> int:
    return service.post("/api/token/logout/", {"refresh": token}).status_code


class TestLogin:
    def test_both_tokens_carry_the_logins_sid(self, tokens: dict[str, str]) -> None:
        assert claims(tokens["access"])["sid"] == claims(tokens["refresh"])["sid"] == Login.objects.get().sid

    def test_each_login_has_its_own(self, service: Service, owner: User, tokens: dict[str, str]) -> None:
        assert claims(service.login(owner)["access"])["sid"] != claims(tokens["access"])["sid"]

    def test_the_answer_is_not_cached(self, service: Service, owner: User) -> None:
        answer = service.post("/api/token/", {"username": "owner", "password": PASSWORD})
        assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("username", ["owner", "nobody", "a\0b"])
    def test_a_wrong_password_and_an_unknown_name_are_alike(self, service: Service, owner: User, username: str) -> None:
        answer = service.post("/api/token/", {"username": username, "password": "wrong"})
        assert answer.status_code in {400, 401}
        if username != "a\0b":
            assert answer.status_code == 401
            assert answer.json()["detail"] == "User name or password is wrong."
            assert "WWW-Authenticate" in answer.headers

    def test_nobody_who_is_inactive(self, service: Service, owner: User) -> None:
        User.objects.update(is_active=False)
        assert service.post("/api/token/", {"username": "owner", "password": PASSWORD}).status_code == 401

    @pytest.mark.parametrize("body", [None, [], "text", {}, {"username": "owner"}, {"username": [], "password": {}}])
    def test_a_bad_body_is_400(self, service: Service, body: object) -> None:
        answer = service.post("/api/token/", body)
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/problem+json"

    def test_guessing_is_slowed_down(self, service: Service, owner: User, settings) -> None:
        settings.LOGIN_RATE = "3/min"
        answers = [service.post("/api/token/", {"username": "owner", "password": "wrong"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        assert int(answers[3].headers["Retry-After"]) > 0


class TestLog:
    """Every decision is logged."""

    def _events(self, caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
        records: list[Any] = [record for record in caplog.records if record.name == "ticketauth"]
        return [(record.event, record.outcome, getattr(record, "reason", "")) for record in records]

    def test_login_refresh_logout(self, service: Service, owner: User, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "ticketauth")
        service.post("/api/token/", {"username": "owner", "password": "wrong"})
        pair = service.login(owner)
        refresh(service, pair["refresh"])
        logout(service, pair["refresh"])
        refresh(service, pair["refresh"])
        assert self._events(caplog) == [
            ("login", "refused", "password"),
            ("login", "done", ""),
            ("refresh", "done", ""),
            ("logout", "done", ""),
            ("refresh", "refused", "login_revoked"),
        ]

    def test_no_secret_is_in_it(self, service: Service, owner: User, caplog: pytest.LogCaptureFixture) -> None:
        pair = service.login(owner)
        refresh(service, pair["refresh"])
        written = " ".join(repr(vars(record)) for record in caplog.records if record.name == "ticketauth")
        assert written
        assert not any(secret in written for secret in (PASSWORD, pair["access"], pair["refresh"]))


class TestRefresh:
    def test_a_new_pair_of_the_same_login(self, service: Service, tokens: dict[str, str]) -> None:
        answer = refresh(service, tokens["refresh"])
        assert answer.status_code == 200
        assert claims(answer.json()["access"])["sid"] == claims(tokens["access"])["sid"]
        assert answer.json()["refresh"] != tokens["refresh"]

    def test_the_predecessor_gets_the_same_again(self, service: Service, tokens: dict[str, str]) -> None:
        first, second = (refresh(service, tokens["refresh"]).json() for _ in range(2))
        assert claims(first["refresh"])["jti"] == claims(second["refresh"])["jti"]
        assert refresh(service, second["refresh"]).status_code == 200

    def test_two_tabs_at_once_go_on_alike(self, service: Service, tokens: dict[str, str]) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: refresh(service, tokens["refresh"]), range(16)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({claims(answer.json()["refresh"])["jti"] for answer in answers}) == 1

    def test_the_predecessor_after_the_grace_ends_the_login(self, service: Service, tokens: dict[str, str]) -> None:
        new = refresh(service, tokens["refresh"]).json()
        Login.objects.update(refreshed_at=timezone.now() - timedelta(seconds=11))
        assert refresh(service, tokens["refresh"]).status_code == 401
        assert refresh(service, new["refresh"]).status_code == 401
        assert service.post("/api/tickets/", token=new["access"]).status_code == 401

    def test_an_older_one_ends_the_login_within_the_grace_too(self, service: Service, tokens: dict[str, str]) -> None:
        second = refresh(service, tokens["refresh"]).json()
        third = refresh(service, second["refresh"]).json()
        assert refresh(service, tokens["refresh"]).status_code == 401
        assert refresh(service, third["refresh"]).status_code == 401

    def test_a_login_has_a_greatest_age(self, service: Service, tokens: dict[str, str], settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "LOGIN_MAX_AGE": 600}
        created = Login.objects.get().created_at
        ends = claims(refresh(service, tokens["refresh"]).json()["refresh"])["exp"]
        assert ends == int((created + timedelta(seconds=600)).timestamp())

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda login: Login.objects.all().delete(),
            lambda login: Login.objects.update(revoked_at=timezone.now()),
            lambda login: Login.objects.update(expires_at=timezone.now()),
            lambda login: User.objects.update(is_active=False),
            lambda login: User.objects.update(password="another"),
            lambda login: User.objects.all().delete(),
        ],
    )
    def test_no_refresh_for_one_who_is_out(self, service: Service, tokens: dict[str, str], spoil) -> None:
        spoil(None)
        assert refresh(service, tokens["refresh"]).status_code == 401

    def test_no_access_token(self, service: Service, tokens: dict[str, str]) -> None:
        assert refresh(service, tokens["access"]).status_code == 401

    @pytest.mark.parametrize("odd", [{"sid": ...}, {"sid": [1]}, {"sid": ""}, {"jti": [1]}, {"exp": 1e30}])
    def test_no_forged_one(self, service: Service, forge: Forge, odd: dict) -> None:
        assert refresh(service, forge.token(token_type="refresh", **odd)).status_code == 401


class TestLogout:
    def test_again_and_again(self, service: Service, tokens: dict[str, str]) -> None:
        assert [logout(service, tokens["refresh"]) for _ in range(3)] == [204, 204, 204]
        assert refresh(service, tokens["refresh"]).status_code == 401

    def test_with_a_rotated_token(self, service: Service, tokens: dict[str, str]) -> None:
        new = refresh(service, tokens["refresh"]).json()
        Login.objects.update(refreshed_at=timezone.now() - timedelta(hours=1))
        assert logout(service, tokens["refresh"]) == 204
        assert refresh(service, new["refresh"]).status_code == 401

    def test_with_one_that_has_expired(self, service: Service, forge: Forge, access: str) -> None:
        assert logout(service, forge.token(token_type="refresh", exp=1)) == 204
        assert service.post("/api/tickets/", token=access).status_code == 401

    def test_not_with_a_forged_one(self, service: Service, forge: Forge, access: str) -> None:
        assert logout(service, forge.token("another key that is as long as ours", token_type="refresh")) == 401
        assert service.ticket(access)

    def test_not_with_an_access_token(self, service: Service, access: str) -> None:
        assert logout(service, access) == 401
        assert service.ticket(access)

    def test_a_missing_token_is_400(self, service: Service) -> None:
        assert service.post("/api/token/logout/", {}).status_code == 400
