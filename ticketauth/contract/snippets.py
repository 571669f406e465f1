"""Code that connects, ready to paste: for a channel, a way to carry a credential, and a language. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from django.utils.safestring import SafeString

from ticketauth.wire import READY, SUBPROTOCOL, SUBPROTOCOL_TICKET_PREFIX

from .highlight import highlight


@dataclass(frozen=True, slots=True)
class Credential:
    """What proves who the client is, and where it goes.

    Attributes:
        source: A ticket is asked for with an access token; the others are at hand.
        place: Of the opening handshake.
        name: Of the parameter, header or cookie.
        prefix: Before the value, in a header.
    """

    source: Literal["ticket", "token", "session", "credential"]
    place: Literal["query", "header", "cookie", "subprotocol"]
    name: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to connect, and what to say first.

    Attributes:
        url: Of the socket, with examples for its parameters.
        path: Of the socket, decoded; empty where a ticket request does not name it.
        tickets: Address of the ticket endpoint; empty where there is none.
        origin: Of the service, for clients that show a cookie and are no browser.
        first_message: A text message; empty where nothing is to be sent.
        ready_frame: Whether the client waits for `ticketauth.ready` before it sends.
    """

    url: str
    path: str
    tickets: str
    origin: str
    first_message: str
    ready_frame: bool


@dataclass(frozen=True, slots=True)
class Snippet:
    language: str
    label: str
    code: str
    note: str = ""

    @property
    def html(self) -> SafeString:
        return highlight(self.code, self.language)


def snippets(connection: Connection, credential: Credential) -> Iterator[Snippet]:
    """One for each language."""
    for language, label, write in _LANGUAGES:
        note = _NEEDS.get(language, "")
        if language == "javascript":
            note = _in_a_browser(credential)
        yield Snippet(language, label, write(connection, credential), note)


_NEEDS = {
    "bash": "Needs curl, jq and websocat. Type a message and press Enter.",
    "python": "Needs the package websockets.",
    "kotlin": "Needs OkHttp, and org.json, which Android has. Not for the main thread. Android's emulator reaches this "
    "machine at 10.0.2.2, and Android blocks http and ws until the app allows cleartext traffic.",
    "swift": "Foundation alone.",
}


def _in_a_browser(credential: Credential) -> str:
    if credential.place == "header":
        return "Node 22 or newer. A browser cannot set headers of a WebSocket: use a ticket there."
    if credential.place == "cookie":
        return "In a page of an allowed origin. The browser sends the cookie by itself."
    return "In any browser, and in Node 22 or newer."


_VARIABLES = {"ticket": "TICKET", "token": "ACCESS_TOKEN", "session": "SESSION_KEY", "credential": "CREDENTIAL"}
_NAMES = {"ticket": "ticket", "token": "accessToken", "session": "sessionKey", "credential": "credential"}
_WORDS = {"ticket": "ticket", "token": "access token", "session": "session key", "credential": "credential"}


def _asks(connection: Connection, credential: Credential) -> bool:
    return credential.source == "ticket" and bool(connection.tickets)


def body_of(connection: Connection) -> str:
    return json.dumps({"path": connection.path} if connection.path else {})


def address_of(connection: Connection, credential: Credential, value: str) -> str:
    """The address, with the credential where it goes there."""
    return f"{connection.url}?{credential.name}={value}" if credential.place == "query" else connection.url


def headers_of(connection: Connection, credential: Credential, value: str) -> list[tuple[str, str]]:
    """The headers that carry the credential."""
    if credential.place == "header":
        return [(credential.name, f"{credential.prefix}{value}")]
    if credential.place == "cookie":
        return [("Cookie", f"{credential.name}={value}"), ("Origin", connection.origin)]
    return []


def offers(value: str) -> list[str]:
    return [SUBPROTOCOL, f"{SUBPROTOCOL_TICKET_PREFIX}{value}"]


# --- curl and websocat


def _bash(connection: Connection, credential: Credential) -> str:
    value = f"${_VARIABLES[credential.source]}"
    # With a space, `-H` takes the address for another header.
    options = [f'-H="{name}: {text}"' for name, text in headers_of(connection, credential, value)]
    if credential.place == "subprotocol":
        options.append(f'--protocol "{", ".join(offers(value))}"')
    address = f'"{address_of(connection, credential, value)}"'
    connect = " \\\n  ".join(["websocat", *options, address]) if options else f"websocat {address}"
    if not _asks(connection, credential):
        return connect
    return f"{_bash_ticket(connection.tickets, body_of(connection))}\n{connect}"


