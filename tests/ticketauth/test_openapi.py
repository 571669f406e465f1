"""The ticket endpoint in the OpenAPI document of a stranger's project, which uses drf-spectacular."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, ClassVar

import pytest
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from drf_spectacular.utils import extend_schema
from drf_spectacular.validation import validate_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tests.docs.tables import ROOT
from ticketauth.authentication import BearerAuthentication
from ticketauth.views import TicketView


class BearerOnly(TicketView):
    authentication_classes = (BearerAuthentication,)


class Documented(TicketView):
    @extend_schema(operation_id="mine", responses={201: None})
    async def post(self, request: Request) -> Response:
        return await super().post(request)


@extend_schema(tags=["mine"], request=None, responses={201: None})
class DocumentedAsAWhole(TicketView): ...


def document(view: Any = None, version: str = "3.1.0") -> dict[str, Any]:
    patterns = [path("tickets/", view.as_view() if view else include("ticketauth.urls"))]
    with patched_settings({"OAS_VERSION": version, "POSTPROCESSING_HOOKS": []}):
        made: dict[str, Any] = SchemaGenerator(patterns=patterns).get_schema(public=True)
    validate_schema(made)
    return made


def operation(view: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = document(view)["paths"]["/tickets/"]["post"]
    return found


def component(name: str, version: str = "3.1.0") -> dict[str, Any]:
    found: dict[str, Any] = document(version=version)["components"]["schemas"][name]
    return found


@pytest.fixture
def change(settings) -> Any:
    def change(**values: Any) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, **values}

    return change


class TestSettings:
    """Those that change the contract show."""

    def test_a_body_is_optional(self) -> None:
        assert "required" not in operation()["requestBody"]
        assert component("SocketTicketOrder")["type"] == ["object", "null"]

    def test_the_path_may_be_required(self, change) -> None:
        change(TICKET_PATH_REQUIRED=True)
        assert operation()["requestBody"]["required"]
        assert component("SocketTicketOrder")["required"] == ["path"]
        assert "`path` is required." in operation()["description"]

    def test_no_further_members(self) -> None:
        assert component("SocketTicketOrder")["additionalProperties"] is False

    def test_members_of_the_project(self, change) -> None:
        change(TICKET_CLAIMS="mysite.claims.room_of")
        assert component("SocketTicketOrder")["additionalProperties"] is True

    def test_nobody_without_a_credential(self) -> None:
        assert {} not in operation()["security"]

    def test_guests(self, change) -> None:
        change(GUEST_TICKETS=True)
        assert operation()["security"][-1] == {}
        assert "guest" in operation()["description"]

    def test_a_ticket_is_a_uuid(self) -> None:
        assert component("SocketTicket")["properties"]["ticket_uuid"]["format"] == "uuid"

    def test_a_ticket_with_a_secret(self, change) -> None:
        change(TICKET_SECRET=True)
        assert "{43}" in component("SocketTicket")["properties"]["ticket_uuid"]["pattern"]

    def test_its_life(self, change) -> None:
        change(TICKET_TTL=7)
        assert component("SocketTicket")["properties"]["expires_in"]["maximum"] == 7
        assert "within 7 seconds" in operation()["description"]


class TestSchemes:
    def test_bearer_or_session_with_csrf_token(self) -> None:
        assert operation()["security"] == [{"bearerAuth": []}, {"sessionCookie": [], "csrfToken": []}]

    def test_each_is_described(self) -> None:
        schemes = document()["components"]["securitySchemes"]
        assert (schemes["bearerAuth"]["type"], schemes["bearerAuth"]["scheme"]) == ("http", "bearer")
        assert (schemes["sessionCookie"]["in"], schemes["sessionCookie"]["name"]) == ("cookie", "sessionid")
        assert (schemes["csrfToken"]["in"], schemes["csrfToken"]["name"]) == ("header", "X-CSRFToken")

    def test_names_of_the_project(self, settings) -> None:
        settings.SESSION_COOKIE_NAME, settings.CSRF_HEADER_NAME = "mine", "HTTP_X_MINE"
        schemes = document()["components"]["securitySchemes"]
        assert (schemes["sessionCookie"]["name"], schemes["csrfToken"]["name"]) == ("mine", "X-MINE")


def test_it_is_valid_in_the_version_that_drf_spectacular_writes_by_default() -> None:
    assert component("SocketTicketOrder", "3.0.3")["nullable"] is True


class TestSubclasses:
    def test_is_documented_too(self) -> None:
        assert operation(BearerOnly)["operationId"] == "issue_ticket"
        assert operation(BearerOnly)["security"] == [{"bearerAuth": []}]

    def test_may_document_its_method_itself(self) -> None:
        assert operation(Documented)["operationId"] == "mine"

    def test_may_document_itself(self) -> None:
        assert operation(DocumentedAsAWhole)["tags"] == ["mine"]
        assert set(operation(DocumentedAsAWhole)["responses"]) == {"201"}


class TestRefusals:
    statuses: ClassVar[list[str]] = ["400", "401", "403", "405", "415", "429", "503"]

    def test_every_refusal_is_a_problem(self) -> None:
        responses = operation()["responses"]
        assert list(responses) == ["201", *self.statuses]
        assert all(list(responses[status]["content"]) == ["application/problem+json"] for status in self.statuses)

    @pytest.mark.parametrize(
        ("name", "statuses"),
        [
            ("WWW-Authenticate", ["401"]),
            ("Allow", ["405"]),
            ("Retry-After", ["429", "503"]),
            ("Cache-Control", ["201", *statuses]),
        ],
    )
    def test_a_header_is_where_it_is_sent(self, name: str, statuses: list[str]) -> None:
        responses = operation()["responses"]
        assert [status for status, response in responses.items() if name in response["headers"]] == statuses


def test_a_project_without_it_does_not_import_it(tmp_path) -> None:
    surroundings = {
        **os.environ,
        **dict.fromkeys(("SECRET_KEY", "JWT_SIGNING_KEY"), "k" * 50),
        "DJANGO_SETTINGS_MODULE": "tests.project.settings",
        "DATABASE": str(tmp_path / "db.sqlite3"),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "REFUSAL_PROFILE": "auto",
    }
    script = "import django, sys; django.setup(); import tests.project.urls; print('drf_spectacular' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=surroundings, capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
