"""`request.user` under the middleware of ours, in a project's own views."""

from __future__ import annotations

from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from ticketauth import logins
from ticketauth.models import Login
from ticketauth.types import Sid


def synchronous(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


async def asynchronous(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return HttpResponse(user.get_username())


def nobody_asks(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


urlpatterns = [path("sync/", synchronous), path("async/", asynchronous), path("page/", nobody_asks)]

MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "ticketauth.sessions.AuthenticationMiddleware"]


@pytest.fixture(autouse=True)
def _project(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = MIDDLEWARE


def end_login() -> None:
    logins.end(Sid(Login.objects.get().sid))


class TestSynchronous:
    @pytest.fixture
    def browser(self, owner: User) -> Client:
        client = Client()
        client.force_login(owner)
        return client

    def test_the_user(self, browser: Client) -> None:
        assert browser.get("/sync/").content == b"owner"

    def test_nobody_without_a_session(self, owner: User) -> None:
        assert Client().get("/sync/").content == b""
        assert not Login.objects.exists()

    def test_nobody_once_the_login_is_over(self, browser: Client) -> None:
        end_login()
        answer = browser.get("/sync/")
        assert answer.content == b""
        assert answer.cookies["sessionid"].value == ""
        assert not Session.objects.exists()

    def test_a_page_that_asks_for_no_user_costs_nothing(self, browser: Client) -> None:
        with CaptureQueriesContext(connection) as queries:
            browser.get("/page/")
        assert not queries.captured_queries

    def test_it_costs_one_query(self, browser: Client) -> None:
        with CaptureQueriesContext(connection) as queries:
            browser.get("/sync/")
        assert len([query for query in queries if "ticketauth_login" in query["sql"]]) == 1


class TestAsynchronous:
    @pytest.fixture
    def browser(self, owner: User) -> AsyncClient:
        client = AsyncClient()
        client.force_login(owner)
        return client

    async def test_the_user(self, browser: AsyncClient) -> None:
        assert (await browser.get("/async/")).content == b"owner"

    async def test_nobody_once_the_login_is_over(self, browser: AsyncClient) -> None:
        await database_sync_to_async(end_login)()
        assert (await browser.get("/async/")).content == b""
        assert not await database_sync_to_async(Session.objects.exists)()
