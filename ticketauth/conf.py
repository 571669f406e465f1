"""The only reader of Django's settings: `TICKETAUTH = {...}`, typed, read at the moment of use.

The table in `docs/settings.md` is held against `Settings` by a test.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_origin, get_type_hints

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .address import networks
from .exceptions import Misconfigured
from .limits import Rate
from .origin import OriginPolicy

if TYPE_CHECKING:
    from .schemes.base import Scheme
    from .stores.base import TicketStore

LONGEST_TTL = 60
"""Seconds. ASVS 10.4.3 asks for a short life; a start-up check refuses more."""


def _setting(default: Any, meaning: str, *, least: float = 0) -> Any:
    metadata = {"meaning": meaning, "least": least}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`TICKETAUTH`, every key with its type, default and meaning."""

    # Where tickets live
    CACHE_ALIAS: str = _setting("default", "The alias in `CACHES` (django-redis) whose server keeps the tickets.")
    REDIS_URL: str = _setting(
        "", "The address of that server, where it is not the alias's: `redis://`, `rediss://`, `unix://`, "
        "`redis+sentinel://host:port,host:port/service/db`, `redis+cluster://host:port,host:port`."
    )  # fmt: skip
    KEY_PREFIX: str = _setting("ticketauth", "First part of every key. Deployments that share a server differ in it.")
    FENCE: Literal["on", "off"] = _setting(
        "on", "A ticket is good only on the very primary that issued it. `off` where the server forbids `INFO`; "
        "a spent ticket may then be replayed after a fail-over."
    )  # fmt: skip
    REDIS_POOL_SIZE: int = _setting(50, "Connections to the ticket server per event loop, at most.")
    REDIS_DEADLINE: float = _setting(1.2, "Seconds that the ticket server has per issue or handshake.")
    DATABASE_DEADLINE: float = _setting(1.2, "Seconds that the database has per handshake.")
    STORE: str = _setting(
        "ticketauth.stores.redis.RedisStore",
        "Dotted path of the store. `ticketauth.stores.memory.MemoryStore` is for unit tests.",
    )

    # Tickets
    TICKET_TTL: int = _setting(30, "Seconds that a ticket lives, 60 at most.")
    TICKET_SECRET: bool = _setting(False, "Append 256 random bits to the UUID (ASVS 11.5.1 to the letter).")
    TICKET_PATH_REQUIRED: bool = _setting(False, "Refuse to issue a ticket that names no `path`.")
    TICKET_BIND_ADDRESS: bool = _setting(False, "A ticket works only from the address it was issued to.")
    TICKET_CLAIMS: str = _setting(
        "", "Dotted path of a callable `(request, identity) -> dict`; the result is at `scope[\"ticket\"].claims`."
    )  # fmt: skip
    TICKET_QUERY_PARAM: str = _setting("ticket_uuid", "Name of the query parameter that carries a ticket.")
    GUEST_TICKETS: bool = _setting(False, "Issue tickets without a credential, for routes that allow Anonymous.")
    RATE_PER_USER: str = _setting("60/min", "Tickets per user: `N/s`, `N/min`, `N/hour`. `0` switches it off.")
    RATE_PER_ADDRESS: str = _setting("300/min", "Tickets per client address. `0` switches it off.")

    # Handshakes
    SCHEMES: Sequence[str] = _setting(
        [
            "ticketauth.schemes.ticket.TicketQuery",
            "ticketauth.schemes.ticket.TicketSubprotocol",
            "ticketauth.schemes.ticket.TicketHeader",
        ],
        "Dotted paths of the schemes of a middleware that is given none.",
    )
    JWT_QUERY: bool = _setting(False, "Let `JWTQuery` take a JWT in the URL. It ends up in logs (RFC 9700 4.3.2).")
    JWT_QUERY_PARAM: str = _setting("token", "Name of the query parameter that carries a JWT.")
    JWT_COOKIE: str = _setting("access_token", "Name of the cookie that carries a JWT.")
    ALLOWED_ORIGINS: Sequence[str] = _setting(
        [], "Origins whose pages may connect, compared exactly: `https://app.example.com`, `capacitor://localhost`."
    )
    PUBLIC_URLS: Sequence[str] = _setting([], "The service's own public addresses; their origins are allowed too.")
    TRUSTED_PROXIES: Sequence[str] = _setting(
        [], "Networks (`10.0.0.0/8`) whose `X-Forwarded-For` is believed when the client's address is looked for."
    )
    REFUSAL_PROFILE: Literal["auto", "denial", "close"] = _setting(
        "auto", "`denial`: an HTTP status. `close`: accept, then close with a code that a browser can read. "
        "`auto`: `close` for browsers and clients of `ticketauth.v1`, else `denial`."
    )  # fmt: skip
    MAY_CONNECT: str = _setting(
        "", "Dotted path of a function `(user, path) -> bool`, asked at the handshake and again while the socket lives."
    )  # fmt: skip
    CLOSE_RATE: str = _setting("20/min", "Refusals per address that `auto` accepts in order to send a code.")

    # Live sockets
    REVOCATION_POLL: float = _setting(
        2.0, "Seconds between questions to the database which live logins are over.", least=0.01
    )
    REVOCATION_SWEEP: float = _setting(
        60.0, "Seconds after which the users of all live sockets are read again.", least=0.01
    )
    BLIND_GRACE: float = _setting(
        60.0, "Seconds that live sockets stay open while the database cannot be asked; then they are closed with 1013."
    )
    SOCKET_MAX_AGE: int = _setting(
        86400, "Seconds after which a socket is closed with 4401, up to a tenth earlier. `0`: never."
    )
    SOCKETS_PER_USER: int = _setting(0, "Sockets that a user may have open, on all workers together. `0`: any number.")
    SOCKETS_PER_ADDRESS: int = _setting(
        0, "Sockets that may be open from a client address (IPv6: a /64). `0`: any number."
    )
    SOCKET_IDLE: int = _setting(
        0, "Seconds without a message from the client, while its consumer waits for one, after which its socket is "
        "closed with 4401 (ASVS 7.3.1). `0`: never; whether the client is there at all, the server's pings find out."
    )  # fmt: skip
    EXPIRY_NOTICE: int = _setting(
        60, "Seconds that `ticketauth.expiring` comes ahead of a socket's end. `0`: it does not come."
    )  # fmt: skip
    MESSAGE_SIZE: int = _setting(
        65536, "Bytes of a message from a client; a larger one closes its socket with 1009.", least=1
    )
    MESSAGE_RATE: str = _setting(
        "6000/min", "Messages on one socket; one more closes it with 4429. `0` switches it off."
    )
    SEND_DEADLINE: float = _setting(
        10.0, "Seconds that a client may let one message wait that it does not read; then its socket is closed.",
        least=0.1,
    )  # fmt: skip
    RECONNECT_WITHIN: int = _setting(5, "Seconds over which clients spread their coming back after a restart (1012).")

    # Logins, issuers, users
    LOGIN_MAX_AGE: int = _setting(30 * 24 * 3600, "Seconds after which a login ends, however often it is refreshed.")
    REFRESH_GRACE: int = _setting(10, "Seconds that the immediate predecessor of a refresh token still works.")
    USERS: Literal["database", "claims"] = _setting(
        "database", "`claims`: users of our own tokens are made of the claims (simplejwt's `TokenUser`), without table."
    )  # fmt: skip
    ISSUERS: Mapping[str, Mapping[str, Any]] = _setting(
        {}, "Identity providers by their exact `iss`; see `docs/identity-providers.md`."
    )

    # The contract
    ASYNCAPI_INFO: Mapping[str, Any] = _setting(
        {}, "Members of the AsyncAPI document's `info`: `title`, `version`, `description`, `contact`, `license`."
    )
    OPENAPI_URL: str = _setting("", "Where the project's OpenAPI document is; the AsyncAPI document links to it.")
    DOCS_ACCESS: Literal["everyone", "authenticated", "staff"] = _setting(
        "everyone", "Who may see the AsyncAPI document and its page; in the service the OpenAPI ones too."
    )
    TRY_IT_OUT: bool | None = _setting(
        None, "Whether the page has a panel that connects. `None`: while Django's `DEBUG` is on."
    )
    TOKEN_URL: str = _setting(
        "",
        "Path that turns the user model's `USERNAME_FIELD` and `password` into an `access` token, for that panel. "
        "Empty: paste one.",
    )


