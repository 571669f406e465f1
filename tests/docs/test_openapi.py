"""The OpenAPI document says what `docs/protocol.md` says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.docs.tables import read, rows, section

TEXT = read("docs/protocol.md")
PATHS: dict[str, Any] = json.loads(read("tests/e2e/openapi.json"))["paths"]
ENDPOINTS = ["/api/token/", "/api/token/refresh/", "/api/token/logout/", "/api/tickets/"]


def statuses(path: str) -> set[str]:
    """Those of the endpoint's section; the ticket endpoint's table is further down in the one around it."""
    told = section(TEXT, "Ticket endpoint" if path == "/api/tickets/" else f"POST {path}")
    return set(re.findall(r"\b(?:20[0-4]|4\d\d|50[03])\b", told))


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_status_of_an_endpoint_is_in_it(path: str) -> None:
    assert statuses(path)
    assert statuses(path) <= set(PATHS[path]["post"]["responses"])


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_every_status_of_a_health_check_is_in_it(path: str) -> None:
    (told,) = [answer for call, answer in rows(section(TEXT, "Health")) if call == f"`GET {path}`"]
    assert set(re.findall(r"\b[25]\d\d\b", told)) | {"405"} == set(PATHS[path]["get"]["responses"])


def test_every_code_is_in_it_with_its_status_and_no_other() -> None:
    table = rows(section(TEXT, "Errors over HTTP"))
    told = {(cells[0], cells[1].strip("`")) for cells in table if cells[0].isdigit()}
    answers = [item for path in ENDPOINTS for item in PATHS[path]["post"]["responses"].items()]
    problems = [(status, answer["content"]["application/problem+json"]) for status, answer in answers if status > "3"]
    found = {(status, told["value"]["code"]) for status, problem in problems for told in problem["examples"].values()}
    # An unknown address is no endpoint's.
    assert found == told - {("404", "not_found")}
