"""The opening handshake, decided without I/O: what was presented, which credential counts, how to say no."""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from urllib.parse import parse_qsl

from .address import client_address
from .exceptions import Malformed, NotAuthenticated, NotFound, OriginRefused, Refusal, TooLong
from .origin import OriginPolicy
from .schemes.base import Scheme, Scope
from .types import ConnectionId, Opening
from .wire import DAPHNE, SUBPROTOCOL, SUBPROTOCOL_TICKET_PREFIX

LONGEST_TARGET = 8192
"""Bytes of path and query."""

LONGEST_HEADERS = 32768
"""Bytes of all header names and values."""

MOST_PARAMETERS = 100


def parse(scope: Scope, trusted_proxies: Sequence[IPv4Network | IPv6Network]) -> Opening:
    """The opening handshake in an ASGI scope. What it cannot read it leaves out: refusing is for later.

    Args:
        scope: Of type `websocket`.
        trusted_proxies: Whose `X-Forwarded-For` is believed.
    """
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    forwarded = [value for name, value in headers if name == "x-forwarded-for"]
    peer = (scope.get("client") or ("", 0))[0]
    path, root_path = scope["path"], scope.get("root_path", "")
    return Opening(
        connection_id=ConnectionId(secrets.token_hex(16)),
        path=path.removeprefix(root_path) if root_path else path,
        query=_query(scope.get("query_string", b"")),
        headers=headers,
        cookies=tuple(pair for name, value in headers if name == "cookie" for pair in _cookies(value)),
        subprotocols=tuple(scope.get("subprotocols", ())),
        address=client_address(peer, forwarded, trusted_proxies),
    )


def _query(raw: bytes) -> tuple[tuple[str, str], ...]:
    if len(raw) > LONGEST_TARGET:
        return ()
    return tuple(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))


def _cookies(value: str) -> list[tuple[str, str]]:
    # Not `http.cookies`, which takes seconds for some values of 30 KB (until Python 3.13).
    pairs = [part.partition("=") for part in value.split(";") if "=" in part]
    return [(name.strip(), _unquoted(text.strip())) for name, _, text in pairs]


