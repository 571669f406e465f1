"""What the page shows, of an AsyncAPI document. Pure: no request, no settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

from django.utils.safestring import SafeString

from ticketauth import wire

from .fields import Field, resolve, rows
from .highlight import highlight, pretty
from .markdown import inline, render
from .reconnect import Ends, reconnecting
from .snippets import Connection, Credential, Snippet, login, request, snippets

Document = Mapping[str, Any]

WEAKNESSES = {
    "ticket_query": "The ticket is in an address, so it gets into access logs. It is spent when it gets there, "
    "or dies within its life.",
    "ticket_subprotocol": "The ticket is in a header that was made for something else: tools that dump headers "
    "show it.",
    "jwt_header": "The token works again and again until it ends or its login is over.",
    "jwt_cookie": "The browser sends it whatever page asks: all rests on the check of `Origin`.",
    "jwt_query": "The token is in logs and histories, and works from there until it ends.",
    "session": "The browser sends it whatever page asks: all rests on the check of `Origin`, and where it asks for a "
    "ticket, on the CSRF token.",
}
"""By the scheme's name; in full in `SECURITY.md`."""

RECOMMENDED = {"ticket_subprotocol": "recommended in browsers", "ticket_header": "recommended for apps"}
"""By the scheme's name; as in `docs/protocol.md`."""


@dataclass(frozen=True, slots=True)
class Server:
    id: str
    url: str
    protocol: str
    title: str
    description: SafeString
    schemes: tuple[Scheme, ...]

    @property
    def origin(self) -> str:
        """The address without its path."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Scheme:
    id: str
    title: str
    recommended: str
    """To whom; empty where another is better."""
    carried: str
    """What is sent, with the credential in angle brackets."""
    description: SafeString
    weakness: SafeString
    credential: Credential

    @property
    def anchor(self) -> str:
        return f"scheme-{self.id}"

    @property
    def is_for_programs(self) -> bool:
        """Whether no browser can open a socket with it."""
        return self.credential.place == "header"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    description: SafeString
    examples: tuple[str, ...]
    values: tuple[str, ...]
    default: str


@dataclass(frozen=True, slots=True)
class Example:
    name: str
    json: str

    @property
    def code(self) -> SafeString:
        return highlight(self.json, "json")


@dataclass(frozen=True, slots=True)
class Message:
    id: str
    anchor: str
    name: str
    title: str
    summary: SafeString
    description: SafeString
    content_type: str
    status: int | None
    """Of the HTTP response, where it is one."""
    correlation: str
    fields: tuple[Field, ...]
    is_closed: bool
    """Whether other members are refused."""
    examples: tuple[Example, ...]
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A message where it is spoken of.

    Attributes:
        in_full: Only the first time within its channel.
        named: Whether its title is another than the operation's.
        told: Whether its summary is.
        detailed: Whether its description is.
    """

    message: Message
    in_full: bool
    named: bool
    told: bool
    detailed: bool


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    title: str
    summary: SafeString
    description: SafeString
    action: str
    method: str
    """Of HTTP, where it is a request."""
    messages: tuple[Shown, ...]
    replies: tuple[Shown, ...]
    schemes: tuple[Scheme, ...]
    """Where they are not those of the channel."""

    @property
    def anchor(self) -> str:
        return f"operation-{self.id}"

    @property
    def from_client(self) -> bool:
        """The document takes the server's view: what it receives, the client sends."""
        return self.action == "receive"

    @property
    def is_the_librarys(self) -> bool:
        """The middleware's own frames, which are the same on every channel."""
        names = [shown.message.name for shown in self.messages]
        return bool(names) and all(name.startswith(wire.FRAMES) and name != wire.READY for name in names)


@dataclass(frozen=True, slots=True)
class CloseCode:
    code: str
    status: int | None
    meaning: SafeString
    retry: str

    @property
    def advice(self) -> str:
        """What a client does, as a sentence."""
        return ADVICE.get(self.retry, self.retry)


ADVICE = {
    wire.Retry.STOP.value: "Stop. Trying again would not help.",
    wire.Retry.NEW_TICKET.value: "Get a new credential (a ticket; a refreshed token; a login) and reconnect.",
    wire.Retry.BACK_OFF.value: "Back off: wait, longer each time; then get a new credential and reconnect.",
}
"""What a client does after a close, by the document's word. The panel says it too."""


@dataclass(frozen=True, slots=True)
class Ending:
    """An end that is announced.

    Attributes:
        reason: On the wire.
        why: It ends.
        keeps: What keeps the connection.
    """

    reason: str
    why: str
    keeps: str