def _checked(name: str, hint: Any, value: Any, least: float) -> Any:
    """The value, if it is of the type that the annotation names, and no number below the least."""
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise Misconfigured(f"TICKETAUTH[{name!r}] is {value!r}; expected one of {', '.join(get_args(hint))}.")
        return value
    if isinstance(hint, UnionType):
        if value is None:
            return value
        hint = next(kind for kind in get_args(hint) if kind is not NoneType)
    expected = {Sequence: (list, tuple), Mapping: (dict,), float: (int, float)}.get(origin or hint, (hint,))
    if not isinstance(value, expected) or (isinstance(value, bool) and hint is not bool):
        wanted = " or ".join(kind.__name__ for kind in expected)
        raise Misconfigured(f"TICKETAUTH[{name!r}] is {value!r}; expected {wanted}.")
    if isinstance(value, (int, float)) and value < least:
        raise Misconfigured(f"TICKETAUTH[{name!r}] is {value!r}; expected {least:g} or more.")
    return value


@functools.cache
def current() -> Settings:
    """The settings as they are now.

    Raises:
        Misconfigured: A key is unknown, or a value is not of its type.
    """
    given = getattr(django_settings, "TICKETAUTH", {})
    hints = get_type_hints(Settings)
    if not isinstance(given, dict):
        raise Misconfigured(f"TICKETAUTH is {type(given).__name__}; expected dict.")
    if unknown := sorted(set(given) - set(hints)):
        raise Misconfigured(
            f"TICKETAUTH has no key {unknown[0]!r}. It knows: {', '.join(f.name for f in fields(Settings))}."
        )
    least = {one.name: one.metadata["least"] for one in fields(Settings)}
    return Settings(**{name: _checked(name, hints[name], value, least[name]) for name, value in given.items()})


