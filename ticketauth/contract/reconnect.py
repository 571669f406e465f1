"""Code that stays connected, as "Retry or stop" in `docs/protocol.md` asks: tickets, back-off, renewal. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from string import Template

from ticketauth.wire import EXPIRING, READY, RENEW, SUBPROTOCOL, Ending

from .snippets import (
    Connection,
    Credential,
    Snippet,
    address_of,
    body_of,
    headers_of,
    javascript_text,
    kotlin_text,
    offers,
    swift_text,
)  # fmt: skip

_CREDENTIAL = Ending.CREDENTIAL.value

STEADY = 5
"""Seconds after which an open socket counts as ready, where no frame says so."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Close codes and HTTP statuses that say how to go on; all others are a lost connection.

    Attributes:
        stop: Codes after which a client does not come again.
        renew: Codes after which it comes again at once, with a new credential.
        stop_statuses: The same, before the upgrade.
        renew_statuses: The same, before the upgrade.
    """

    stop: tuple[int, ...]
    renew: tuple[int, ...]
    stop_statuses: tuple[int, ...]
    renew_statuses: tuple[int, ...]


def reconnecting(connection: Connection, in_browsers: Credential, in_apps: Credential, ends: Ends) -> Iterator[Snippet]:
    """A whole program for each language.

    Args:
        connection: One with a ticket endpoint.
        in_browsers: Carries a ticket where no header can be set.
        in_apps: Carries a ticket where every header can be.
        ends: Of the close codes.
    """
    yield Snippet("javascript", "JavaScript", _javascript(connection, in_browsers, ends), _IN_BROWSERS)
    yield Snippet("python", "Python", _python(connection, in_apps, ends), "Needs the package websockets.")
    yield Snippet("kotlin", "Kotlin", _kotlin(connection, in_apps, ends), _ON_ANDROID)
    yield Snippet("swift", "Swift", _swift(connection, in_apps, ends), "Foundation alone.")


_IN_BROWSERS = (
    "In a module, in any browser, and in Node 22 or newer. Browsers do not show an HTTP status: they see 1006."
)
_ON_ANDROID = "Needs OkHttp, and org.json, which Android has. For a thread of its own."


class _Program(Template):
    """A text whose places are written `§{name}`: no language uses the sign."""

    delimiter = "§"


def _listed(*numbers: int) -> str:
    return ", ".join(str(number) for number in dict.fromkeys(numbers))


def _all(ends: Ends) -> dict[str, str]:
    """For clients that see HTTP statuses."""
    return {
        "stop": _listed(*ends.stop, *ends.stop_statuses),
        "renew": _listed(*ends.renew, *ends.renew_statuses),
    }


def _either(connection: Connection, frame: dict[str, str], time: dict[str, str]) -> dict[str, str]:
    """The places that know whether the socket is ready: by a frame, or by time."""
    return frame if connection.ready_frame else time


# --- JavaScript

_JAVASCRIPT = _Program("""\
// From the table above; every other code is a lost connection.
const STOP = [§{stop}];
const RENEW = [§{renew}];

// Yours: the access token; a refreshed one where the last was refused.
async function accessToken(refresh) {
  return "<access token>";
}

// A new ticket for every attempt.
async function newTicket(refresh = false) {
  const answer = await fetch(§{tickets}, {
    method: "POST",
    headers: { Authorization: `Bearer ${await accessToken(refresh)}`, "Content-Type": "application/json" },
    body: §{body},
  });
  return answer.status === 401 && !refresh ? newTicket(true) : answer;
}

// Seconds that a close frame asks for.
function retryAfter(reason) {
  try {
    return JSON.parse(reason).retry_after ?? 0;
  } catch {
    return 0;
  }
}

§{renewal}// One socket, from its ticket to its end.
async function attempt() {
  const answer = await newTicket();
  if (!answer.ok) {
    // 401 once more: log in. Another status below 500, but for 429: a bug.
    const stop = answer.status < 500 && answer.status !== 429;
    return { code: answer.status, stop, wait: Number(answer.headers.get("Retry-After")) || 0 };
  }
  const { ticket_uuid: ticket } = await answer.json();
  const socket = new WebSocket(§{socket});
  return new Promise((resolve) => {
    §{begin}
    socket.onmessage = ({ data }) => {
      console.log(data);§{hear}
    };
    socket.onclose = ({ code, reason }) => {
      const [stop, again] = [STOP.includes(code), RENEW.includes(code)];
      resolve({ code, stop, again, ready§{ready}, wait: retryAfter(reason) });
    };
  });
}