ENDINGS = (
    Ending(
        wire.Ending.CREDENTIAL.value,
        "Its login, or the token that it was opened with, ends.",
        "Renew it with a fresh ticket. A refresh of the login in time keeps it too.",
    ),
    Ending(
        wire.Ending.AGE.value,
        "It has been open for almost as long as the service lets a socket be.",
        "Nothing keeps this one. Open another with a new ticket, then close it.",
    ),
    Ending(wire.Ending.IDLE.value, "The client has sent nothing for a while.", "Any message keeps it."),
)
"""As in `docs/protocol.md`. The panel says it too."""


@dataclass(frozen=True, slots=True)
class Life:
    """How long a socket lives, and how it lives on: the middleware's own frames, the same on every channel.

    Attributes:
        channels: Where they are spoken.
        operations: With the library's messages.
        endings: Those that are announced.
    """

    channels: tuple[Channel, ...]
    operations: tuple[Operation, ...]
    endings: tuple[Ending, ...] = ENDINGS


@dataclass(frozen=True, slots=True)
class After:
    """What a client does after a close.

    Attributes:
        close_codes: Of all channels.
        lost: What it does after any other.
        snippets: A program for each language that does it; none where no channel takes tickets.
        example: The channel that it connects to.
    """

    close_codes: tuple[CloseCode, ...]
    lost: str
    snippets: tuple[Snippet, ...]
    example: Channel | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A scheme of a channel, with the code that connects."""

    scheme: Scheme
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True, slots=True)
class Channel:
    id: str
    address: str
    title: str
    summary: SafeString
    description: SafeString
    websocket: bool
    url: str
    parameters: tuple[Parameter, ...]
    schemes: tuple[Scheme, ...]
    anonymous: bool
    operations: tuple[Operation, ...]
    messages: tuple[Message, ...]
    close_codes: tuple[CloseCode, ...]
    choices: tuple[Choice, ...]
    request: Snippet | None
    """For HTTP: code that asks."""
    ready_frame: bool
    """Whether the client is authenticated at `ticketauth.ready`, and not before."""
    renews: bool
    """Whether a socket is told of its end, and can be renewed."""

    @property
    def anchor(self) -> str:
        return f"channel-{self.id}"


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    version: str
    description: SafeString
    contact: Mapping[str, str]
    license: Mapping[str, str]
    external_docs: Mapping[str, str]
    servers: tuple[Server, ...]
    openers: tuple[Scheme, ...]
    """What opens a socket."""
    askers: tuple[Scheme, ...]
    """What asks for a ticket."""
    endpoints: tuple[Channel, ...]
    """Channels of HTTP: the ticket endpoint."""
    channels: tuple[Channel, ...]
    life: Life | None
    """Where sockets are told of their end."""
    after: After | None
    """Where the document has close codes."""

    login: Snippet | None
    """Code that turns a password into an access token, where the project says how."""

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Each once, in the order of the page."""
        return (*self.openers, *self.asking_only)

    @property
    def words(self) -> str:
        """JSON: what the panel says as the page does."""
        endings = {ending.reason: f"{ending.why} {ending.keeps}" for ending in ENDINGS}
        return json.dumps({"advice": ADVICE, "endings": endings})

    @property
    def asking_only(self) -> tuple[Scheme, ...]:
        return tuple(scheme for scheme in self.askers if scheme not in self.openers)

    @property
    def asking_too(self) -> tuple[Scheme, ...]:
        """What opens a socket and asks for a ticket."""
        return tuple(scheme for scheme in self.askers if scheme in self.openers)


def page(document: Document, token_url: str = "", username_field: str = "username") -> Page:
    """All that the page shows.

    Args:
        document: AsyncAPI, as `ticketauth.asyncapi` makes it.
        token_url: Address that turns user name and password into an access token; empty where there is none.
        username_field: What it calls the user name.
    """
    return replace(_Reader(document).page(), login=login(token_url, username_field) if token_url else None)


_TICKETS = "tickets"
"""The id of the ticket endpoint."""

_LIFE = "ticketauth.v1"
"""Stands for a channel in the anchors of the messages that are the same on all. No channel's id has a dot."""