def _bash_ticket(tickets: str, body: str) -> str:
    return _kept("TICKET", tickets, ('-H "Authorization: Bearer $ACCESS_TOKEN"',), body, "ticket_uuid")


def _kept(variable: str, url: str, options: Sequence[str], body: str, member: str) -> str:
    """A member of the answer to a POST, in a variable."""
    sent = f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
    lines = (f"{variable}=$(curl -fsS -X POST {shlex.quote(url)}", *options, sent, f"| jq -r .{member})")
    return " \\\n  ".join(lines)


def request(tickets: str, body: str) -> Snippet:
    """An access token becomes a ticket."""
    return Snippet("bash", "curl", _bash_ticket(tickets, body))


def login(token_url: str, username_field: str) -> Snippet:
    """User name and password become an access token."""
    body = json.dumps({username_field: "<user>", "password": "<password>"})
    return Snippet("bash", "curl", _kept("ACCESS_TOKEN", token_url, (), body, "access"))


# --- JavaScript


def _javascript(connection: Connection, credential: Credential) -> str:
    value = f"${{{_NAMES[credential.source]}}}"
    lines = [*_javascript_credential(connection, credential), *_javascript_socket(connection, credential, value)]
    if connection.first_message and not connection.ready_frame:
        lines.append(f"socket.onopen = () => socket.send({javascript_text(connection.first_message)});")
    lines += [
        "socket.onmessage = ({ data }) => {",
        "  console.log(data);",
        *_javascript_answer(connection),
        "};",
        'socket.onclose = ({ code, reason }) => console.log("closed", code, reason);',
    ]
    return "\n".join(lines)


def javascript_text(text: str) -> str:
    """An expression that gives a text, which may be JSON."""
    return f"JSON.stringify({text})" if text.startswith(("{", "[")) else json.dumps(text, ensure_ascii=False)


def _javascript_credential(connection: Connection, credential: Credential) -> list[str]:
    if credential.place == "cookie":
        return []
    if not _asks(connection, credential):
        return [f'const {_NAMES[credential.source]} = "<{_WORDS[credential.source]}>";', ""]
    return [
        'const accessToken = "<access token>";',
        "",
        f"const answer = await fetch({json.dumps(connection.tickets)}, {{",
        '  method: "POST",',
        '  headers: { Authorization: `Bearer ${accessToken}`, "Content-Type": "application/json" },',
        f"  body: {javascript_text(body_of(connection))},",
        "});",
        "if (!answer.ok) throw new Error(`No ticket: ${answer.status}`);",
        "const { ticket_uuid: ticket } = await answer.json();",
        "",
    ]


def _javascript_socket(connection: Connection, credential: Credential, value: str) -> list[str]:
    url = json.dumps(connection.url)
    if credential.place == "query":
        return [f"const socket = new WebSocket(`{address_of(connection, credential, value)}`);"]
    if credential.place == "subprotocol":
        first, second = offers(value)
        return [f'const socket = new WebSocket({url}, ["{first}", `{second}`]);']
    if credential.place == "cookie":
        return [f"const socket = new WebSocket({url});"]
    [(name, text)] = headers_of(connection, credential, value)
    return [f"const socket = new WebSocket({url}, {{", f'  headers: {{ "{name}": `{text}` }},', "});"]


def _javascript_answer(connection: Connection) -> list[str]:
    if not (connection.first_message and connection.ready_frame):
        return []
    return [
        f'  if (JSON.parse(data).type === "{READY}") {{',
        f"    socket.send({javascript_text(connection.first_message)});",
        "  }",
    ]


# --- Python


def _python(connection: Connection, credential: Credential) -> str:
    asks = _asks(connection, credential)
    modules = ["asyncio", "os", *(["json"] if asks or _waits(connection) else [])]
    imports = [*(f"import {name}" for name in sorted(modules)), *(["import urllib.request"] if asks else [])]
    lines = [*imports, "", "from websockets.asyncio.client import connect", "", ""]
    if asks:
        lines += _python_ticket(connection)
    lines += ["async def main() -> None:", *_python_connect(connection, credential, asks)]
    if connection.first_message and not connection.ready_frame:
        lines.append(f"        await socket.send({connection.first_message!r})")
    lines += ["        async for message in socket:", "            print(message)"]
    if _waits(connection):
        lines.append(f'            if json.loads(message)["type"] == "{READY}":')
        lines.append(f"                await socket.send({connection.first_message!r})")
    return "\n".join([*lines, "", "", "asyncio.run(main())"])


def _waits(connection: Connection) -> bool:
    return bool(connection.first_message) and connection.ready_frame


