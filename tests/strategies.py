"""What strangers send: handshakes, frames and calls, with good pieces mixed in.

A good piece is a placeholder such as `<ticket>`: a real one is put in when it is sent. So an example is the same in
every run.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.sockets import BINARY, CLOSE, PING, TEXT

PONG = 10

_EXAMPLES = os.environ.get("EXAMPLES", "")


def generated(few: int) -> settings:
    """So many examples, the same in every run; or EXAMPLES, others in every run."""
    return settings(
        max_examples=int(_EXAMPLES or few),
        derandomize=not _EXAMPLES,
        database=None,
        deadline=None,
        print_blob=True,
        # The server and the users stay for all examples.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


Header = tuple[bytes, bytes]


class Request(NamedTuple):
    """An HTTP/1.1 request."""

    method: bytes
    target: bytes
    headers: Sequence[Header]
    body: bytes = b""

    def wire(self, credentials: Mapping[bytes, Callable[[], bytes]]) -> bytes:
        """The bytes to send, with real credentials in the places of their names."""
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers)
        start, body = self.method + b" " + self.target + b" HTTP/1.1\r\n" + lines, self.body
        for name, make in credentials.items():
            if name in start or name in body:
                credential = make()
                start, body = start.replace(name, credential), body.replace(name, credential)
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        return start + length + b"\r\n" + body


def _either(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Each with the same chance, unlike `|`, which gives it to each alternative of an alternative."""
    return st.sampled_from(strategies).flatmap(lambda chosen: chosen)


def _mostly(good: st.SearchStrategy[Any], otherwise: st.SearchStrategy[Any], times: int = 5) -> st.SearchStrategy[Any]:
    return _either(*[good] * times, otherwise)


def _quoted(data: bytes) -> bytes:
    return quote_from_bytes(data, safe="").encode()


_TICKETS = [b"<ticket>", b"<spent>", b"00000000-0000-4000-8000-000000000000"]
_TOKENS = [b"<access>", b"<refresh>", b"<expired>", b"eyJhbGciOiJub25lIn0.e30."]
_CREDENTIALS = [*_TICKETS, *_TOKENS, b"<session>", b"0" * 32]
_ticket, _credential = st.sampled_from(_TICKETS), st.sampled_from(_CREDENTIALS)

# No server lets this through to the application, and it would hide what else is wrong with a request.
_unreadable = _either(
    st.sampled_from([b"\x00", b"\r", b"\n", b"\r\n", b"\x1b[31m", b"\x7f"]), st.binary(min_size=1, max_size=30)
)
_latin = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12)
_readable = _either(
    st.sampled_from([
        b"", b" ", b"\t", b'"', b"'", b"\\", b"<", b"{}", b"null", b"&", b"=", b";", b"+", b"#", b"?", b",", b":",
        b", ,", b"//", b"-1", b"*", b"[::1", b"[fe80::1%25eth0]:80", b"1e999", b"urn:uuid:", b"\xff\xfe", b"\x85",
        b"\xa0", b"\xe2\x80\xa8", b"x" * 9_000, b"a." * 3_000, b"=" * 40_000,
    ]),
    _latin.map(lambda text: text.encode("latin-1")),
)  # fmt: skip
_odd = _mostly(_readable, _unreadable, 30)
_odd_in_a_url = _either(
    st.sampled_from([
        b"", b"%", b"%0", b"%zz", b"%00", b"%0a", b"%0d%0a", b"%1b", b"%ff%fe", b"%ed%a0%80", b"%e2%80%a8", b"%252e",
        b"=", b"..%2f", b";", b"+", b"?", b"//", b"[", b"urn:uuid:", b"x" * 9_000,
    ]),
    st.binary(max_size=12).map(_quoted),
    st.text(max_size=8).map(lambda text: _quoted(text.encode())),
    _mostly(st.just(b"1"), _odd),
)  # fmt: skip