Messages = Mapping[str, Message]


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._parts = document.get("components", {})
        self._schemes = {id_: _scheme(id_, part) for id_, part in self._parts.get("securitySchemes", {}).items()}

    def page(self) -> Page:
        info = self._document["info"]
        made = [self._channel(id_, part) for id_, part in self._document.get("channels", {}).items()]
        endpoints = tuple(channel for channel in made if not channel.websocket)
        channels = tuple(channel for channel in made if channel.websocket)
        opening, askers = self._used(channels), self._used(endpoints)
        return Page(
            title=info["title"],
            version=info["version"],
            description=render(_without_close_codes(info.get("description", ""))),
            contact=info.get("contact", {}),
            license=info.get("license", {}),
            external_docs=self._resolved(info.get("externalDocs", {})),
            servers=tuple(self._server(id_, part) for id_, part in self._document.get("servers", {}).items()),
            openers=tuple(s for s in self._schemes.values() if s in opening or s not in askers),
            askers=askers,
            endpoints=endpoints,
            channels=channels,
            life=self._life(channels),
            after=self._after(channels),
            login=None,
        )

    def _used(self, channels: Sequence[Channel]) -> tuple[Scheme, ...]:
        used = {scheme.id for channel in channels for scheme in channel.schemes}
        return tuple(scheme for scheme in self._schemes.values() if scheme.id in used)

    def _life(self, channels: Sequence[Channel]) -> Life | None:
        renewing = tuple(channel for channel in channels if channel.renews)
        if not renewing:
            return None
        first = renewing[0]
        messages, seen = self._messages(_LIFE, self._document["channels"][first.id]), set[str]()
        made = [self._operation(first, id_, messages, seen) for id_ in self._operation_ids(first)]
        theirs = [replace(op, id=op.messages[0].message.name) for op in made if op.is_the_librarys]
        # First what the server says, then what the client can do about it.
        return Life(renewing, tuple(sorted(theirs, key=lambda operation: operation.from_client)))

    def _after(self, channels: Sequence[Channel]) -> After | None:
        codes = tuple(dict.fromkeys(close for channel in channels for close in channel.close_codes))
        if not codes:
            return None
        plainest = sorted(
            self._reconnectable(channels), key=lambda found: (not found.ready_frame, len(found.parameters))
        )
        example = next(iter(plainest), None)
        written = self._reconnecting(example, codes) if example else ()
        return After(codes, ADVICE[wire.Retry.BACK_OFF.value], tuple(written), example)

    def _reconnectable(self, channels: Sequence[Channel]) -> Iterator[Channel]:
        """Channels that a ticket opens which the client can ask for."""
        for channel in channels:
            takes = any(scheme.credential.source == "ticket" for scheme in channel.schemes)
            if takes and channel.close_codes and _TICKETS in self._document["channels"]:
                yield channel

    def _reconnecting(self, channel: Channel, codes: Sequence[CloseCode]) -> Iterator[Snippet]:
        tickets = [scheme.credential for scheme in channel.schemes if scheme.credential.source == "ticket"]
        in_browsers = min(tickets, key=lambda credential: ("subprotocol", "query", "header").index(credential.place))
        in_apps = min(tickets, key=lambda credential: ("header", "subprotocol", "query").index(credential.place))
        return reconnecting(self._connection(channel), in_browsers, in_apps, _ends(codes))

    def _resolved(self, part: Any) -> Any:
        return resolve(self._document, part)[0]

    def _server(self, id_: str, part: Any) -> Server:
        return Server(
            id=id_,
            url=_url(part),
            protocol=part["protocol"],
            title=part.get("title", ""),
            description=render(part.get("description", "")),
            schemes=self._schemes_of(part.get("security", ())),
        )

    def _schemes_of(self, security: Any) -> tuple[Scheme, ...]:
        ids = [entry["$ref"].rpartition("/")[2] for entry in security if "$ref" in entry]
        return tuple(self._schemes[id_] for id_ in ids if id_ in self._schemes)

    def _channel(self, id_: str, part: Any) -> Channel:
        server = self._server_of(part)
        messages = self._messages(id_, part)
        bare = Channel(
            id=id_,
            address=part["address"],
            title=part.get("title", id_),
            summary=inline(part.get("summary", "")),
            description=render(part.get("description", "")),
            websocket=server["protocol"] in {"ws", "wss"},
            url=_url(server) + part["address"],
            parameters=tuple(_parameter(name, self._resolved(p)) for name, p in part.get("parameters", {}).items()),
            schemes=self._accepted(part, server),
            anonymous=bool(part.get("x-anonymous")),
            operations=(),
            messages=tuple(messages.values()),
            close_codes=tuple(_close_code(code, told) for code, told in part.get("x-close-codes", {}).items()),
            choices=(),
            request=None,
            ready_frame=any(_is(message, wire.READY) for message in messages.values()),
            renews=any(_is(message, wire.RENEW) for message in messages.values()),
        )
        channel = replace(bare, operations=tuple(self._operations(bare, messages)))
        if channel.websocket:
            return replace(channel, choices=tuple(self._choices(channel)))
        body = _first_message(channel) or "{}"
        return replace(channel, request=request(channel.url, body) if id_ == _TICKETS else None)

    def _server_of(self, part: Any) -> Any:
        servers = part.get("servers") or list(self._document["servers"].values())
        return self._resolved(servers[0])

    def _accepted(self, part: Any, server: Any) -> tuple[Scheme, ...]:
        if "x-security" in part:
            return tuple(self._schemes[id_] for id_ in part["x-security"] if id_ in self._schemes)
        return self._schemes_of(server.get("security", ()))

    def _messages(self, anchor: str, channel: Any) -> Messages:
        """Of a channel, with anchors that begin with a word."""
        return {name: self._message(anchor, name, ref) for name, ref in channel.get("messages", {}).items()}

    def _message(self, channel: str, id_: str, part: Any) -> Message:
        found = self._resolved(part)
        anchor = f"message-{channel}.{id_}"
        payload = found.get("payload", {})
        plain = self._resolved(payload)
        return Message(
            id=id_,
            anchor=anchor,
            name=found.get("name", id_),
            title=found.get("title", found.get("name", id_)),
            summary=inline(found.get("summary", "")),
            description=render(found.get("description", ""), 5),
            content_type=found.get("contentType", self._document.get("defaultContentType", "")),
            status=found.get("bindings", {}).get("http", {}).get("statusCode"),
            correlation=self._resolved(found.get("correlationId", {})).get("location", "").rpartition("#/")[2],
            fields=tuple(rows(self._document, payload, anchor)) if payload else (),
            is_closed=isinstance(plain, Mapping) and plain.get("additionalProperties") is False,
            examples=tuple(
                Example(example.get("name", ""), pretty(example["payload"]))
                for example in found.get("examples", ())
                if "payload" in example
            ),
            payload=plain if isinstance(plain, Mapping) else {},
        )

    def _operations(self, channel: Channel, messages: Messages) -> Iterator[Operation]:
        """Its own; the library's are shown once for all."""
        seen: set[str] = set()
        made = (self._operation(channel, id_, messages, seen) for id_ in self._operation_ids(channel))
        yield from (operation for operation in made if not operation.is_the_librarys)

    def _operation_ids(self, channel: Channel) -> Iterator[str]:
        for id_, part in self._document.get("operations", {}).items():
            if part["channel"]["$ref"].rpartition("/")[2] == channel.id:
                yield id_

    def _operation(self, channel: Channel, id_: str, messages: Messages, seen: set[str]) -> Operation:
        part = self._document["operations"][id_]
        schemes = self._schemes_of(part.get("security", ()))
        bare = Operation(
            id=id_,
            title=part.get("title", id_),
            summary=inline(part.get("summary", "")),
            description=render(part.get("description", ""), 4),
            action=part["action"],
            method=part.get("bindings", {}).get("http", {}).get("method", ""),
            messages=(),
            replies=(),
            schemes=() if schemes == channel.schemes else schemes,
        )
        said = tuple(_shown(bare, part.get("messages", ()), messages, seen))
        answered = tuple(_shown(bare, part.get("reply", {}).get("messages", ()), messages, seen))
        return replace(bare, messages=said, replies=answered)

    def _choices(self, channel: Channel) -> Iterator[Choice]:
        connection = self._connection(channel)
        for scheme in channel.schemes:
            yield Choice(scheme, tuple(snippets(connection, scheme.credential)))

    def _connection(self, channel: Channel) -> Connection:
        tickets = self._document["channels"].get(_TICKETS)
        server = self._server_of(tickets) if tickets else None
        path, url = _with_examples(channel)
        return Connection(
            url=url,
            path=path if tickets and self._names_path(tickets) else "",
            tickets=_url(server) + tickets["address"] if server else "",
            origin=_http(channel.url),
            first_message=_first_message(channel),
            ready_frame=channel.ready_frame,
        )

    def _names_path(self, tickets: Any) -> bool:
        """Whether a request for a ticket may say for which path."""
        messages = [self._resolved(message) for message in tickets.get("messages", {}).values()]
        return any("path" in self._resolved(message.get("payload", {})).get("properties", {}) for message in messages)


