"""Each method, to success and to each refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import Browse
from tests.browser.try_it.conftest import Watch, session_cookie
from tests.browser.try_it.panel import Panel
from tests.conftest import PASSWORD, Service
from tests.servers import until


class TestTicket:
    def test_by_user_name_and_password(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner()
        panel.open()
        panel.shows('"username": "owner"')

    def test_it_is_the_method_at_first(self, panel: Panel) -> None:
        expect(panel.root.get_by_role("radio", name="Ticket")).to_be_checked()
        expect(panel.root.locator(".try-address")).to_have_text(
            re.compile(r"^ws://.*/ws/events/\?ticket_uuid=‹ticket›$")
        )

    def test_by_a_token_that_is_pasted(self, owner: User, service: Service, panel: Panel) -> None:
        panel.paste(service.login(owner)["access"])
        panel.open()
        expect(panel.root.get_by_label("Access token")).to_have_value("")

    def test_by_the_session(self, session: None, panel: Panel) -> None:
        expect(panel.root.get_by_text("Logged in by session as owner.")).to_be_visible()
        panel.open()

    def test_for_the_path_of_the_channel(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner()
        with page.expect_request("**/api/tickets/") as asked:
            panel.connect()
        assert asked.value.post_data_json == {"path": "/ws/events/"}
        panel.is_("Open")

    def test_where_nobody_is_logged_in(self, panel: Panel) -> None:
        panel.connect()
        expect(panel.root.get_by_text("Log in first, or paste a token.")).to_be_visible()
        expect(panel.root.get_by_label("User name", exact=True)).to_be_focused()

    def test_with_a_session_that_is_over(self, session: None, panel: Panel) -> None:
        expect(panel.root.get_by_text("Logged in by session as owner.")).to_be_visible()
        Session.objects.all().delete()
        panel.connect()
        panel.is_refused("Nobody is logged in by session (HTTP 401)", "Log in, then connect.")
        expect(panel.root.get_by_text("Nobody is logged in by session.", exact=True)).to_be_visible()

    def test_after_a_logout_elsewhere(self, owner: User, service: Service, panel: Panel) -> None:
        pair = service.login(owner)
        panel.paste(pair["access"])
        panel.open()
        panel.button("Disconnect").click()
        panel.is_("Closed")
        service.post("/api/token/logout/", {"refresh": pair["refresh"]})
        panel.connect()
        panel.is_refused("Your token has ended (HTTP 401)", "Log in again.")
        expect(panel.root.get_by_label("User name", exact=True)).to_be_visible()

    def test_for_a_user_who_was_put_out_meanwhile(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner()
        panel.get_ticket()
        owner.is_active = False
        owner.save()
        panel.connect()
        panel.is_closed("no credential, or one that is unknown, spent or expired (4401)", "Get a new credential")

    def test_too_many(self, owner: User, panel: Panel, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "RATE_PER_USER": "1/min"}
        panel.log_in_as_owner()
        panel.get_ticket()
        panel.button("Get ticket").click()
        panel.is_refused("Too many requests (HTTP 429)")
        expect(panel.outcome).to_contain_text(re.compile(r"Try again in \d+ s\."))

    def test_redis_is_down(self, owner: User, panel: Panel, settings, tmp_path) -> None:
        panel.log_in_as_owner()
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}?db=0"}
        panel.connect()
        panel.is_refused("something that it needs is down (HTTP 503)", "Try again in")

    def test_redis_goes_down_between_ticket_and_handshake(self, owner: User, panel: Panel, settings, tmp_path) -> None:
        panel.log_in_as_owner()
        panel.get_ticket()
        settings.TICKETAUTH = {**settings.TICKETAUTH, "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}?db=0"}
        panel.connect()
        panel.is_closed("a dependency is down (1013)", "wait, longer each time", "Try again in")

    def test_it_is_forgotten_with_the_method(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner()
        panel.get_ticket()
        panel.choose("Session cookie")
        panel.choose("Ticket")
        expect(panel.ticket).to_contain_text("None yet")


class TestLifeOfATicket:
    def test_it_is_masked_and_counted_down(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner()
        panel.get_ticket()
        expect(panel.ticket).to_contain_text(re.compile(r"[0-9a-f]{4}••••-••••-••••.*Fresh.*(30|29) s"))
        expect(panel.ticket).to_contain_text(re.compile(r"2[0-8] s"))

    def test_used(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner()
        panel.open()
        expect(panel.ticket).to_contain_text("Used. Connect takes a new one.")

    def test_the_next_connection_just_works(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner()
        panel.open()
        panel.button("Disconnect").click()
        panel.is_closed("Closed by you (1000)")
        panel.open()
        tickets = [url.partition("ticket_uuid=")[2] for url in watch.sockets]
        assert len(set(tickets)) == 2

    def test_the_one_that_is_there_is_taken(self, owner: User, panel: Panel, watch: Watch) -> None:
        panel.log_in_as_owner()
        panel.get_ticket()
        panel.open()
        assert len(watch.tickets()) == 1

    def test_expired(self, owner: User, panel: Panel, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_TTL": 2}
        panel.log_in_as_owner()
        panel.button("Get ticket").click()
        expect(panel.ticket).to_contain_text("Expired. Connect takes a new one.")
        panel.open()


class TestSession:
    def test_who_is_logged_in(self, session: None, panel: Panel) -> None:
        panel.choose("Session cookie")
        expect(panel.root.get_by_text("Logged in by session as owner.")).to_be_visible()
        panel.open()

    def test_nobody(self, panel: Panel) -> None:
        panel.choose("Session cookie")
        expect(panel.root.get_by_text("Nobody is logged in by session.")).to_be_visible()
        expect(panel.root.get_by_role("link", name="Log in")).to_have_attribute(
            "href", re.compile(r"\?next=%2Fws%2Fdocs%2F")
        )
        panel.connect()
        panel.is_closed("(4401)", "Log in, then connect.")

    def test_a_login_in_another_tab_is_seen(
        self, panel: Panel, page: Page, context: BrowserContext, owner: User, address: str
    ) -> None:
        panel.choose("Session cookie")
        expect(panel.root.get_by_text("Nobody is logged in by session.")).to_be_visible()
        context.add_cookies([cast("Any", session_cookie(owner, address))])
        page.evaluate("() => dispatchEvent(new Event('focus'))")
        expect(panel.root.get_by_text("Logged in by session as owner.")).to_be_visible()

    def test_a_logout_elsewhere(self, session: None, panel: Panel) -> None:
        panel.choose("Session cookie")
        panel.open()
        panel.button("Disconnect").click()
        panel.is_("Closed")
        Session.objects.all().delete()
        panel.connect()
        panel.is_closed("(4401)", "Nobody is logged in by session in this browser")
        expect(panel.root.get_by_role("link", name="Log in")).to_be_visible()

    def test_no_change_of_method_logs_out(self, session: None, panel: Panel) -> None:
        for method in ("Session cookie", "Cookie JWT", "Ticket", "Session cookie"):
            panel.choose(method)
        panel.open()
        assert Session.objects.count() == 1

    def test_the_method_is_kept_through_the_login(self, owner: User, panel: Panel, page: Page) -> None:
        panel.choose("Session cookie")
        panel.root.get_by_role("link", name="Log in").click()
        page.get_by_label("User name").fill("owner")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(panel.root.get_by_role("radio", name="Session cookie")).to_be_checked()
        expect(panel.root).to_be_in_viewport()
        assert page.url.endswith("/ws/docs/#channel-events.try-it")

    def test_where_the_project_has_no_login(self, settings, open_panel: Callable[..., Panel]) -> None:
        settings.LOGIN_URL = "/accounts/login/"
        panel = open_panel()
        panel.choose("Session cookie")
        expect(panel.root.get_by_text("LOGIN_URL names the page")).to_be_visible()
        expect(panel.root.get_by_role("link", name="Log in")).to_have_count(0)


def cookies(context: BrowserContext, name: str = "access_token") -> list[Any]:
    return [cookie for cookie in context.cookies() if cookie.get("name") == name]


_STATE = "**/try/state/"

_NEVER_READ = """() => {
  const { json } = Response.prototype;
  Response.prototype.json = function () {
    if (!this.url.endsWith("/try/cookie/")) return json.call(this);
    Response.prototype.json = json;
    return new Promise(() => undefined);
  };
}"""


def _set_without_an_answer(panel: Panel, page: Page, context: BrowserContext) -> None:
    """The browser has the cookie, and the panel still reads what the server says to it."""
    page.evaluate(_NEVER_READ)
    panel.connect()
    until(lambda: cookies(context))
    panel.is_("Looking after the cookie…")


class TestCookie:
    def test_the_server_sets_it(self, owner: User, panel: Panel, context: BrowserContext) -> None:
        panel.choose("Cookie JWT")
        panel.log_in_as_owner()
        panel.open()
        (cookie,) = cookies(context)
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/ws/")
        expect(panel.root.locator(".try-cookie")).to_contain_text("Set by this panel")

    def test_no_script_sees_it(self, owner: User, panel: Panel, page: Page) -> None:
        panel.choose("Cookie JWT")
        panel.log_in_as_owner()
        panel.open()
        assert "access_token" not in page.evaluate("() => document.cookie")

    def test_another_method_clears_it(self, owner: User, panel: Panel, context: BrowserContext) -> None:
        panel.choose("Cookie JWT")
        panel.log_in_as_owner()
        panel.open()
        panel.change()
        panel.choose("Session cookie")
        expect(panel.entries.filter(has_text="The cookie is cleared.")).to_be_visible()
        assert cookies(context) == cookies(context, "ticketauth_try_it") == []
        panel.connect()
        panel.is_closed("(4401)")

    def test_a_button_clears_it(self, owner: User, panel: Panel, context: BrowserContext) -> None:
        panel.choose("Cookie JWT")
        panel.log_in_as_owner()
        panel.open()
        panel.button("Disconnect").click()
        panel.change()
        panel.button("Clear the cookie").click()
        expect(panel.root.locator(".try-cookie")).to_contain_text("Not set.")
        assert cookies(context) == []

    def test_a_page_that_goes_away_clears_it(
        self, owner: User, panel: Panel, page: Page, context: BrowserContext
    ) -> None:
        panel.choose("Cookie JWT")
        panel.log_in_as_owner()
        panel.open()
        page.goto("about:blank")
        until(lambda: cookies(context) == [])

    @pytest.mark.parametrize("cancelled", [False, True], ids=["while it is asked for", "after Cancel"])
    def test_another_method_clears_what_nobody_waited_for(
        self, owner: User, panel: Panel, page: Page, context: BrowserContext, cancelled: bool
    ) -> None:
        panel.choose("Cookie JWT")
        panel.log_in_as_owner()
        _set_without_an_answer(panel, page, context)
        if cancelled:
            panel.button("Cancel").click()
            panel.is_refused("Cancelled")
        panel.choose("Session cookie")
        expect(panel.entries.filter(has_text="The cookie is cleared.")).to_be_visible()
        assert cookies(context) == []

    def test_a_page_that_goes_away_clears_what_nobody_waited_for(
        self, owner: User, panel: Panel, page: Page, context: BrowserContext
    ) -> None:
        panel.choose("Cookie JWT")
        panel.log_in_as_owner()
        _set_without_an_answer(panel, page, context)
        panel.button("Cancel").click()
        page.goto("about:blank")
        until(lambda: cookies(context) == [])

    def test_nothing_is_cleared_where_nothing_was_set(self, owner: User, service: Service, panel: Panel) -> None:
        pair = service.login(owner)
        panel.choose("Cookie JWT")
        panel.paste(pair["access"])
        service.post("/api/token/logout/", {"refresh": pair["refresh"]})
        panel.connect()
        panel.is_refused("Your token has ended (HTTP 401)")
        panel.choose("Session cookie")
        panel.connect()
        panel.is_closed("(4401)")
        expect(panel.entries.filter(has_text="cleared")).to_have_count(0)

    def test_an_answer_that_is_late_changes_nothing(self, owner: User, panel: Panel, page: Page) -> None:
        late: list[tuple[Route, Any]] = []

        def hold(route: Route) -> None:
            late.append((route, route.fetch()))

        panel.choose("Cookie JWT")
        panel.log_in_as_owner()
        page.route(_STATE, hold, times=1)
        with page.expect_request(_STATE):
            page.evaluate("() => dispatchEvent(new Event('focus'))")
        panel.open()
        ((route, answer),) = late
        with page.expect_response(_STATE) as answered:
            route.fulfill(response=answer)
        answered.value.finished()
        # Time to be read.
        page.wait_for_timeout(200)
        expect(panel.root.locator(".try-cookie")).to_contain_text("Set by this panel")

    def test_one_that_the_browser_has_is_used_and_stays(
        self, access_cookie: str, panel: Panel, context: BrowserContext
    ) -> None:
        panel.choose("Cookie JWT")
        expect(panel.root.locator(".try-cookie")).to_contain_text("The browser's own")
        panel.open()
        panel.change()
        panel.choose("Ticket")
        panel.choose("Cookie JWT")
        expect(panel.root.locator(".try-cookie")).to_contain_text("The browser's own")
        assert [cookie["value"] for cookie in cookies(context)] == [access_cookie]

    def test_its_login_is_over(self, owner: User, service: Service, panel: Panel, context: BrowserContext) -> None:
        pair = service.login(owner)
        panel.choose("Cookie JWT")
        panel.paste(pair["access"])
        panel.open()
        panel.button("Disconnect").click()
        panel.is_("Closed")
        service.post("/api/token/logout/", {"refresh": pair["refresh"]})
        panel.connect()
        panel.is_closed("(4401)", "Log in, and Connect sets a new one.")
        expect(panel.entries.filter(has_text="The cookie is cleared.")).to_be_visible()
        assert cookies(context) == []

    def test_a_token_that_has_ended_before(
        self, owner: User, service: Service, panel: Panel, context: BrowserContext
    ) -> None:
        pair = service.login(owner)
        panel.choose("Cookie JWT")
        panel.paste(pair["access"])
        service.post("/api/token/logout/", {"refresh": pair["refresh"]})
        panel.connect()
        panel.is_refused("Your token has ended (HTTP 401)")
        assert cookies(context) == []


class TestQuery:
    def test_why_not(self, panel: Panel) -> None:
        expect(panel.root.get_by_role("radio", name="Query param")).to_be_disabled()
        expect(panel.root.locator(".try-why")).to_contain_text('TICKETAUTH["JWT_QUERY"] switches it on')

    def test_nothing_is_promised(self, panel: Panel) -> None:
        expect(panel.root.locator(".try-why")).to_contain_text("Where the schemes of this path include it")

    def test_where_it_is_on(self, owner: User, settings, open_panel: Callable[..., Panel]) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "JWT_QUERY": True, "JWT_QUERY_PARAM": "jwt"}
        panel = open_panel()
        panel.choose("Query param")
        expect(panel.root.locator(".try-address")).to_have_text(re.compile(r"\?jwt=‹token›$"))
        panel.log_in_as_owner()
        panel.open()

    def test_its_token_has_ended(
        self, owner: User, service: Service, settings, open_panel: Callable[..., Panel]
    ) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "JWT_QUERY": True}
        pair = service.login(owner)
        panel = open_panel()
        panel.choose("Query param")
        panel.paste(pair["access"])
        service.post("/api/token/logout/", {"refresh": pair["refresh"]})
        panel.connect()
        panel.is_closed("(4401)", "Log in again.")


class TestOnlyWhatThePathTakes:
    def test_a_ticket_alone(self, settings, open_panel: Callable[..., Panel]) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SCHEMES": ["ticketauth.schemes.ticket.TicketQuery"]}
        panel = open_panel()
        expect(panel.root.locator(".try-methods input:enabled")).to_have_count(1)

    def test_a_ticket_by_subprotocol(self, owner: User, settings, open_panel: Callable[..., Panel]) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "SCHEMES": ["ticketauth.schemes.ticket.TicketSubprotocol"]}
        panel = open_panel()
        panel.log_in_as_owner()
        panel.open()

    def test_names_of_the_settings(self, settings, open_panel: Callable[..., Panel]) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TICKET_QUERY_PARAM": "t", "JWT_COOKIE": "jwt"}
        panel = open_panel()
        expect(panel.root.locator(".try-methods")).to_contain_text(re.compile(r"\?t=.*sessionid.*jwt.*\?token="))

    def test_a_ticket_for_a_token_alone(self, session: None, page: Page) -> None:
        page.route("**/asyncapi.json", _without_sessions_at_the_ticket_endpoint)
        page.reload()
        panel = Panel(page).ready()
        expect(panel.root.get_by_label("User name", exact=True)).to_be_visible()
        expect(panel.root.get_by_text("Get the ticket with")).to_be_hidden()


def _without_sessions_at_the_ticket_endpoint(route: Route) -> None:
    answer = route.fetch()
    document = answer.json()
    document["channels"]["tickets"]["x-security"] = ["bearerAuth"]
    route.fulfill(response=answer, json=document)


class TestLogin:
    def test_a_wrong_password(self, owner: User, panel: Panel) -> None:
        panel.log_in(password="wrong")
        expect(panel.root.get_by_text("User name or password is wrong.")).to_be_visible()
        expect(panel.root.get_by_label("Password", exact=True)).to_have_attribute("aria-invalid", "true")

    def test_too_many_attempts(self, owner: User, panel: Panel, settings) -> None:
        settings.LOGIN_RATE = "1/min"
        panel.log_in(password="wrong")
        expect(panel.root.get_by_text("User name or password is wrong.")).to_be_visible()
        panel.button("Log in").click()
        expect(panel.root.get_by_text("Too many attempts.")).to_be_visible()
        expect(panel.root.locator(".try-login .try-wait")).to_have_text(re.compile(r"Try again in \d+ s\."))

    def test_by_what_the_user_model_calls_a_name(
        self, owner: User, open_panel: Callable[..., Panel], browse: Browse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The service's own endpoint takes a user name all the same, and says so.
        browse.expected.append(r"status of 400")
        monkeypatch.setattr(User, "USERNAME_FIELD", "email")
        panel = open_panel()
        with panel.page.expect_request("**/api/token/") as asked:
            panel.log_in("owner@example.com")
        assert asked.value.post_data_json == {"email": "owner@example.com", "password": PASSWORD}
        expect(panel.problems).to_contain_text(["The server refused (HTTP 400)."])

    def test_it_counts_for_every_panel_of_the_page(self, owner: User, panel: Panel, echo: Panel) -> None:
        panel.log_in()
        echo.is_logged_in()

    def test_it_goes_with_the_page(self, owner: User, panel: Panel, page: Page) -> None:
        panel.log_in_as_owner()
        page.reload()
        expect(panel.root.get_by_label("User name", exact=True)).to_be_visible()

    def test_it_can_be_forgotten(self, owner: User, panel: Panel) -> None:
        panel.log_in_as_owner()
        panel.button("Log out here").click()
        expect(panel.root.get_by_label("User name", exact=True)).to_be_focused()

    def test_what_was_wrong_is_not_said_for_ever(self, owner: User, panel: Panel) -> None:
        panel.log_in(password="wrong")
        expect(panel.root.get_by_text("User name or password is wrong.")).to_be_visible()
        panel.choose("Cookie JWT")
        panel.connect()
        expect(panel.problems).to_have_text(["Log in first, or paste a token."])

    def test_one_mistake_at_a_time(self, panel: Panel) -> None:
        panel.log_in("", "")
        expect(panel.problems).to_have_text(["A user name is needed.", "A password is needed."])
        panel.connect()
        expect(panel.problems).to_have_text(["Log in first, or paste a token."])

    def test_without_a_form(self, settings, open_panel: Callable[..., Panel]) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TOKEN_URL": ""}
        panel = open_panel()
        expect(panel.root.get_by_role("radio", name="An access token")).to_be_checked()
        expect(panel.root.get_by_text('TICKETAUTH["TOKEN_URL"] gives a login form here.')).to_be_visible()
        panel.connect()
        expect(panel.problems).to_have_text(["Paste an access token."])

    def test_no_token_is_pasted(self, panel: Panel) -> None:
        panel.paste("hello")
        expect(panel.root.get_by_text("This is not a JWT")).to_be_visible()