def _unquoted(value: str) -> str:
    """A cookie's value without quotes around it (RFC 6265 4.1.1)."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def check_size(scope: Scope) -> None:
    """Refuse what is too long to be one of ours, before anything is made of it.

    Raises:
        TooLong: 414 for path and query, 431 for the headers (RFC 6585 5).
    """
    target = len(scope["path"]) + len(scope.get("query_string", b""))
    if target > LONGEST_TARGET:
        raise TooLong("target_too_long", 414)
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEADERS:
        raise TooLong("headers_too_long", 431)
    if scope.get("query_string", b"").count(b"&") >= MOST_PARAMETERS:
        raise Malformed("too_many_parameters", "The query has too many parameters.")


def choose(
    opening: Opening,
    schemes: Sequence[Scheme],
    origins: OriginPolicy,
    *,
    resolves: Callable[[str], bool],
    required: bool,
) -> tuple[Scheme, str] | None:
    """The scheme and the credential to authenticate, or None for Anonymous. Nothing is spent yet.

    An explicit credential that is there counts, good or bad; cookies count only where there is none.

    Args:
        opening: What the client asks.
        schemes: Those that this route accepts, in order of preference among cookies.
        origins: Which pages may connect.
        resolves: Whether a path leads anywhere.
        required: Whether Anonymous is refused.

    Raises:
        NotFound: The path leads nowhere.
        OriginRefused: See `origin.OriginPolicy.check`.
        Malformed: A credential is malformed, or there are two.
        NotAuthenticated: There is none, and one is required.
    """
    if not resolves(opening.path):
        raise NotFound("path_unknown")
    origins.check(opening.header("origin"), ambient=False)
    if explicit := _found(opening, [scheme for scheme in schemes if not scheme.ambient]):
        if len(explicit) > 1:
            raise Malformed("two_credentials")
        return explicit[0]
    cookies = [scheme for scheme in schemes if scheme.ambient]
    try:
        ambient = _found(opening, cookies)
    except NotAuthenticated:
        origins.check(opening.header("origin"), ambient=True)
        raise
    if ambient:
        origins.check(opening.header("origin"), ambient=True)
        return ambient[0]
    if required:
        raise NotAuthenticated("no_credential")
    return None


def _found(opening: Opening, schemes: Sequence[Scheme]) -> list[tuple[Scheme, str]]:
    found = [(scheme, scheme.find(opening)) for scheme in schemes]
    return [(scheme, credential) for scheme, credential in found if credential is not None]


class Way(Enum):
    """How a refusal reaches the client."""

    DENIAL = "denial"
    """An HTTP response instead of the upgrade (ASGI's `websocket.http.response` extension)."""

    ACCEPT_AND_CLOSE = "accept and close"
    """Upgrade, then a close code: the only one that a browser's script can read."""

    CLOSE = "close"
    """A close before the upgrade: HTTP 403 on every server, whatever the code."""


def way_of(
    refusal: Refusal, opening: Opening, *, profile: str, extensions: Mapping[str, Any], may_upgrade: Callable[[], bool]
) -> Way:
    """How to say no.

    Args:
        refusal: What to say.
        opening: To whom.
        profile: `auto`, `denial` or `close`.
        extensions: What the server offers.
        may_upgrade: Counts one accept-and-close, and says whether it is within the rate. Asked only in `auto`.
    """
    denial = Way.DENIAL if "websocket.http.response" in extensions else Way.CLOSE
    if isinstance(refusal, (OriginRefused, NotFound, TooLong)) or profile == "denial":
        return denial
    if profile == "close":
        return Way.ACCEPT_AND_CLOSE
    reads_codes = bool(opening.header("origin")) or SUBPROTOCOL in opening.subprotocols
    return Way.ACCEPT_AND_CLOSE if refusal.upgradable and reads_codes and may_upgrade() else denial


def harmless_subprotocol(opening: Opening) -> str | None:
    """Ours if it was offered, else the first offer that is no credential. Browsers close a socket that gets none."""
    offers = [offer for offer in opening.subprotocols if not offer.startswith(SUBPROTOCOL_TICKET_PREFIX)]
    return SUBPROTOCOL if SUBPROTOCOL in offers else next(iter(offers), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal as ASGI messages carry it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    close_code: int
    close_reason: str

    @property
    def denial(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """An HTTP response instead of the upgrade."""
        start = {"type": "websocket.http.response.start", "status": self.status, "headers": list(self.headers)}
        return start, {"type": "websocket.http.response.body", "body": self.body}

    @property
    def close(self) -> dict[str, Any]:
        """A close frame; before the upgrade HTTP 403."""
        return {"type": "websocket.close", "code": self.close_code, "reason": self.close_reason}


def answer(refusal: Refusal, schemes: Sequence[Scheme], extensions: Mapping[str, Any]) -> Answer:
    """What the client is told: the same to the byte for the same kind of refusal (ASVS 16.5.1).

    Args:
        refusal: What to say.
        schemes: Those of the route, for `WWW-Authenticate`.
        extensions: What the server offers. Daphne, alone in offering no denial, cannot send codes below 3000 either.
    """
    challenges = tuple(scheme.challenge for scheme in schemes if scheme.challenge) or ("Ticket",)
    daphne = "websocket.http.response" not in extensions
    close = DAPHNE.get(refusal.close, refusal.close) if daphne else refusal.close
    return _written(tuple(problem(refusal).items()), refusal.retry_after, close.code, challenges)


@functools.lru_cache(maxsize=256)
def _written(
    members: tuple[tuple[str, Any], ...], retry_after: int | None, close_code: int, challenges: tuple[str, ...]
) -> Answer:
    told = dict(members)
    body = json.dumps(told).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    reason = told["code"]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
        reason = json.dumps({"code": told["code"], "retry_after": retry_after}, separators=(",", ":"))
    if told["status"] == 401:
        headers.append((b"www-authenticate", ", ".join(challenges).encode()))
    return Answer(told["status"], tuple(headers), body, close_code, reason)


def problem(refusal: Refusal) -> dict[str, Any]:
    """The members of an `application/problem+json` body (RFC 9457 3.1), and our `code`."""
    return {"title": refusal.title, "status": refusal.status, "detail": refusal.detail, "code": refusal.code}
