"""The service's pages: login and logout, the index, the OpenAPI document."""

from __future__ import annotations

import logging
import re
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from tests.conftest import PASSWORD, Service
from ticketauth.models import Login

STRICT = {
    "default-src 'none'",
    "style-src 'self'",
    "img-src data:",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


class Visitor:
    """A person with a browser, who fills forms in."""

    def __init__(self, service: Service) -> None:
        self.http = service.http

    def token(self) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.http.get("/login/").text)
        assert found
        return found[1]

    def log_in(self, username: str = "owner", password: str = PASSWORD, **fields: str) -> httpx.Response:
        form = {"csrfmiddlewaretoken": self.token(), "username": username, "password": password, **fields}
        return self.http.post("/login/", data=form)

    def log_out(self) -> httpx.Response:
        return self.http.post("/logout/", data={"csrfmiddlewaretoken": self.token()})


@pytest.fixture
def visitor(service: Service, owner: User, settings) -> Visitor:
    # Without HTTPS no browser sends others.
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False
    return Visitor(service)


class TestLogin:
    def test_leads_to_the_contract(self, visitor: Visitor) -> None:
        answer = visitor.log_in()
        assert (answer.status_code, answer.headers["Location"]) == (302, "/ws/docs/")

    def test_is_a_login_of_its_own(self, visitor: Visitor) -> None:
        visitor.log_in()
        session = Session.objects.get().get_decoded()
        assert session["ticketauth_sid"] == Login.objects.get().sid

    def test_gets_a_ticket(self, visitor: Visitor, service: Service) -> None:
        visitor.log_in()
        answer = service.post("/api/tickets/", **{"X-CSRFToken": service.http.cookies["csrftoken"]})
        assert answer.status_code == 201

    def test_says_who_is_logged_in(self, visitor: Visitor) -> None:
        visitor.log_in()
        page = visitor.http.get("/login/").text
        assert "You are <strong>owner</strong>." in page
        assert 'action="/logout/"' in page

    def test_goes_where_one_came_from(self, visitor: Visitor) -> None:
        assert 'value="/api/docs/"' in visitor.http.get("/login/?next=/api/docs/").text
        assert visitor.log_in(next="/api/docs/").headers["Location"] == "/api/docs/"

    @pytest.mark.parametrize(
        "elsewhere",
        ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)", "http:evil.example"],
    )
    def test_goes_nowhere_else(self, visitor: Visitor, elsewhere: str) -> None:
        assert "evil" not in visitor.http.get("/login/", params={"next": elsewhere}).text
        assert visitor.log_in(next=elsewhere).headers["Location"] == "/ws/docs/"

    def test_a_logged_in_visitor_is_led_nowhere_else(self, visitor: Visitor) -> None:
        visitor.log_in()
        assert "evil" not in visitor.http.get("/login/?next=https://evil.example/").text

    @pytest.mark.parametrize("username", ["owner", "nobody", "o" * 300])
    def test_a_wrong_password_and_an_unknown_name_are_alike(self, visitor: Visitor, username: str) -> None:
        answer = visitor.log_in(username, "wrong")
        assert "User name or password is wrong." in answer.text
        assert "sessionid" not in answer.cookies

    def test_an_empty_form_is_told_so(self, visitor: Visitor) -> None:
        assert "Both are needed." in visitor.log_in("", "").text

    def test_nobody_who_is_inactive(self, visitor: Visitor) -> None:
        User.objects.update(is_active=False)
        assert "User name or password is wrong." in visitor.log_in().text

    def test_not_without_a_csrf_token(self, visitor: Visitor) -> None:
        answer = visitor.http.post("/login/", data={"username": "owner", "password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf")

    def test_guessing_is_slowed_down(self, visitor: Visitor, settings) -> None:
        settings.LOGIN_RATE = "3/min"
        answers = [visitor.log_in(password="wrong") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert int(answers[3].headers["Retry-After"]) > 0
        assert "Too many attempts" in answers[3].text
        assert PASSWORD not in answers[3].text

    def test_the_limit_is_that_of_the_api(self, visitor: Visitor, service: Service, settings) -> None:
        settings.LOGIN_RATE = "1/min"
        service.post("/api/token/", {"username": "Owner", "password": "wrong"})
        assert visitor.log_in().status_code == 429

    def test_is_kept_by_nobody(self, visitor: Visitor) -> None:
        assert "no-store" in visitor.http.get("/login/").headers["Cache-Control"]


class TestLogout:
    def test_ends_the_login_and_the_session(self, visitor: Visitor) -> None:
        visitor.log_in()
        answer = visitor.log_out()
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login/")
        assert Login.objects.get().revoked_at is not None
        assert not Session.objects.exists()

    def test_not_by_a_link(self, visitor: Visitor) -> None:
        visitor.log_in()
        assert visitor.http.get("/logout/").status_code == 405
        assert Login.objects.get().revoked_at is None

    def test_not_without_a_csrf_token(self, visitor: Visitor) -> None:
        visitor.log_in()
        assert visitor.http.post("/logout/").status_code == 403
        assert Login.objects.get().revoked_at is None

    def test_of_nobody_changes_nothing(self, visitor: Visitor) -> None:
        assert visitor.log_out().headers["Location"] == "/login/"


def test_every_decision_is_logged(visitor: Visitor, settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ticketauth")
    settings.LOGIN_RATE = "4/min"
    visitor.log_in(password="wrong")
    visitor.log_in(password="")
    visitor.log_in()
    visitor.log_out()
    visitor.log_in()
    visitor.log_in()
    records: list[Any] = [record for record in caplog.records if record.name == "ticketauth"]
    sids = list(Login.objects.order_by("created_at").values_list("sid", flat=True))
    assert [(record.event, record.outcome, getattr(record, "reason", "")) for record in records] == [
        ("login", "refused", "password"),
        ("login", "refused", "invalid"),
        ("login", "done", ""),
        ("logout", "done", ""),
        ("login", "done", ""),
        ("login", "refused", "throttled"),
    ]
    assert [records[2].sid, records[3].sid, records[4].sid] == [sids[0], sids[0], sids[1]]


def test_so_it_is_at_the_admins_form(visitor: Visitor, owner: User, settings, caplog: pytest.LogCaptureFixture) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    caplog.set_level(logging.INFO, "ticketauth")
    settings.LOGIN_RATE = "2/min"
    for password in ("wrong", PASSWORD, PASSWORD):
        form = {"csrfmiddlewaretoken": visitor.token(), "username": "owner", "password": password}
        visitor.http.post("/admin/login/", data=form)
    visitor.http.post("/admin/logout/", data={"csrfmiddlewaretoken": visitor.token()})
    records: list[Any] = [record for record in caplog.records if record.name == "ticketauth"]
    sid = Login.objects.get().sid
    assert [(record.event, record.outcome, getattr(record, "reason", "") or record.sid) for record in records] == [
        ("login", "refused", "password"),
        ("login", "done", sid),
        ("login", "refused", "throttled"),
        ("logout", "done", sid),
    ]
    assert Login.objects.get().revoked_at is not None
    assert PASSWORD not in " ".join(repr(vars(record)) for record in records)


class TestPolicy:
    @pytest.mark.parametrize("path", ["/", "/login/"])
    def test_a_page_loads_a_style_sheet_and_nothing_else(self, service: Service, path: str) -> None:
        assert set(service.http.get(path).headers["Content-Security-Policy"].split("; ")) == STRICT

    def test_swagger_ui_loads_only_from_here_and_needs_nothing_inline(self, service: Service) -> None:
        policy = service.http.get("/api/docs/").headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; connect-src 'self';" in policy
        assert "unsafe" not in policy

    @pytest.mark.parametrize("path", ["/", "/login/", "/api/docs/"])
    def test_what_a_page_names_is_there(self, service: Service, path: str) -> None:
        named = re.findall(r'(?:src|href)="(/static/[^"]+)"', service.http.get(path).text)
        assert named
        assert {service.http.get(address).status_code for address in named} == {200}


class TestDocsAccess:
    """`/api/docs/` is for those who may read the contract."""

    @pytest.fixture(autouse=True)
    def _staff(self, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "DOCS_ACCESS": "staff"}

    def test_others_are_asked_to_log_in(self, service: Service) -> None:
        answer = service.http.get("/api/docs/")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/login/?next=/api/docs/")

    def test_others_who_are_logged_in_are_refused(self, visitor: Visitor) -> None:
        visitor.log_in()
        assert visitor.http.get("/api/docs/").status_code == 403

    def test_staff_reads_it(self, visitor: Visitor) -> None:
        User.objects.update(is_staff=True)
        visitor.log_in()
        assert visitor.http.get("/api/docs/").status_code == 200


@pytest.mark.parametrize("on", [True, False])
def test_swagger_ui_sends_requests_where_one_may_try_it_out(service: Service, settings, on: bool) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "TRY_IT_OUT": on}
    assert ("data-try-it-out" in service.http.get("/api/docs/").text) is on


def test_the_index_links_to_both_contracts(service: Service) -> None:
    page = service.http.get("/").text
    assert 'href="/ws/docs/"' in page
    assert 'href="/api/docs/"' in page