def _spoilt(odd: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(lambda *parts: b"".join(parts), odd, _credential, odd)


def _joined(separator: bytes, parts: st.SearchStrategy[bytes], most: int = 4) -> st.SearchStrategy[bytes]:
    return st.lists(parts, min_size=1, max_size=most).map(separator.join)


def _pair(names: Sequence[bytes], values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(lambda name, value: name + b"=" + value, _mostly(st.sampled_from(names), _odd_in_a_url), values)


_parameter = _pair(
    [b"ticket_uuid", b"ticket_uuid", b"ticket_uuid", b"ticket%5Fuuid", b"TICKET_UUID", b"token", b"next"],
    _either(_ticket, _credential, _odd_in_a_url, _spoilt(_odd_in_a_url)),
)
_query = _mostly(_joined(b"&", _parameter, 3), _either(_odd_in_a_url, st.just(b"a=1&" * 150), st.just(b"a" * 9_000)), 7)
_path = _mostly(
    st.sampled_from([b"/ws/echo/", b"/ws/events/"]),
    _either(
        st.sampled_from([b"/", b"/ws/", b"/ws/echo", b"//ws/echo/", b"/ws/%65cho/", b"/api/tickets/", b"*", b"http://h/ws/"]),
        _odd_in_a_url.map(lambda odd: b"/ws/" + odd),
    ),
    9,
)  # fmt: skip
_asked = st.builds(lambda path, query: path + b"?" + query, _path, _query)
_target = _either(st.just(b"/ws/echo/?ticket_uuid=<ticket>"), _path, _asked, _asked, _asked)


def _named(name: bytes, values: st.SearchStrategy[bytes]) -> st.SearchStrategy[Header]:
    return values.map(lambda value: (name, value))


_authorization = st.builds(
    lambda kind, value: kind + value,
    st.sampled_from([b"Ticket ", b"Bearer ", b"bearer  ", b"TICKET ", b"Basic ", b"Negotiate,", b""]),
    _either(_ticket, _credential, _odd, _spoilt(_odd)),
)
_origin = _mostly(
    st.sampled_from([b"https://good.example", b"https://sockets.example", b"capacitor://localhost"]),
    _either(st.sampled_from([b"https://evil.example", b"null", b"http://[", b"https://good.example:99999999"]), _odd),
)
_subprotocols = _joined(
    b", ",
    _mostly(
        st.sampled_from([b"ticketauth.v1", b"ticketauth.ticket.<ticket>", b"ticketauth.ticket.<spent>", b"chat"]),
        _either(_odd, st.just(b"ticketauth.ticket."), _credential.map(b"ticketauth.ticket.".__add__)),
    ),
)
_cookies = _joined(
    b"; ",
    _pair(
        [b"sessionid", b"access_token", b"csrftoken"],
        _either(_credential, _odd, _spoilt(_odd), _credential.map(lambda value: b'"' + value + b'"')),
    ),
)
_addresses = _joined(b", ", _either(st.sampled_from([b"9.9.9.9", b"2001:db8::1", b"127.0.0.1", b"9.9.9.9:80"]), _odd))
_name = st.text("abcABC-_0123456789", max_size=12).map(lambda name: b"X-" + name.encode())
_any_header = _either(
    _named(b"Origin", _origin),
    _named(b"Authorization", _authorization),
    _named(b"Cookie", _cookies),
    _named(b"X-Forwarded-For", _addresses),
    _named(b"X-Forwarded-Proto", _odd),
    _named(b"User-Agent", _odd),
    st.tuples(_name, _odd),
)
_upgrade_header = _mostly(
    _mostly(_any_header, _named(b"Sec-WebSocket-Protocol", _subprotocols), 2),
    _named(b"Sec-WebSocket-Extensions", _joined(b"; ", _either(st.just(b"permessage-deflate"), _odd))),
    15,
)
UPGRADE = [(b"Host", b"sockets.example"), (b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]
KEYS = [(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="), (b"Sec-WebSocket-Version", b"13")]
_keys = _mostly(
    st.just(KEYS),
    st.lists(_either(_named(b"Sec-WebSocket-Key", _odd), _named(b"Sec-WebSocket-Version", _odd)), max_size=3),
    20,
)

handshakes: st.SearchStrategy[Request] = st.builds(
    lambda target, keys, headers: Request(b"GET", target, [*UPGRADE, *keys, *headers]),
    _target,
    _keys,
    st.lists(_upgrade_header, max_size=3),
)
"""Opening handshakes (RFC 6455 4.1), more or less."""

_MEMBERS = ["username", "password", "refresh", "path", "ticket_uuid", "", "constructor", "__class__", "a\x00"]
_scalar = st.one_of(
    st.sampled_from(["owner", "/ws/echo/", "<password>", "<refresh>", "<access>", "\ud800", "\x00", "x" * 9_000]),
    st.text(max_size=20),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
)
_json = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_MEMBERS), inner, max_size=4)
)
_odd_body = st.one_of(
    _json.map(lambda value: json.dumps(value).encode()),
    _json.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"", b"[" * 50_000, b"9" * 5_000, b"NaN", b"\xef\xbb\xbf{}", b"username=owner", b'{"path":1,"path":""}']
    ),
    st.binary(max_size=60),
)