async function stayConnected() {
  let delay = 1;
  let again = false;
  for (;;) {
    const end = await attempt().catch(() => ({ code: 1006, wait: 0 }));
    console.log("closed", end.code);
    if (end.stop) return end.code;
    if (end.ready) [delay, again] = [1, false];
    if (end.again && !again) {
      again = true;
      continue;
    }
    const seconds = Math.max(end.wait, delay * (0.5 + Math.random() / 2));
    await new Promise((done) => setTimeout(done, seconds * 1000));
    delay = Math.min(2 * delay, 60);
  }
}

console.log("stopped", await stayConnected());""")


_JAVASCRIPT_RENEWAL = f"""\
// The socket lives on. Where that fails, its close says what to do.
async function renew(socket) {{
  const answer = await newTicket(true);
  if (!answer.ok) return;
  const {{ ticket_uuid }} = await answer.json();
  socket.send(JSON.stringify({{ type: "{RENEW}", ticket_uuid }}));
}}

"""


def _javascript(connection: Connection, credential: Credential, ends: Ends) -> str:
    known = _either(
        connection,
        {
            "begin": "let ready = false;",
            "hear": f"\n      const {{ type, reason }} = JSON.parse(data);"
            f'\n      if (type === "{READY}") ready = true;'
            f'\n      if (type === "{EXPIRING}" && reason === "{_CREDENTIAL}") renew(socket).catch(console.log);',
            "ready": "",
            "renewal": _JAVASCRIPT_RENEWAL,
        },
        {
            "renewal": "",
            "begin": "let opened = Infinity;\n    socket.onopen = () => (opened = Date.now());",
            "hear": "",
            "ready": f": Date.now() - opened > {STEADY * 1000}",
        },
    )
    return _JAVASCRIPT.substitute(
        known,
        stop=_listed(*ends.stop),
        renew=_listed(*ends.renew),
        tickets=json.dumps(connection.tickets),
        body=javascript_text(body_of(connection)),
        socket=_javascript_socket(connection, credential),
    )


def _javascript_socket(connection: Connection, credential: Credential) -> str:
    value = "${ticket}"
    if credential.place == "query":
        return f'`{address_of(connection, credential, value)}`, "{SUBPROTOCOL}"'
    url = json.dumps(connection.url)
    if credential.place == "subprotocol":
        first, second = offers(value)
        return f'{url}, ["{first}", `{second}`]'
    [(name, text)] = headers_of(connection, credential, value)
    return f'{url}, {{ protocols: "{SUBPROTOCOL}", headers: {{ "{name}": `{text}` }} }}'


# --- Python

_PYTHON = _Program('''\
import asyncio
import json
import os
import random
§{time}import urllib.error
import urllib.request
§{imports}from dataclasses import dataclass

from websockets.asyncio.client import §{connection}connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

# From the table above, close codes and HTTP statuses; every other is a lost connection.
STOP = {§{stop}}
RENEW = {§{renew}}


@dataclass
class End:
    code: int = 1006
    wait: float = 0
    ready: bool = False
    stop: bool = False
    again: bool = False


def access_token(refresh: bool) -> str:
    """Yours: the access token; a refreshed one where the last was refused."""
    return os.environ["ACCESS_TOKEN"]


def new_ticket(refresh: bool = False) -> str:
    """A new ticket for every attempt."""
    try:
        return request_ticket(access_token(refresh))
    except urllib.error.HTTPError as error:
        if error.code != 401 or refresh:
            raise
    return new_ticket(refresh=True)


def request_ticket(token: str) -> str:
    request = urllib.request.Request(
        §{tickets},
        method="POST",
        data=json.dumps(§{body}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["ticket_uuid"]


def retry_after(text: str) -> float:
    """Seconds that a header or a close frame asks for."""
    try:
        told = json.loads(text)
    except ValueError:
        return 0
    return told.get("retry_after", 0) if isinstance(told, dict) else told


def ended(code: int, reason: str, ready: bool = False) -> End:
    return End(code, retry_after(reason), ready, code in STOP, code in RENEW)


§{renewal}async def attempt() -> End:
    """One socket, from its ticket to its end."""
    §{begin}
    try:
        ticket = await asyncio.to_thread(new_ticket)
        async with connect(§{socket}) as socket:§{opened}
            while True:
                message = await socket.recv()
                print(message)§{hear}
    except ConnectionClosed as error:
        code, reason = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "")
        return ended(code, reason, §{ready})
    except InvalidStatus as error:
        return ended(error.response.status_code, error.response.headers.get("Retry-After", ""))
    except urllib.error.HTTPError as error:
        # 401 once more: log in. Another status below 500, but for 429: a bug.
        stop = error.code < 500 and error.code != 429
        return End(error.code, retry_after(error.headers.get("Retry-After", "")), stop=stop)
    except (OSError, WebSocketException):
        return End()


async def stay_connected() -> int:
    delay, again = 1.0, False
    while True:
        end = await attempt()
        print("closed", end.code)
        if end.stop:
            return end.code
        if end.ready:
            delay, again = 1.0, False
        if end.again and not again:
            again = True
            continue
        await asyncio.sleep(max(end.wait, delay * random.uniform(0.5, 1)))
        delay = min(2 * delay, 60)


print("stopped", asyncio.run(stay_connected()))''')


_PYTHON_RENEWAL = f'''\
async def renew(socket: ClientConnection) -> None:
    """The socket lives on. Where that fails, its close says what to do."""
    with suppress(OSError):
        ticket = await asyncio.to_thread(new_ticket, refresh=True)
        await socket.send(json.dumps({{"type": "{RENEW}", "ticket_uuid": ticket}}))


'''


def _python(connection: Connection, credential: Credential, ends: Ends) -> str:
    known = _either(
        connection,
        {
            "time": "",
            "begin": "ready = False",
            "opened": "",
            "hear": "\n                told = json.loads(message)"
            f'\n                ready = ready or told["type"] == "{READY}"'
            f'\n                if told["type"] == "{EXPIRING}" and told["reason"] == "{_CREDENTIAL}":'
            "\n                    await renew(socket)",
            "ready": "ready",
            "imports": "from contextlib import suppress\n",
            "connection": "ClientConnection, ",
            "renewal": _PYTHON_RENEWAL,
        },
        {
            "imports": "",
            "connection": "",
            "renewal": "",
            "time": "import time\n",
            "begin": 'opened = float("inf")',
            "opened": "\n            opened = time.monotonic()",
            "hear": "",
            "ready": f"time.monotonic() - opened > {STEADY}",
        },
    )
    return _PYTHON.substitute(
        {**known, **_all(ends)},
        tickets=json.dumps(connection.tickets),
        body=body_of(connection),
        socket=_python_socket(connection, credential),
    )


def _python_socket(connection: Connection, credential: Credential) -> str:
    value = "{ticket}"
    offer = f'subprotocols=["{SUBPROTOCOL}"]'
    if credential.place == "query":
        return f'f"{address_of(connection, credential, value)}", {offer}'
    url = json.dumps(connection.url)
    if credential.place == "subprotocol":
        first, second = offers(value)
        return f'{url}, subprotocols=["{first}", f"{second}"]'
    [(name, text)] = headers_of(connection, credential, value)
    return f'{url}, {offer}, additional_headers={{"{name}": f"{text}"}}'


# --- Kotlin, with OkHttp

_KOTLIN = _Program("""\
import java.io.IOException
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
§{imports}import kotlin.random.Random
import okhttp3.*
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.RequestBody.Companion.toRequestBody
import org.json.JSONException
import org.json.JSONObject

