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
from urllib.parse import unquote_plus

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import APIException

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
    if not _log.isEnabledFor(level):
        return
    told = {key: value for key, value in facts.items() if value not in ("", None)}
    text = " ".join(f"{key}={_plain(value)}" for key, value in told.items())
    _log.log(level, "%s %s", name, text, extra={"event": name, **told})


def refused(name: str, refusal: Refusal | APIException, address: str) -> str:
    """Log a refusal over HTTP. Returns its reason."""
    if isinstance(refusal, Refusal):
        reason, facts = refusal.reason, refusal.facts
    else:
        codes = refusal.get_codes()
        reason, facts = codes if isinstance(codes, str) else "invalid", {}
    level = logging.ERROR if isinstance(refusal, Unavailable) else logging.WARNING
    event(level, name, {"outcome": "refused", "reason": reason, "address": address, **facts})
    return reason


_PLAIN = re.compile(r"[\w.:/@+-]+", re.ASCII)


def _plain(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


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
# A run of a JWT's letters, looked into by `_without_jwt`: an expression that looks for the dots by itself starts anew
# at each `eyJ` of a long address that has none, which takes seconds.
_RUN = re.compile(r"[A-Za-z0-9_.-]{8,}", re.ASCII)
_PRESENTED = re.compile(rf"({re.escape(SUBPROTOCOL_TICKET_PREFIX)}|\b(?:Ticket|Bearer) +)[^\s,\"']+", re.IGNORECASE)
_PREFIXES = (SUBPROTOCOL_TICKET_PREFIX, "ticket ", "bearer ")
_QUERY = re.compile(r"([?&]([^=&\s]{1,200})=)[\"']*[^&\s\"']*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def redact(text: str) -> str:
    """The text without credentials and without control characters."""
    told = _without_credentials(text)
    return told if told.isprintable() else _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", told)


def _without_credentials(text: str) -> str:
    """Without JWTs, and without what follows the name of a credential parameter or scheme.

    Each expression is tried only where a part of what it looks for is there: this runs several times per handshake.
    """
    names, lower = _parameters(), text.lower()
    # Expressions that ignore case take more letters for an s or an i than `lower` does.
    strange = not text.isascii()
    if "?" in text or "&" in text:
        text = _QUERY.sub(lambda found: f"{found[1]}{_REDACTED}" if unquote_plus(found[2]) in names else found[0], text)
    if strange or any(name.lower() in lower for name in names):
        text = _named(*names).sub(rf"\1{_REDACTED}", text)
    if "eyj" in lower:
        text = _RUN.sub(_without_jwt, text)
    if strange or any(prefix in lower for prefix in _PREFIXES):
        text = _PRESENTED.sub(rf"\1{_REDACTED}", text)
    return text


def _without_jwt(run: re.Match[str]) -> str:
    """What is before a JWT stays (RFC 7515 3.1: three parts with dots between them)."""
    before, begins, rest = run[0].partition("eyJ")
    return f"{before}{_REDACTED}" if begins and rest.count(".") >= 2 else run[0]


def _parameters() -> tuple[str, ...]:
    """The names that credentials go by; the default ones while the settings are wrong, for that is logged too."""
    try:
        given, session = conf.current(), settings.SESSION_COOKIE_NAME
    except (Misconfigured, ImproperlyConfigured):
        given, session = conf.Settings(), "sessionid"
    # The password: a form that forgets its method sends it in the query.
    return given.TICKET_QUERY_PARAM, given.JWT_QUERY_PARAM, given.JWT_COOKIE, session, "password"


@functools.cache
def _named(*names: str) -> re.Pattern[str]:
    alternatives = "|".join(re.escape(name) for name in names)
    # Also in an address that is itself a parameter, as in ?next=%2Fws%2F%3Fticket_uuid%3D...
    begins, follows = r"(?:\b|(?<=%3F)|(?<=%26))", r"[\"']?\s*(?:[=:]|%3D)\s*[\"']*"
    return re.compile(rf"({begins}(?:{alternatives}){follows})[^&\s;,\"']+", re.IGNORECASE)


class RedactFilter(logging.Filter):
    """Redacts every record that passes: message, traceback and further attributes.

    For handlers, for uvicorn's access log prints query strings:

        "filters": {"redact": {"()": "ticketauth.logs.RedactFilter"}}
    """

    def filter(self, record: logging.LogRecord) -> bool:
        message, further = _message(record), _further(record)
        if record.exc_info:
            record.exc_text = _without_credentials(_formatter.formatException(record.exc_info))
            record.exc_info = None
        record.msg, record.args = message, ()
        # One look at everything: mostly there is nothing to redact.
        together = " ".join((message, *further.values()))
        if redact(together) != together:
            record.msg = redact(message)
            for name, text in further.items():
                if (redacted := redact(text)) != text:
                    setattr(record, name, redacted)
        return True


def _message(record: logging.LogRecord) -> str:
    """The message. A call with the wrong arguments must not fail here: what a filter raises reaches its caller."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 -- whatever an argument raises
        return f"{record.msg} {_shown(record.args)}"


def _further(record: logging.LogRecord) -> dict[str, str]:
    """The texts of its further attributes. Not only of texts: Django adds its request, which shows its query."""
    attributes = vars(record)
    names = [name for name in attributes if name not in _WRITTEN_BY_LOGGING and type(attributes[name]) not in _NUMBERS]
    return {name: _text_of(record, name) for name in names}


def _text_of(record: logging.LogRecord, name: str) -> str:
    value = getattr(record, name)
    if type(value) is str:
        return value
    text = _shown(value)
    if text == _unshowable(value):
        setattr(record, name, text)
    return text


def _shown(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 -- a lazy user is read here, which in the event loop Django refuses
        return _unshowable(value)


def _unshowable(value: Any) -> str:
    return f"<{type(value).__name__}>"


_NUMBERS = frozenset((int, float, bool, type(None)))


_formatter = logging.Formatter()
_WRITTEN_BY_LOGGING = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
