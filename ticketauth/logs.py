"""One event per decision, on the logger `ticketauth`, and the filter that keeps credentials out of every log.

The facts are in the record's attributes, for a JSON formatter, and in the message, for a person. Values from outside
are escaped, so that nobody writes lines of their own (ASVS 16.4.1).
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
import time
from typing import Any

from . import conf
from .exceptions import Malformed, Misconfigured, Refusal, Unavailable
from .schemes.base import Scheme
from .types import Connection, Opening
from .wire import SUBPROTOCOL_TICKET_PREFIX

_log = logging.getLogger("ticketauth")


def fingerprint(credential: str) -> str:
    """Eight hex digits that recognise a credential and do not give it away."""
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def event(level: int, name: str, facts: dict[str, Any]) -> None:
    """Log a decision: its name, and its facts as attributes and as `key=value`."""
    told = {key: value for key, value in facts.items() if value not in ("", None)}
    text = " ".join(f"{key}={_plain(value)}" for key, value in told.items())
    _log.log(level, "%s %s", name, text, extra={"event": name, **told})


def _plain(value: Any) -> str:
    text = str(value)
    return text if re.fullmatch(r"[\w.:/@+-]+", text, re.ASCII) else json.dumps(text)


class Decision:
    """What is said of one handshake, once."""

    def __init__(self, opening: Opening) -> None:
        self._started = time.perf_counter()
        self._facts: dict[str, Any] = {
            "connection_id": opening.connection_id,
            "address": opening.address,
            "origin": redact(" ".join(opening.header("origin"))[:200]),
            "path": redact(opening.path[:200]),
        }

    def presented(self, scheme: Scheme, credential: str) -> None:
        """A credential was there: by what scheme, and which one by its fingerprint."""
        self._facts |= {"scheme": scheme.name, "credential": fingerprint(credential)}

    def admitted(self, connection: Connection) -> None:
        """Somebody was let in."""
        identity = connection.identity
        facts = {"outcome": "admitted", "user": identity.subject, "issuer": identity.issuer, "sid": identity.sid}
        event(logging.INFO, "handshake", {**self._facts, **facts, "latency_ms": self._latency()})

    def refused(self, refusal: Refusal) -> None:
        """Somebody was not; a replay under its own name."""
        name = "replay" if refusal.reason == "replay" else "handshake"
        level = logging.ERROR if isinstance(refusal, Unavailable) else logging.WARNING
        facts = {"outcome": "refused", "reason": refusal.reason, **refusal.facts, "latency_ms": self._latency()}
        event(logging.INFO if isinstance(refusal, Malformed) else level, name, {**self._facts, **facts})

    def _latency(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 1)


_REDACTED = "[redacted]"
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*", re.ASCII)
_PRESENTED = re.compile(rf"({re.escape(SUBPROTOCOL_TICKET_PREFIX)}|\b(?:Ticket|Bearer) +)[^\s,\"']+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def redact(text: str) -> str:
    """The text without credentials (JWTs, what follows the name of a credential parameter or scheme), and without
    control characters.
    """
    text = _named(*_parameters()).sub(rf"\1{_REDACTED}", text)
    text = _PRESENTED.sub(rf"\1{_REDACTED}", _JWT.sub(_REDACTED, text))
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _parameters() -> tuple[str, str, str]:
    """The names that credentials go by; the default ones while the settings are wrong, for that is logged too."""
    try:
        given = conf.current()
    except Misconfigured:
        given = conf.Settings()
    return given.TICKET_QUERY_PARAM, given.JWT_QUERY_PARAM, given.JWT_COOKIE


@functools.cache
def _named(*names: str) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(name) for name in names)
    return re.compile(rf"(\b(?:{alternatives})[\"']?\s*[=:]\s*[\"']?)[^&\s;,\"']+")


class RedactFilter(logging.Filter):
    """Redacts the message of every record that passes. For handlers: uvicorn's access log prints query strings.

    "filters": {"redact": {"()": "ticketauth.logs.RedactFilter"}}
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(redact(value) if isinstance(value, str) else value for value in record.args)
        if isinstance(record.msg, str):
            record.msg = redact(record.msg)
        return True