// From the table above, close codes and HTTP statuses; every other is a lost connection.
val STOP = setOf(§{stop})
val RENEW = setOf(§{renew})

// The pings notice a dead link.
val client = OkHttpClient.Builder().pingInterval(20, TimeUnit.SECONDS).build()

class End(
    val code: Int,
    val wait: Double = 0.0,
    val ready: Boolean = false,
    val stop: Boolean = code in STOP,
    val again: Boolean = code in RENEW,
)

// Yours: the access token; a refreshed one where the last was refused.
fun accessToken(refresh: Boolean): String = "<access token>"

// A new ticket for every attempt.
fun newTicket(refresh: Boolean = false): Response {
    val answer = requestTicket(accessToken(refresh))
    if (answer.code != 401 || refresh) return answer
    answer.close()
    return newTicket(refresh = true)
}

fun requestTicket(token: String): Response {
    val body = §{body}
    val request = Request.Builder()
        .url("§{tickets}")
        .header("Authorization", "Bearer $token")
        .post(body.toRequestBody("application/json".toMediaType()))
        .build()
    return client.newCall(request).execute()
}

// Seconds that a header or a close frame asks for.
fun retryAfter(response: Response?): Double = response?.header("Retry-After")?.toDoubleOrNull() ?: 0.0

fun retryAfter(reason: String): Double =
    try { JSONObject(reason).optDouble("retry_after", 0.0) } catch (e: JSONException) { 0.0 }