def _python_ticket(connection: Connection) -> list[str]:
    return [
        "def new_ticket() -> str:",
        "    request = urllib.request.Request(",
        f"        {json.dumps(connection.tickets)},",
        '        method="POST",',
        f"        data=json.dumps({body_of(connection)}).encode(),",
        "        headers={",
        '            "Authorization": f"Bearer {os.environ[\'ACCESS_TOKEN\']}",',
        '            "Content-Type": "application/json",',
        "        },",
        "    )",
        "    with urllib.request.urlopen(request, timeout=10) as answer:",
        '        return json.load(answer)["ticket_uuid"]',
        "",
        "",
    ]


def _python_connect(connection: Connection, credential: Credential, asks: bool) -> list[str]:
    name = "ticket" if credential.source == "ticket" else "credential"
    found = "new_ticket()" if asks else f'os.environ["{_VARIABLES[credential.source]}"]'
    lines = [f"    {name} = {found}"]
    value = f"{{{name}}}"
    if credential.place == "query":
        return [*lines, f'    async with connect(f"{address_of(connection, credential, value)}") as socket:']
    lines += ["    async with connect(", f"        {json.dumps(connection.url)},"]
    if credential.place == "subprotocol":
        first, second = offers(value)
        lines.append(f'        subprotocols=["{first}", f"{second}"],')
    for header, text in headers_of(connection, credential, value):
        if header == "Origin":
            lines.append(f'        origin="{text}",')
        else:
            lines.append(f'        additional_headers={{"{header}": f"{text}"}},')
    return [*lines, "    ) as socket:"]


# --- Kotlin, with OkHttp

_KOTLIN_CLIENT = "val client = OkHttpClient.Builder().pingInterval(20, TimeUnit.SECONDS).build()"


def _kotlin(connection: Connection, credential: Credential) -> str:
    asks = _asks(connection, credential)
    imports = ["java.util.concurrent.TimeUnit", "okhttp3.*"]
    if asks:
        imports += ["okhttp3.MediaType.Companion.toMediaType", "okhttp3.RequestBody.Companion.toRequestBody"]
    if asks or _waits(connection):
        imports.append("org.json.JSONObject")
    source = "token" if asks else credential.source
    lines = [*(f"import {name}" for name in imports), "", _KOTLIN_CLIENT]
    lines += [f'val {_NAMES[source]} = "<{_WORDS[source]}>"', ""]
    if asks:
        lines += _kotlin_ticket(connection)
    return "\n".join([*lines, *_kotlin_listener(connection), "", *_kotlin_main(connection, credential, asks)])


def kotlin_text(text: str) -> str:
    """A raw string; a dollar sign would begin a template, and three quotes end it."""
    dollars, quotes = "${'$'}", "${'\"'}" * 3
    return '"""' + text.replace("$", dollars).replace('"""', quotes) + '"""'


def _kotlin_ticket(connection: Connection) -> list[str]:
    return [
        "fun newTicket(): String {",
        f"    val body = {kotlin_text(body_of(connection))}",
        "    val request = Request.Builder()",
        f'        .url("{connection.tickets}")',
        '        .header("Authorization", "Bearer $accessToken")',
        '        .post(body.toRequestBody("application/json".toMediaType()))',
        "        .build()",
        "    return client.newCall(request).execute().use { response ->",
        '        check(response.isSuccessful) { "No ticket: ${response.code}" }',
        '        JSONObject(response.body!!.string()).getString("ticket_uuid")',
        "    }",
        "}",
        "",
    ]


def _kotlin_listener(connection: Connection) -> list[str]:
    send = f"webSocket.send({kotlin_text(connection.first_message)})"
    lines = ["class Listener : WebSocketListener() {"]
    if connection.first_message and not connection.ready_frame:
        lines += ["    override fun onOpen(webSocket: WebSocket, response: Response) {", f"        {send}", "    }", ""]
    lines += ["    override fun onMessage(webSocket: WebSocket, text: String) {", "        println(text)"]
    if _waits(connection):
        lines += [
            f'        if (JSONObject(text).optString("type") == "{READY}") {{',
            f"            {send}",
            "        }",
        ]
    return [
        *lines,
        "    }",
        "",
        "    override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {",
        '        println("closed $code $reason")',
        "        webSocket.close(1000, null)",
        "    }",
        "",
        "    override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) {",
        "        when (response?.code) {",
        '            null -> println("lost: $t")',
        '            401 -> println("refused: get a new credential, connect again once")',
        '            else -> println("refused: HTTP ${response.code}")',
        "        }",
        "    }",
        "}",
    ]


