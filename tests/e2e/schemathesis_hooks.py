"""What no schema can know: a password, a refresh token that is alive, other logins, open sockets, WebSockets.

Imported by schemathesis. It puts them into requests that it made to be good; those that are meant to be bad stay.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
import schemathesis
from schemathesis import Case, HookContext, Response

from tests.servers import until
from tests.sockets import Handshake, handshake

_USER = {"username": os.environ["OWNER"], "password": os.environ["PASSWORD"]}
_others: list[str] = []
_sockets: list[Handshake] = []
"""Kept open."""


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Every other good request, by what was generated, becomes one that succeeds."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if "sid" in case.path_parameters and _others and len(case.path_parameters["sid"]) % 2:
        case.path_parameters["sid"] = _others[-1]
    if "connection_id" in case.path_parameters and len(case.path_parameters["connection_id"]) % 2:
        case.path_parameters["connection_id"] = _open_socket()
    if isinstance(case.body, dict):
        _make_good(case.body)


def _open_socket() -> str:
    """The id of a new socket, as soon as the service lists it."""
    login = httpx.post(f"{os.environ['SERVICE']}/api/token/", json=_USER).json()
    bearer = {"Authorization": f"Bearer {login['access']}"}
    socket = handshake(int(os.environ["SERVICE"].rpartition(":")[2]), "/ws/events/", headers=list(bearer.items()))
    opened: str = socket.json()["connection_id"]
    _sockets.append(socket)
    until(lambda: opened in httpx.get(f"{os.environ['SERVICE']}/api/connections/", headers=bearer).text)
    return opened


def _make_good(body: dict[str, Any]) -> None:
    if "keep_current" in body:
        # With `false` it would log itself out, which another test looks at.
        body["keep_current"] = True
    if "path" in body:
        body["path"] = "/ws/echo/"
    if len(str(body)) % 2:
        return
    if "username" in body:
        body.update(_USER)
    elif "refresh" in body:
        # Of a login of its own: any other may have been ended by a request in between.
        body["refresh"] = httpx.post(f"{os.environ['SERVICE']}/api/token/", json=_USER).json()["refresh"]


@schemathesis.hook
def after_call(context: HookContext, case: Case, response: Response) -> None:
    """Keep the names of the other logins."""
    if case.method == "GET" and case.path == "/api/sessions/" and response.status_code == 200:
        _others.extend(login["sid"] for login in response.json() if not login["current"])