§{renewal}class Listener(private val end: CompletableFuture<End>) : WebSocketListener() {
    §{begin}

    override fun onMessage(webSocket: WebSocket, text: String) {
        println(text)§{hear}
    }

    override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {
        webSocket.close(1000, null)
        end.complete(End(code, retryAfter(reason), ready))
    }

    // With a response where the server refused before the upgrade: 401, and never 4401.
    override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) {
        end.complete(End(response?.code ?: 1006, retryAfter(response), ready))
    }
}

// One socket, from its ticket to its end.
fun attempt(): End {
    val ticket = newTicket().use { answer ->
        if (!answer.isSuccessful) {
            // 401 once more: log in. Another status below 500, but for 429: a bug.
            return End(answer.code, retryAfter(answer), stop = answer.code < 500 && answer.code != 429)
        }
        JSONObject(answer.body!!.string()).getString("ticket_uuid")
    }
    val request = Request.Builder()
        .url("§{socket}")§{headers}
        .build()
    val end = CompletableFuture<End>()
    client.newWebSocket(request, Listener(end))
    return end.get()
}

fun main() {
    var delay = 1.0
    var again = false
    while (true) {
        val end = try { attempt() } catch (e: IOException) { End(1006) }
        println("closed ${end.code}")
        if (end.stop) return
        if (end.ready) {
            delay = 1.0
            again = false
        }
        if (end.again && !again) {
            again = true
            continue
        }
        val seconds = maxOf(end.wait, delay * Random.nextDouble(0.5, 1.0))
        Thread.sleep((seconds * 1000).toLong())
        delay = minOf(2 * delay, 60.0)
    }
}""")


_KOTLIN_RENEWAL = f"""\
// The socket lives on. Where that fails, its close says what to do.
fun renew(socket: WebSocket) {{
    val answer = try {{ newTicket(refresh = true) }} catch (e: IOException) {{ return }}
    answer.use {{
        if (!it.isSuccessful) return
        val ticket = JSONObject(it.body!!.string()).getString("ticket_uuid")
        socket.send(JSONObject().put("type", "{RENEW}").put("ticket_uuid", ticket).toString())
    }}
}}

"""


def _kotlin(connection: Connection, credential: Credential, ends: Ends) -> str:
    known = _either(
        connection,
        {
            "begin": "private var ready = false",
            "hear": "\n        val frame = JSONObject(text)"
            f'\n        if (frame.optString("type") == "{READY}") ready = true'
            f'\n        val near = frame.optString("type") == "{EXPIRING}"'
            f'\n        if (near && frame.optString("reason") == "{_CREDENTIAL}") thread {{ renew(webSocket) }}',
            "imports": "import kotlin.concurrent.thread\n",
            "renewal": _KOTLIN_RENEWAL,
        },
        {
            "imports": "",
            "renewal": "",
            "begin": "private var opened = 0L\n"
            f"    private val ready get() = opened > 0 && System.currentTimeMillis() - opened > {STEADY * 1000}\n\n"
            "    override fun onOpen(webSocket: WebSocket, response: Response) {\n"
            "        opened = System.currentTimeMillis()\n"
            "    }",
            "hear": "",
        },
    )
    return _KOTLIN.substitute(
        {**known, **_all(ends)},
        tickets=connection.tickets,
        body=kotlin_text(body_of(connection)),
        socket=address_of(connection, credential, "$ticket"),
        headers="".join(
            f'\n        .header("{name}", "{text}")' for name, text in _headers(connection, credential, "$ticket")
        ),
    )


def _headers(connection: Connection, credential: Credential, value: str) -> list[tuple[str, str]]:
    """All headers, also that of the subprotocol: without it nobody is told of the end."""
    if credential.place == "subprotocol":
        return [("Sec-WebSocket-Protocol", ", ".join(offers(value)))]
    return [*headers_of(connection, credential, value), ("Sec-WebSocket-Protocol", SUBPROTOCOL)]


# --- Swift, with URLSession

_SWIFT = _Program("""\
import Foundation

// From the table above, close codes and HTTP statuses; every other is a lost connection.
let stopCodes: Set<Int> = [§{stop}]
let renewCodes: Set<Int> = [§{renew}]

struct End {
    var code = 1006
    var wait = 0.0
    var ready = false
    var stop = false
    var again = false
}

// Yours: the access token; a refreshed one where the last was refused.
func accessToken(refresh: Bool) async throws -> String {
    "<access token>"
}

// A new ticket for every attempt.
func newTicket(refresh: Bool = false) async throws -> (Data, HTTPURLResponse) {
    let answer = try await requestTicket(accessToken(refresh: refresh))
    if answer.1.statusCode != 401 || refresh { return answer }
    return try await newTicket(refresh: true)
}

