"""Every refusal. The caller hears little (`code`, `detail`), the log hears which (`reason`).

TicketAuthError
├── Misconfigured             a setting or a server that cannot work; the message says what to do
└── Refusal                   somebody is refused, and told so
    ├── Malformed             400 / 4400   not the syntax, or more than one credential
    ├── NotAuthenticated      401 / 4401   no credential, or one that is no good
    ├── Forbidden             403 / 4403   the login is over, or not permitted here
    │   └── OriginRefused     403          never upgraded
    ├── NotFound              404          no such path; nothing was consumed
    ├── TooLong               414 / 431    request line or headers
    ├── TooBig                413 / 1009   a message
    ├── TooMany               429 / 4429   a rate or a number
    ├── Restarting            503 / 1012   the server leaves
    └── Unavailable           503 / 1013   a dependency is down
"""

from __future__ import annotations

from typing import ClassVar

from . import wire


class TicketAuthError(Exception):
    """Base of everything that this library raises on purpose."""


class Misconfigured(TicketAuthError):
    """A setting, or a server behind one, cannot work as it is. The message says what to do."""


class Refusal(TicketAuthError):
    """Somebody is refused.

    Args:
        reason: One word for the log, never sent.
        detail: A sentence for the caller, where the class's own does not say enough.
        retry_after: Seconds after which trying again makes sense.
    """

    close: ClassVar[wire.Close]
    code: ClassVar[str]
    title: ClassVar[str]
    detail: str
    upgradable: ClassVar[bool] = True
    """Whether profile `auto` may accept the upgrade in order to send the close code."""

    def __init__(self, reason: str, detail: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail or type(self).detail
        self.retry_after = retry_after
        self.facts: dict[str, str] = {}

    @property
    def status(self) -> int:
        """The HTTP status that says the same before the upgrade."""
        return self.close.status


class Malformed(Refusal):
    close = wire.MALFORMED
    code = "malformed"
    title = "Bad Request"
    detail = "The credential is malformed, or there is more than one."
    upgradable = False


class NotAuthenticated(Refusal):
    close = wire.NOT_AUTHENTICATED
    code = "not_authenticated"
    title = "Unauthorized"
    detail = "There is no credential, or it is unknown, used or expired. Get a new one and try again."


class Forbidden(Refusal):
    close = wire.FORBIDDEN
    code = "forbidden"
    title = "Forbidden"
    detail = "This is not permitted here."


class OriginRefused(Forbidden):
    code = "origin_refused"
    detail = "This origin is not on the list of allowed origins."
    upgradable = False


class NotFound(Refusal):
    close = wire.Close(4404, 404, wire.Retry.STOP, "no such path")
    code = "not_found"
    title = "Not Found"
    detail = "There is no WebSocket at this path."
    upgradable = False


class TooLong(Refusal):
    close = wire.MALFORMED
    code = "too_long"
    title = "Too Long"
    detail = "The address or the headers of the request are too long."
    upgradable = False

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self._status = status

    @property
    def status(self) -> int:
        """414 for the request line, 431 for the headers."""
        return self._status


class TooBig(Refusal):
    close = wire.TOO_BIG
    code = "too_big"
    title = "Content Too Large"
    detail = "The message is over the size limit."


class TooMany(Refusal):
    close = wire.TOO_MANY
    code = "too_many"
    title = "Too Many Requests"
    detail = "Too many requests. Wait as long as Retry-After says."
    upgradable = False


class Restarting(Refusal):
    close = wire.RESTART
    code = "restarting"
    title = "Service Unavailable"
    detail = "The server restarts. Try again soon, with a new ticket."

    def __init__(self, reason: str, detail: str = "", *, retry_after: int | None = 1) -> None:
        super().__init__(reason, detail, retry_after=retry_after)


class Unavailable(Refusal):
    close = wire.UNAVAILABLE
    code = "unavailable"
    title = "Service Unavailable"
    detail = "A service that this depends on is not available. Try again soon."

    def __init__(self, reason: str, detail: str = "", *, retry_after: int | None = 2) -> None:
        super().__init__(reason, detail, retry_after=retry_after)