def _kotlin_main(connection: Connection, credential: Credential, asks: bool) -> list[str]:
    name = _NAMES[credential.source]
    value = f"${name}"
    headers = headers_of(connection, credential, value)
    if credential.place == "subprotocol":
        headers = [("Sec-WebSocket-Protocol", ", ".join(offers(value)))]
    return [
        "fun main() {",
        *([f"    val {name} = newTicket()"] if asks else []),
        "    val request = Request.Builder()",
        f'        .url("{address_of(connection, credential, value)}")',
        *(f'        .header("{header}", "{text}")' for header, text in headers),
        "        .build()",
        "    client.newWebSocket(request, Listener())",
        "}",
    ]


# --- Swift, with URLSession


def _swift(connection: Connection, credential: Credential) -> str:
    asks = _asks(connection, credential)
    source = "token" if asks else credential.source
    lines = ["import Foundation", "", f'let {_NAMES[source]} = "<{_WORDS[source]}>"', ""]
    if asks:
        lines += _swift_ticket(connection)
    lines += _swift_connect(connection, credential)
    if connection.first_message and not connection.ready_frame:
        lines.append(f"try await socket.send(.string({swift_text(connection.first_message)}))")
    return "\n".join([*lines, *_swift_loop(connection)])


def swift_text(text: str) -> str:
    """A raw string, with as many signs around as it has itself, and one more."""
    hashes = "#" * next(number for number in range(1, len(text) + 2) if '"' + "#" * number not in text)
    return f'{hashes}"{text}"{hashes}'


def _swift_ticket(connection: Connection) -> list[str]:
    return [
        "func newTicket() async throws -> String {",
        "    struct Issued: Decodable { let ticket_uuid: String }",
        f'    var request = URLRequest(url: URL(string: "{connection.tickets}")!)',
        '    request.httpMethod = "POST"',
        '    request.setValue("Bearer \\(accessToken)", forHTTPHeaderField: "Authorization")',
        '    request.setValue("application/json", forHTTPHeaderField: "Content-Type")',
        f"    request.httpBody = Data({swift_text(body_of(connection))}.utf8)",
        "    let (data, response) = try await URLSession.shared.data(for: request)",
        "    guard (response as? HTTPURLResponse)?.statusCode == 201 else {",
        "        throw URLError(.userAuthenticationRequired)",
        "    }",
        "    return try JSONDecoder().decode(Issued.self, from: data).ticket_uuid",
        "}",
        "",
        "let ticket = try await newTicket()",
    ]


def _swift_connect(connection: Connection, credential: Credential) -> list[str]:
    value = f"\\({_NAMES[credential.source]})"
    url = f'let url = URL(string: "{address_of(connection, credential, value)}")!'
    if credential.place == "subprotocol":
        first, second = offers(value)
        task = f'let socket = URLSession.shared.webSocketTask(with: url, protocols: ["{first}", "{second}"])'
        return [url, task, "socket.resume()", ""]
    lines = [url, "var request = URLRequest(url: url)"]
    if credential.place == "query":
        return [url, "let socket = URLSession.shared.webSocketTask(with: url)", "socket.resume()", ""]
    if credential.place == "cookie":
        lines.append("request.httpShouldHandleCookies = false")
    for header, text in headers_of(connection, credential, value):
        lines.append(f'request.setValue("{text}", forHTTPHeaderField: "{header}")')
    return [*lines, "let socket = URLSession.shared.webSocketTask(with: request)", "socket.resume()", ""]


def _swift_loop(connection: Connection) -> list[str]:
    answer = []
    if _waits(connection):
        answer = [
            "            let frame = try JSONDecoder().decode(Frame.self, from: Data(text.utf8))",
            f'            if frame.type == "{READY}" {{',
            f"                try await socket.send(.string({swift_text(connection.first_message)}))",
            "            }",
        ]
    return [
        *(["struct Frame: Decodable { let type: String }", ""] if answer else []),
        "do {",
        "    while true {",
        "        switch try await socket.receive() {",
        "        case .string(let text):",
        "            print(text)",
        *answer,
        "        case .data(let data):",
        "            print(data)",
        "        @unknown default:",
        "            break",
        "        }",
        "    }",
        "} catch {",
        '    print("closed", socket.closeCode.rawValue, error)',
        "}",
    ]


_LANGUAGES: tuple[tuple[str, str, Callable[[Connection, Credential], str]], ...] = (
    ("bash", "curl + websocat", _bash),
    ("javascript", "JavaScript", _javascript),
    ("python", "Python", _python),
    ("kotlin", "Kotlin", _kotlin),
    ("swift", "Swift", _swift),
)