func requestTicket(_ token: String) async throws -> (Data, HTTPURLResponse) {
    var request = URLRequest(url: URL(string: "§{tickets}")!)
    request.httpMethod = "POST"
    request.setValue("Bearer \\(token)", forHTTPHeaderField: "Authorization")
    request.setValue("application/json", forHTTPHeaderField: "Content-Type")
    request.httpBody = Data(§{body}.utf8)
    let (data, response) = try await URLSession.shared.data(for: request)
    return (data, response as! HTTPURLResponse)
}

// Seconds that a header or a close frame asks for.
func retryAfter(_ response: HTTPURLResponse?) -> Double {
    Double(response?.value(forHTTPHeaderField: "Retry-After") ?? "") ?? 0
}

func retryAfter(_ reason: Data?) -> Double {
    struct Reason: Decodable { let retry_after: Double? }
    let told = try? JSONDecoder().decode(Reason.self, from: reason ?? Data())
    return told?.retry_after ?? 0
}

struct Issued: Decodable { let ticket_uuid: String }

§{renewal}// One socket, from its ticket to its end.
func attempt() async throws -> End {§{frame}
    let (data, answer) = try await newTicket()
    let status = answer.statusCode
    guard status == 201 else {
        // 401 once more: log in. Another status below 500, but for 429: a bug.
        return End(code: status, wait: retryAfter(answer), stop: status < 500 && status != 429)
    }
    let ticket = try JSONDecoder().decode(Issued.self, from: data).ticket_uuid
    var request = URLRequest(url: URL(string: "§{socket}")!)§{headers}
    let socket = URLSession.shared.webSocketTask(with: request)
    socket.resume()
    §{begin}
    do {
        while true {
            let message = try await socket.receive()
            guard case .string(let text) = message else { continue }
            print(text)§{hear}
        }
    } catch {
        return ended(socket, ready: §{ready})
    }
}

// Another status than 101 is a refusal before the upgrade.
func ended(_ socket: URLSessionWebSocketTask, ready: Bool) -> End {
    let response = socket.response as? HTTPURLResponse
    let status = response?.statusCode ?? 101
    let code = status == 101 ? socket.closeCode.rawValue : status
    let wait = max(retryAfter(response), retryAfter(socket.closeReason))
    return End(
        code: code, wait: wait, ready: ready,
        stop: stopCodes.contains(code), again: renewCodes.contains(code)
    )
}

var delay = 1.0
var again = false
while true {
    let end = (try? await attempt()) ?? End()
    print("closed", end.code)
    if end.stop { break }
    if end.ready { (delay, again) = (1, false) }
    if end.again && !again {
        again = true
        continue
    }
    let seconds = max(end.wait, delay * Double.random(in: 0.5...1))
    try await Task.sleep(for: .seconds(seconds))
    delay = min(2 * delay, 60)
}""")


_SWIFT_RENEWAL = f"""\
// The socket lives on. Where that fails, its close says what to do.
func renew(_ socket: URLSessionWebSocketTask) async throws {{
    let (data, answer) = try await newTicket(refresh: true)
    guard answer.statusCode == 201 else {{ return }}
    let ticket = try JSONDecoder().decode(Issued.self, from: data).ticket_uuid
    let frame = try JSONEncoder().encode(["type": "{RENEW}", "ticket_uuid": ticket])
    try await socket.send(.string(String(decoding: frame, as: UTF8.self)))
}}

"""


def _swift(connection: Connection, credential: Credential, ends: Ends) -> str:
    known = _either(
        connection,
        {
            "frame": "\n    struct Frame: Decodable { let type: String; let reason: String? }",
            "begin": "var ready = false",
            "hear": "\n            let frame = try? JSONDecoder().decode(Frame.self, from: Data(text.utf8))\n"
            f'            if frame?.type == "{READY}" {{ ready = true }}\n'
            f'            let near = frame?.type == "{EXPIRING}" && frame?.reason == "{_CREDENTIAL}"\n'
            "            if near { try? await renew(socket) }",
            "ready": "ready",
            "renewal": _SWIFT_RENEWAL,
        },
        {
            "renewal": "",
            "frame": "",
            "begin": "let opened = Date()",
            "hear": "",
            "ready": f"Date().timeIntervalSince(opened) > {STEADY}",
        },
    )
    setters = (
        f'\n    request.setValue("{text}", forHTTPHeaderField: "{name}")'
        for name, text in _headers(connection, credential, "\\(ticket)")
    )
    return _SWIFT.substitute(
        {**known, **_all(ends)},
        tickets=connection.tickets,
        body=swift_text(body_of(connection)),
        socket=address_of(connection, credential, "\\(ticket)"),
        headers="".join(setters),
    )