@functools.cache
def origins() -> OriginPolicy:
    """The origins that may connect: the allow-list and the service's own."""
    return OriginPolicy.of(current().ALLOWED_ORIGINS, current().PUBLIC_URLS)


@functools.cache
def trusted_proxies() -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks whose `X-Forwarded-For` is believed."""
    return networks("TRUSTED_PROXIES", current().TRUSTED_PROXIES)


@functools.cache
def rate_per_user() -> Rate | None:
    """How many tickets a user gets."""
    return Rate.parse("RATE_PER_USER", current().RATE_PER_USER)


@functools.cache
def rate_per_address() -> Rate | None:
    """How many tickets a client address gets."""
    return Rate.parse("RATE_PER_ADDRESS", current().RATE_PER_ADDRESS)


@functools.cache
def close_rate() -> Rate | None:
    """How often per address `auto` accepts in order to close."""
    return Rate.parse("CLOSE_RATE", current().CLOSE_RATE)


@functools.cache
def message_rate() -> Rate | None:
    """How many messages a client may send on one socket."""
    return Rate.parse("MESSAGE_RATE", current().MESSAGE_RATE)


@functools.cache
def store() -> TicketStore:
    """The ticket store of this process."""
    given = current()
    alias = getattr(django_settings, "CACHES", {}).get(given.CACHE_ALIAS)
    bounds = (given.REDIS_POOL_SIZE, given.REDIS_DEADLINE)
    return _store(given.STORE, given.REDIS_URL, given.KEY_PREFIX, given.FENCE, bounds, repr(alias))


@functools.cache
def _store(path: str, *settings: object) -> TicketStore:
    """One store per set of settings, kept: it holds connections."""
    return cast("TicketStore", import_string(path)())


@functools.cache
def schemes() -> tuple[Scheme, ...]:
    """The schemes of a middleware that is given none."""
    return tuple(import_string(path)() for path in current().SCHEMES)


@functools.cache
def ticket_claims() -> Callable[..., Mapping[str, Any]] | None:
    """The project's callable that adds claims to a ticket."""
    path = current().TICKET_CLAIMS
    return cast("Callable[..., Mapping[str, Any]]", import_string(path)) if path else None


@functools.cache
def may_connect() -> Callable[[Any, str], Any] | None:
    """The project's function that says who may connect where; sync, or a coroutine function."""
    path = current().MAY_CONNECT
    return cast("Callable[[Any, str], Any]", import_string(path)) if path else None


def public_url() -> str:
    """Where the service is: the first of `PUBLIC_URLS`, else where a development server listens."""
    return next(iter(current().PUBLIC_URLS), "http://127.0.0.1:8000")


def try_it_out() -> bool:
    """Whether the page of the contract has a panel that connects."""
    wanted = current().TRY_IT_OUT
    return bool(django_settings.DEBUG) if wanted is None else wanted


def validate() -> None:
    """See that everything that `TICKETAUTH` names can be read and imported.

    Raises:
        Misconfigured: Something cannot.
    """
    given = current()
    for read in (origins, trusted_proxies, rate_per_user, rate_per_address, close_rate, message_rate):
        read()
    named = {name: [getattr(given, name)] for name in ("STORE", "TICKET_CLAIMS", "MAY_CONNECT")}
    for name, paths in {"SCHEMES": given.SCHEMES, **named}.items():
        for path in filter(None, paths):
            try:
                import_string(path)
            except ImportError as error:
                raise Misconfigured(
                    f"TICKETAUTH[{name!r}] names {path!r}, which cannot be imported: {error}."
                ) from None


def _forget(*, setting: str, **kwargs: object) -> None:
    """Django's `override_settings` has put other values in place."""
    if setting in {"TICKETAUTH", "CACHES", "SIMPLE_JWT"}:
        for read in _CACHED:
            read.cache_clear()


_CACHED = (
    current,
    origins,
    trusted_proxies,
    rate_per_user,
    rate_per_address,
    close_rate,
    message_rate,
    store,
    schemes,
    ticket_claims,
    may_connect,
)

setting_changed.connect(_forget, dispatch_uid="ticketauth.conf")