def _without_close_codes(description: str) -> str:
    """The introduction, but for the table of close codes: the page has its own."""
    return _CLOSE_TABLE.sub("", description)


_CLOSE_TABLE = re.compile(r"^\| *Close code *\|.*(?:\n\|.*)*\n?", re.MULTILINE)


def _ends(codes: Sequence[CloseCode]) -> Ends:
    stop = [close for close in codes if close.retry == wire.Retry.STOP.value]
    renew = [close for close in codes if close.retry == wire.Retry.NEW_TICKET.value]
    return Ends(
        stop=tuple(int(close.code) for close in stop),
        renew=tuple(int(close.code) for close in renew),
        stop_statuses=(*(close.status for close in stop if close.status), 404),
        renew_statuses=tuple(close.status for close in renew if close.status),
    )


def _shown(operation: Operation, references: Any, messages: Messages, seen: set[str]) -> Iterator[Shown]:
    for reference in references:
        message = messages[reference["$ref"].rpartition("/")[2]]
        yield Shown(
            message,
            in_full=message.id not in seen,
            named=message.title != operation.title,
            told=message.summary != operation.summary,
            detailed=message.description != operation.description,
        )
        seen.add(message.id)


def _url(server: Any) -> str:
    return f"{server['protocol']}://{server['host']}{server.get('pathname', '')}"