def _body(**members: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """JSON with the members that a path asks for, mostly."""
    good = st.fixed_dictionaries({name: _mostly(values, _json, 3) for name, values in members.items()})
    return _mostly(good.map(lambda value: json.dumps(value).encode()), _odd_body, 3)


_refresh = _body(refresh=st.sampled_from(["<refresh>", "<refresh>", "<access>"]))
_BODIES = {
    b"/api/token/": _body(username=st.just("owner"), password=st.sampled_from(["<password>", "<password>", "wrong"])),
    b"/api/token/refresh/": _refresh,
    b"/api/token/logout/": _refresh,
    b"/api/tickets/": _body(path=st.sampled_from(["/ws/echo/", "/ws/events/"])) | st.just(b""),
}
_json_media = _named(b"Content-Type", st.just(b"application/json"))
_odd_media = _odd | st.sampled_from(
    [
        b"application/json; charset=utf-16",
        b"application/json; charset=\xff",
        b"application/json;" * 100,
        b"application/x-www-form-urlencoded",
        b"multipart/form-data",
        b"text/plain",
        b"*/*",
    ]
)
_proof = _named(b"Authorization", st.just(b"Bearer <access>")) | _named(b"Cookie", st.just(b"sessionid=<session>"))
_call_header = _any_header | st.one_of(
    _named(b"Accept", _odd_media),
    _named(b"X-CSRFToken", _odd),
    _named(b"X-HTTP-Method-Override", st.just(b"DELETE")),
)
_CALL = [(b"Host", b"sockets.example"), (b"Connection", b"close")]


def _call(path: bytes) -> st.SearchStrategy[Request]:
    return st.builds(
        lambda media, headers, body: Request(b"POST", path, [*_CALL, *media, *headers], body),
        st.lists(_mostly(_json_media, _named(b"Content-Type", _odd_media)), min_size=1, max_size=1),
        _mostly(st.lists(_proof, max_size=1), st.lists(_call_header, max_size=3), 2),
        _BODIES[path],
    )


calls: st.SearchStrategy[Request] = st.sampled_from(list(_BODIES)).flatmap(_call)
"""Calls of the HTTP API."""


class Sent(NamedTuple):
    """What goes over an open socket, and the codes that the server may close it with."""

    wire: bytes
    closes: frozenset[int]


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """A frame (RFC 6455 5.2), good or bad."""
    return head(opcode, len(payload), fin=fin, rsv=rsv, masked=masked) + (
        b"mask" + bytes(byte ^ b"mask"[index % 4] for index, byte in enumerate(payload)) if masked else payload
    )


def head(opcode: int, length: int, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """What a frame begins with: all before the mask."""
    first, mask = fin << 7 | rsv << 4 | opcode, masked << 7
    if length < 126:
        return bytes([first, mask | length])
    if length < 65536:
        return bytes([first, mask | 126]) + struct.pack("!H", length)
    return bytes([first, mask | 127]) + struct.pack("!Q", length)


def _is_no_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False


def _closed(code: int, wire: st.SearchStrategy[bytes]) -> st.SearchStrategy[Sent]:
    return wire.map(lambda sent: Sent(sent, frozenset({code})))


_data = st.binary(max_size=40)
_no_utf8 = _data.filter(_is_no_utf8)
_kind = st.sampled_from([TEXT, BINARY])
_control = st.sampled_from([CLOSE, PING, PONG])
_good_code = st.sampled_from([1000, 1001, 1003, 1011, 3000, 4999])
_bad_code = st.sampled_from([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])


def _closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


_protocol_errors = st.one_of(
    st.builds(lambda opcode, data: frame(opcode, data, masked=False), _kind | _control, _data),
    st.sampled_from([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]).map(frame),
    st.builds(lambda opcode, rsv: frame(opcode, rsv=rsv), _kind, st.integers(1, 7)),
    _control.map(lambda opcode: frame(opcode, fin=False)),
    st.builds(lambda opcode, size: frame(opcode, b"x" * size), _control, st.integers(126, 300)),
    _data.map(lambda data: frame(0, data)),
    _kind.map(lambda opcode: frame(opcode, b"x", fin=False) + frame(opcode, b"y")),
    st.binary(min_size=1, max_size=1).map(lambda half: frame(CLOSE, half)),
    _bad_code.map(_closing),
)
_texts_that_are_none = st.one_of(
    _no_utf8.map(lambda data: frame(TEXT, data)),
    st.builds(lambda text, data: frame(TEXT, text.encode(), fin=False) + frame(0, data), st.text(max_size=9), _no_utf8),
    _no_utf8.map(lambda reason: _closing(1000, reason)),
)
_too_big = st.one_of(
    st.builds(head, _kind, st.integers(65537, 2**63 - 1)),
    st.integers(32769, 65536).map(lambda size: frame(BINARY, b"x" * size, fin=False) + frame(0, b"x" * size)),
)
last_frames: st.SearchStrategy[Sent] = st.one_of(
    _closed(1002, _protocol_errors),
    _closed(1007, _texts_that_are_none),
    _closed(1009, _too_big),
    # A length with the highest bit set is both.
    st.integers(2**63, 2**64 - 1).map(lambda size: Sent(head(BINARY, size), frozenset({1002, 1009}))),
    _good_code.map(lambda code: Sent(_closing(code), frozenset({code}))),
)
"""What no client may send (RFC 6455 5.1 to 5.5, 7.4), and how good ones end."""

messages: st.SearchStrategy[list[tuple[int, bytes]]] = st.lists(
    st.tuples(st.just(TEXT), st.text(max_size=40).map(str.encode)) | st.tuples(st.just(BINARY), _data), max_size=3
)
"""Opcode and payload of messages, good ones."""
