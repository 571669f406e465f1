"""The server's half of the panel: a state to look at, and a cookie that only the page itself can set and clear."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.conftest import PASSWORD, Forge, Service
from ticketauth.contract.try_it import LONGEST_COOKIE, MARKER, cookie_folder

STATE, COOKIE = "/ws/docs/try/state/", "/ws/docs/try/cookie/"


class Browser:
    """A browser with the page open: it sends the page's origin, and keeps cookies."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.origin = f"http://127.0.0.1:{service.port}"
        self.http = httpx.Client(base_url=self.origin, timeout=10)

    def state(self) -> dict[str, Any]:
        answer = self.http.get(STATE)
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        return state

    def post(self, body: Any, token: str = "", **headers: str | None) -> httpx.Response:
        """As the page does it; a header of None is left out."""
        sent = {
            "Origin": self.origin,
            "X-CSRFToken": self.state()["csrf_token"],
            "Authorization": f"Bearer {token}" if token else None,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        given = {name: value for name, value in sent.items() if value is not None}
        return self.http.post(COOKIE, json=body, headers=given)

    def set(self, token: str, **headers: str | None) -> httpx.Response:
        return self.post({"action": "set"}, token, **headers)

    def clear(self) -> httpx.Response:
        return self.post({"action": "clear"})

    def cookies(self) -> list[str]:
        return [cookie.name for cookie in self.http.cookies.jar]


@pytest.fixture
def owner(transactional_db: None) -> User:
    """Whose token it is: somebody who can log in at the service."""
    return User.objects.create_user("owner", password=PASSWORD)


@pytest.fixture
def browser(service: Service, settings) -> Iterator[Browser]:
    # The tests' service speaks HTTP; its address is an https one.
    settings.CSRF_COOKIE_SECURE = False
    browser = Browser(service)
    yield browser
    browser.http.close()


def cookie_of(answer: httpx.Response, name: str = "access_token") -> Morsel[str]:
    """What an answer sets."""
    cookies = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        cookies.load(header)
    return cookies[name]


def sets_nothing(answer: httpx.Response) -> bool:
    return not any(header.startswith(("access_token", MARKER)) for header in answer.headers.get_list("set-cookie"))


class TestState:
    def test_nobody(self, browser: Browser) -> None:
        assert browser.state()["user"] is None

    def test_somebody(self, browser: Browser, owner: User) -> None:
        client = Client()
        client.force_login(owner)
        browser.http.cookies.set("sessionid", client.cookies["sessionid"].value)
        assert browser.state()["user"] == "owner"

    def test_names_of_the_settings(self, browser: Browser, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "JWT_COOKIE": "jwt", "TICKET_QUERY_PARAM": "t"}
        assert browser.state()["names"] == {"ticket": "t", "session": "sessionid", "cookie": "jwt", "query": "token"}

    def test_what_the_user_model_calls_a_name(self, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        assert browser.state()["username_field"] == "username"
        monkeypatch.setattr(User, "USERNAME_FIELD", "email")
        assert browser.state()["username_field"] == "email"

    def test_where_to_log_in(self, browser: Browser, settings) -> None:
        settings.LOGIN_URL = "/login/?from=docs"
        assert browser.state()["login_url"] == "/login/?from=docs"

    def test_a_login_at_another_service(self, browser: Browser, settings) -> None:
        settings.LOGIN_URL = "https://login.example/"
        assert browser.state()["login_url"] == "https://login.example/"

    @pytest.mark.parametrize("url", ["/accounts/login/", "no_such_view"])
    def test_no_login_to_link_to(self, browser: Browser, settings, url: str) -> None:
        settings.LOGIN_URL = url
        assert browser.state()["login_url"] == ""

    def test_the_page_may_connect(self, browser: Browser, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "ALLOWED_ORIGINS": [browser.origin]}
        assert browser.state()["origin"] == {"value": browser.origin, "allowed": True}

    def test_the_page_may_not_connect(self, browser: Browser) -> None:
        assert browser.state()["origin"]["allowed"] is False

    def test_no_scheme_no_cookie(self, browser: Browser, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SCHEMES": ["ticketauth.schemes.ticket.TicketQuery"]}
        assert browser.state()["cookie"] is None

    def test_nobody_keeps_it(self, browser: Browser) -> None:
        assert browser.http.get(STATE).headers["Cache-Control"] == "no-store"

    def test_no_other_site_reads_it(self, browser: Browser) -> None:
        answer = browser.http.get(STATE, headers={"Origin": "https://good.example"})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"

    def test_only_get(self, browser: Browser) -> None:
        answer = browser.http.post(STATE, headers={"X-CSRFToken": browser.state()["csrf_token"]})
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")

    def test_off(self, browser: Browser, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TRY_IT_OUT": False}
        answer = browser.http.get(STATE)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")

    def test_not_for_everyone(self, browser: Browser, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "DOCS_ACCESS": "staff"}
        assert browser.http.get(STATE).status_code == 404


class TestSet:
    def test_no_script_reads_it_and_no_other_site_sends_it(self, browser: Browser, access: str) -> None:
        cookie = cookie_of(browser.set(access))
        assert (cookie.value, cookie["httponly"], cookie["samesite"]) == (access, True, "Strict")

    def test_sent_to_the_sockets_alone(self, browser: Browser, access: str) -> None:
        assert cookie_of(browser.set(access))["path"] == "/ws/"

    def test_no_longer_than_the_token(self, browser: Browser, forge: Forge) -> None:
        token = forge.token(exp=int(time.time()) + 100)
        assert 95 <= int(cookie_of(browser.set(token))["max-age"]) <= 100

    def test_no_longer_than_the_login(self, browser: Browser, forge: Forge) -> None:
        token = forge.token(exp=int(time.time()) + 10**7)
        assert int(cookie_of(browser.set(token))["max-age"]) <= 86400

    def test_not_secure_over_http(self, browser: Browser, access: str) -> None:
        assert not cookie_of(browser.set(access))["secure"]

    def test_secure_over_https(self, browser: Browser, access: str, settings) -> None:
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        own = browser.origin.replace("http:", "https:")
        answer = browser.set(access, Origin=own, Referer=f"{own}/ws/docs/", X_Forwarded_Proto="https")
        assert cookie_of(answer)["secure"]
        assert cookie_of(answer, MARKER)["secure"]

    def test_it_opens_a_socket(self, browser: Browser, access: str) -> None:
        browser.set(access)
        cookie = f"access_token={browser.http.cookies['access_token']}"
        assert browser.service.connect(cookie=cookie, origin="https://good.example").status == 101

    def test_the_panel_knows_it_again(self, browser: Browser, access: str) -> None:
        browser.set(access)
        assert browser.state()["cookie"] == {"path": "/ws/", "sent": True, "ours": True, "foreign": False}

    def test_the_next_token_replaces_it(self, browser: Browser, access: str, forge: Forge) -> None:
        browser.set(access)
        other = forge.token(jti="another")
        assert cookie_of(browser.set(other)).value == other

    def test_the_answer_does_not_hold_it(self, browser: Browser, access: str) -> None:
        answer = browser.set(access)
        assert access not in answer.text
        assert answer.headers["Cache-Control"] == "no-store"

    def test_the_marker_does_not_hold_it(self, browser: Browser, access: str) -> None:
        marker = cookie_of(browser.set(access), MARKER)
        assert access not in marker.value
        assert (marker["path"], marker["httponly"], marker["samesite"]) == ("/ws/docs/try/", True, "Strict")


class TestRefused:
    @pytest.mark.parametrize(
        "origin", [None, "null", "https://good.example", "http://127.0.0.1", "http://localhost:3000"]
    )
    def test_another_page(self, browser: Browser, access: str, origin: str | None, settings) -> None:
        settings.CSRF_TRUSTED_ORIGINS = ["https://good.example", "http://localhost:3000"]
        answer = browser.set(access, Origin=origin)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
        assert sets_nothing(answer)

    @pytest.mark.parametrize("token", [None, "", "x" * 64])
    def test_without_the_csrf_token(self, browser: Browser, access: str, token: str | None) -> None:
        answer = browser.set(access, X_CSRFToken=token)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert sets_nothing(answer)

    def test_without_a_token(self, browser: Browser) -> None:
        answer = browser.set("")
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert sets_nothing(answer)

    def test_a_token_that_is_not_ours(self, browser: Browser, forge: Forge) -> None:
        assert browser.set(forge.token(key="another key, as long as it has to be")).status_code == 401

    def test_an_expired_token(self, browser: Browser, forge: Forge) -> None:
        assert browser.set(forge.token(exp=int(time.time()) - 1)).status_code == 401

    def test_a_refresh_token(self, browser: Browser, tokens: dict[str, str]) -> None:
        assert browser.set(tokens["refresh"]).status_code == 401

    def test_after_the_logout(self, browser: Browser, tokens: dict[str, str]) -> None:
        browser.service.post("/api/token/logout/", {"refresh": tokens["refresh"]})
        assert browser.set(tokens["access"]).status_code == 401

    def test_a_user_who_is_out(self, browser: Browser, access: str, owner: User) -> None:
        owner.is_active = False
        owner.save()
        assert browser.set(access).status_code == 401

    def test_a_token_that_browsers_would_drop(self, browser: Browser, forge: Forge) -> None:
        answer = browser.set(forge.token(more="x" * LONGEST_COOKIE))
        assert answer.status_code == 400
        assert "4096" in answer.json()["detail"]

    @pytest.mark.parametrize("body", [None, [], {}, {"action": "steal"}, {"action": ["set"]}, "set"])
    def test_another_action(self, browser: Browser, access: str, body: Any) -> None:
        assert browser.post(body, access).status_code == 400

    def test_get(self, browser: Browser) -> None:
        answer = browser.http.get(COOKIE)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")

    def test_off(self, browser: Browser, access: str, settings) -> None:
        csrf = browser.state()["csrf_token"]
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TRY_IT_OUT": False}
        headers = {"Origin": browser.origin, "X-CSRFToken": csrf, "Authorization": f"Bearer {access}"}
        assert browser.http.post(COOKIE, json={"action": "set"}, headers=headers).status_code == 404

    def test_where_no_path_takes_it(self, browser: Browser, access: str, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SCHEMES": ["ticketauth.schemes.ticket.TicketQuery"]}
        assert browser.set(access).status_code == 404

    def test_who_may_not_see_the_page(self, browser: Browser, access: str, settings) -> None:
        csrf = browser.state()["csrf_token"]
        settings.TICKETAUTH = {**settings.TICKETAUTH, "DOCS_ACCESS": "authenticated"}
        headers = {"Origin": browser.origin, "X-CSRFToken": csrf, "Authorization": f"Bearer {access}"}
        assert browser.http.post(COOKIE, json={"action": "set"}, headers=headers).status_code == 404

    def test_every_refusal_is_a_problem_that_nobody_keeps(self, browser: Browser) -> None:
        answer = browser.set("not a token")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json()["status"] == answer.status_code

    def test_the_log_says_why_and_holds_no_token(self, browser: Browser, forge: Forge, caplog) -> None:
        token = forge.token(exp=1)
        with caplog.at_level("INFO", "ticketauth"):
            browser.set(token)
        assert "reason=token_expired_signature" in caplog.text
        assert token not in caplog.text


class TestClear:
    def test_what_the_panel_set(self, browser: Browser, access: str) -> None:
        browser.set(access)
        assert browser.clear().status_code == 200
        assert not {"access_token", MARKER} & set(browser.cookies())

    def test_nothing_is_there(self, browser: Browser) -> None:
        answer = browser.clear()
        assert answer.status_code == 200
        assert sets_nothing(answer)

    @pytest.mark.parametrize("action", ["set", "clear"])
    def test_a_cookie_of_somebody_else_stays(self, browser: Browser, access: str, action: str) -> None:
        browser.http.cookies.set("access_token", "theirs", path="/")
        answer = browser.post({"action": action}, access)
        assert (answer.status_code, answer.json()["code"]) == (409, "cookie_not_ours")
        assert sets_nothing(answer)

    def test_a_cookie_that_replaced_the_panels_stays(self, browser: Browser, access: str) -> None:
        browser.set(access)
        browser.http.cookies.set("access_token", "theirs", domain="127.0.0.1", path="/ws/")
        assert browser.clear().status_code == 409

    def test_the_panels_goes_from_beside_another(self, browser: Browser, access: str) -> None:
        browser.set(access)
        browser.http.cookies.set("access_token", "theirs", domain="127.0.0.1", path="/")
        assert browser.clear().json() == {"path": "/ws/", "sent": True, "ours": False, "foreign": True}
        assert [cookie.value for cookie in browser.http.cookies.jar if cookie.name == "access_token"] == ["theirs"]

    def test_a_marker_that_is_forged_clears_nothing(self, browser: Browser) -> None:
        browser.http.cookies.set("access_token", "theirs", path="/")
        browser.http.cookies.set(MARKER, "0" * 64, path="/")
        assert browser.clear().status_code == 409

    def test_without_the_csrf_token(self, browser: Browser, access: str) -> None:
        browser.set(access)
        answer = browser.post({"action": "clear"}, X_CSRFToken=None)
        assert answer.status_code == 403
        assert sets_nothing(answer)

    def test_from_another_page(self, browser: Browser, access: str) -> None:
        browser.set(access)
        assert browser.post({"action": "clear"}, Origin="https://good.example").status_code == 403


class TestFolder:
    """The cookie's path, from the document."""

    @staticmethod
    def of(*addresses: str, word: str = "jwt_cookie") -> str | None:
        channels = {address: {"address": address, "x-security": ["it"]} for address in addresses}
        others = {"tickets": {"address": "/api/tickets/", "x-security": ["other"]}}
        schemes = {"it": {"x-scheme": word}, "other": {"x-scheme": "jwt_header"}}
        return cookie_folder({"channels": {**channels, **others}, "components": {"securitySchemes": schemes}})

    @pytest.mark.parametrize(
        ("addresses", "folder"),
        [
            (["/ws/events/"], "/ws/events/"),
            (["/ws/events/", "/ws/echo/"], "/ws/"),
            (["/ws/events/", "/ws/events/more/"], "/ws/events/"),
            (["/ws/event/", "/ws/events/"], "/ws/"),
            (["/ws/rooms/{room_id}/"], "/ws/rooms/"),
            (["/ws/room-{number}/"], "/ws/"),
            (["/live"], "/"),
            (["/ws/events/", "/live/"], "/"),
        ],
    )
    def test_is_what_the_sockets_share(self, addresses: list[str], folder: str) -> None:
        assert self.of(*addresses) == folder

    def test_none_without_the_scheme(self) -> None:
        assert self.of("/ws/events/", word="session") is None


class TestAttacks:
    """What somebody tried who was told to break this."""

    def test_many_cookies_of_one_name_take_no_time(self, browser: Browser) -> None:
        cookies = "; ".join(["access_token=a"] * 1000 + [f"{MARKER}=b"] * 1000)
        began = time.process_time()
        assert httpx.get(f"{browser.origin}{STATE}", headers={"Cookie": cookies}).status_code == 200
        assert time.process_time() - began < 2

    def test_a_port_that_is_none(self, browser: Browser) -> None:
        answer = httpx.get(f"{browser.origin}{STATE}", headers={"Host": "localhost:65536"})
        assert answer.status_code == 400

    def test_many_brackets(self, browser: Browser) -> None:
        headers = {"Origin": browser.origin, "X-CSRFToken": browser.state()["csrf_token"]}
        assert browser.http.post(COOKIE, content="[" * 100_000, headers=headers).status_code == 400


class Mounted(httpx.HTTPTransport):
    """A proxy that takes the prefix `/app` away."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(path=request.url.path.removeprefix("/app"))
        inner = httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        return super().handle_request(inner)


class TestBehindAPrefix:
    @pytest.fixture
    def browser(self, browser: Browser, settings) -> Browser:
        settings.FORCE_SCRIPT_NAME = "/app"
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": [f"{browser.origin}/app"]}
        browser.http.close()
        browser.http = httpx.Client(base_url=f"{browser.origin}/app", transport=Mounted(), timeout=10)
        return browser

    def test_the_panel_knows_its_cookie_again(self, browser: Browser, access: str) -> None:
        browser.set(access)
        assert browser.state()["cookie"] == {"path": "/app/ws/", "sent": True, "ours": True, "foreign": False}

    def test_the_panel_sees_that_its_cookie_is_gone(self, browser: Browser, access: str) -> None:
        browser.set(access)
        browser.http.cookies.delete("access_token")
        assert browser.state()["cookie"] == {"path": "/app/ws/", "sent": False, "ours": False, "foreign": False}

    def test_the_panel_clears_its_cookie(self, browser: Browser, access: str) -> None:
        browser.set(access)
        assert browser.clear().status_code == 200
        assert not {"access_token", MARKER} & set(browser.cookies())

    def test_the_marker_is_sent_to_the_panel_alone(self, browser: Browser, access: str) -> None:
        assert cookie_of(browser.set(access), MARKER)["path"] == "/app/ws/docs/try/"


def test_behind_a_prefix_the_cookies_path_has_it() -> None:
    contract = {
        "servers": {"websocket": {"pathname": "/app"}},
        "channels": {"a": {"address": "/ws/a/", "x-security": ["jwtCookie"]}},
        "components": {"securitySchemes": {"jwtCookie": {"x-scheme": "jwt_cookie"}}},
    }
    assert cookie_folder(contract) == "/app/ws/a/"