def _http(url: str) -> str:
    """The origin of the pages of the host that has a socket."""
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"


def _with_examples(channel: Channel) -> tuple[str, str]:
    """Path and address of a channel, with an example or a name for each parameter."""
    values = {p.name: p.examples[0] if p.examples else p.name.upper() for p in channel.parameters}
    path = _PARAMETER.sub(lambda found: values.get(found[1], found[1].upper()), channel.address)
    parts = urlsplit(channel.url)
    return path, f"{parts.scheme}://{parts.netloc}{quote(path)}"


_PARAMETER = re.compile(r"\{([^{}]+)\}")


def _first_message(channel: Channel) -> str:
    """What a client may send, on one line; any text where everything may be sent."""
    received = [operation for operation in channel.operations if operation.from_client]
    for operation in received:
        for shown in operation.messages:
            for example in shown.message.examples:
                return json.dumps(json.loads(example.json), ensure_ascii=False)
    return "hello" if any(not operation.messages for operation in received) else ""


def _is(message: Message, word: str) -> bool:
    """Whether every such message has this `type`."""
    kind = message.payload.get("properties", {}).get("type", {})
    return isinstance(kind, Mapping) and kind.get("const") == word


def _parameter(name: str, part: Any) -> Parameter:
    return Parameter(
        name=name,
        description=render(part.get("description", ""), 5),
        examples=tuple(str(example) for example in part.get("examples", ())),
        values=tuple(str(value) for value in part.get("enum", ())),
        default=str(part.get("default", "")),
    )


def _close_code(code: str, told: Any) -> CloseCode:
    if isinstance(told, str):
        return CloseCode(code, None, inline(told), "")
    return CloseCode(code, told.get("status"), inline(told.get("meaning", "")), told.get("retry", ""))


_TITLES = {
    "ticket_query": "Ticket in the query",
    "ticket_subprotocol": "Ticket in the subprotocol",
    "ticket_header": "Ticket in a header",
    "jwt_header": "JWT in a header",
    "jwt_cookie": "JWT in a cookie",
    "jwt_query": "JWT in the query",
    "session": "Session cookie",
}


def _scheme(id_: str, part: Any) -> Scheme:
    method = part.get("x-scheme", id_)
    credential = _credential(method, part)
    return Scheme(
        id=id_,
        title=part.get("title") or _TITLES.get(method, id_),
        recommended=RECOMMENDED.get(method, ""),
        carried=_carried(credential),
        description=render(part.get("description", ""), 5),
        weakness=inline(WEAKNESSES.get(method, "")),
        credential=credential,
    )


def _credential(method: str, part: Any) -> Credential:
    source: Any = "credential"
    if method.startswith("ticket_"):
        source = "ticket"
    elif method.startswith("jwt_"):
        source = "token"
    elif method == "session":
        source = "session"
    if method == "ticket_subprotocol":
        return Credential(source, "subprotocol", "Sec-WebSocket-Protocol")
    if method == "ticket_header":
        return Credential(source, "header", "Authorization", "Ticket ")
    if part.get("type") == "http":
        return Credential(source, "header", "Authorization", f"{part['scheme'].capitalize()} ")
    return Credential(source, part.get("in", "header"), part.get("name", "Authorization"))


_SENT = {"ticket": "<ticket>", "token": "<access token>", "session": "<session key>", "credential": "<credential>"}


def _carried(credential: Credential) -> str:
    value = _SENT[credential.source]
    return {
        "query": f"?{credential.name}={value}",
        "header": f"{credential.name}: {credential.prefix}{value}",
        "cookie": f"Cookie: {credential.name}={value}",
        "subprotocol": f"Sec-WebSocket-Protocol: {wire.SUBPROTOCOL}, {wire.SUBPROTOCOL_TICKET_PREFIX}{value}",
    }[credential.place]
