"""The OpenAPI document says what the service answers: each status with its body and headers, and nothing else."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from jsonschema import Draft202012Validator
from redis import Redis

from tests.conftest import PASSWORD, Service
from tests.served import ROOT, served
from tests.servers import until
from ticketauth import logins, registry, tickets
from ticketauth.models import Login
from ws import events

GOLDEN = Path(__file__).with_name("openapi.json")
COMMAND = f"python -m config.develop spectacular --format openapi-json --file {GOLDEN.relative_to(ROOT)}"
DOCUMENT: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_it_is_the_golden_one_and_drf_spectacular_has_nothing_to_say(tmp_path: Path) -> None:
    made = tmp_path / "openapi.json"
    options = {"file": str(made), "format": "openapi-json", "validate": True, "fail_on_warn": True}
    call_command("spectacular", **options)
    old, new = (path.read_text(encoding="utf-8").splitlines() for path in (GOLDEN, made))
    changes = "\n".join(difflib.unified_diff(old, new, "golden", "made", lineterm=""))
    assert not changes, f"The document has changed. If that is meant: {COMMAND}\n{changes}"


class TestServed:
    def test_as_json(self, service: Service) -> None:
        answer = service.http.get("/api/openapi.json")
        assert answer.json() == DOCUMENT
        assert answer.headers["Content-Type"] == "application/json"

    def test_as_yaml(self, service: Service) -> None:
        assert yaml.safe_load(service.http.get("/api/openapi.yaml").text) == DOCUMENT

    def test_once(self, service: Service) -> None:
        etag = service.http.get("/api/openapi.json").headers["ETag"]
        assert service.http.get("/api/openapi.json", headers={"If-None-Match": etag}).status_code == 304

    @pytest.mark.parametrize("path", ["/api/openapi.json", "/api/openapi.yaml"])
    def test_only_to_those_who_may_read_it(self, service: Service, settings, path: str) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "DOCS_ACCESS": "authenticated"}
        assert service.http.get(path).json()["code"] == "forbidden"

    @pytest.mark.parametrize(("access", "status"), [("authenticated", 200), ("staff", 403)])
    def test_to_the_owner(self, service: Service, owner: User, settings, access: str, status: int) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "DOCS_ACCESS": access}
        assert service.http.get("/api/openapi.json", headers=session_of(owner)).status_code == status


def test_it_links_to_the_page_of_the_websockets() -> None:
    assert DOCUMENT["externalDocs"]["url"] == "/ws/docs/"


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            yield path, operation


def test_every_example_satisfies_its_schema() -> None:
    for _, operation in operations():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (content for body in bodies for content in body.get("content", {}).values()):
            assert content["examples"]
            for example in content["examples"].values():
                validator(content["schema"]).validate(example["value"])


# --- What is answered


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    whole = {**schema, "components": DOCUMENT["components"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def require_documented(path: str, answer: httpx.Response) -> None:
    """Body and headers of an answer are those of its status. No path has more than one method."""
    (operation,) = DOCUMENT["paths"][path].values()
    response = operation["responses"][str(answer.status_code)]
    if content := response.get("content"):
        schema = content[answer.headers["Content-Type"].partition(";")[0]]["schema"]
        validator(schema).validate(answer.text if "text/plain" in content else answer.json())
    else:
        assert answer.content == b""
    for name, told in response.get("headers", {}).items():
        value = answer.headers[name]
        validator(told["schema"]).validate(int(value) if told["schema"]["type"] == "integer" else value)


def session_of(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}


@dataclass
class World:
    """The service, its owner, and what a test may break."""

    service: Service
    owner: User
    settings: Any
    valkey: Redis
    monkeypatch: pytest.MonkeyPatch
    nowhere: str

    @property
    def credentials(self) -> dict[str, str]:
        return {"username": self.owner.username, "password": PASSWORD}

    @property
    def pair(self) -> dict[str, str]:
        return self.service.login(self.owner)

    def change(self, **library: Any) -> None:
        self.settings.TICKETAUTH = {**self.settings.TICKETAUTH, **library}

    def stop_valkey(self) -> None:
        self.change(REDIS_URL=self.nowhere)
        self.settings.CACHES = {"default": {**self.settings.CACHES["default"], "LOCATION": self.nowhere}}
        self.settings.LOGIN_RATE = "10/min"

    def break_code(self, module: Any, name: str) -> None:
        def broken(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError

        self.monkeypatch.setattr(module, name, broken)

    def token(self, body: Any = None, **headers: str) -> httpx.Response:
        return self.service.post("/api/token/", self.credentials if body is None else body, **headers)

    def refresh(self, body: Any = None, **headers: str) -> httpx.Response:
        return self.service.post("/api/token/refresh/", self.pair if body is None else body, **headers)

    def logout(self, body: Any = None, **headers: str) -> httpx.Response:
        return self.service.post("/api/token/logout/", self.pair if body is None else body, **headers)

    def ticket(self, body: Any = None, **headers: str) -> httpx.Response:
        return self.service.post("/api/tickets/", body, self.pair["access"], **headers)

    def list(self, **headers: str) -> httpx.Response:
        return self.service.http.get(SESSIONS, headers={**self.bearer, **headers})

    def end(self, sid: str = "", **headers: str) -> httpx.Response:
        bearer = self.bearer
        sid = sid or Login.objects.latest("created_at").sid
        return self.service.http.delete(f"{SESSIONS}{sid}/", headers={**bearer, **headers})

    def end_all(self, body: Any = None, **headers: str) -> httpx.Response:
        wanted = {"keep_current": True} if body is None else body
        return self.service.post(END_ALL, wanted, self.pair["access"], **headers)

    def open_sockets(self, **headers: str) -> httpx.Response:
        self.socket()
        return self.service.http.get(OPEN, headers={**self.bearer, **headers})

    def close_socket(self, connection_id: str = "", **headers: str) -> httpx.Response:
        bearer, path = self.bearer, f"{OPEN}{connection_id or self.socket()}/"
        return self.service.http.delete(path, headers={**bearer, **headers})

    def socket(self) -> str:
        """The id of a socket that is open and known."""
        self.service.connect(headers=list(self.bearer.items()))
        told = until(lambda: self.service.http.get(OPEN, headers=self.bearer).json())
        return str(told[0]["connection_id"])

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.pair['access']}"}

    def publish(self, **headers: str) -> httpx.Response:
        token = self.service.login(self.editor)["access"]
        return self.service.post(EVENTS, NEWS, token, **headers)

    @property
    def editor(self) -> User:
        """The owner, of the staff."""
        User.objects.filter(pk=self.owner.pk).update(is_staff=True)
        return self.owner

    def raw(self, path: str, content: bytes, media: str = "application/json") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.pair['access']}", "Content-Type": media}
        return self.service.http.post(path, content=content, headers=headers)


Call = Callable[[World], Callable[[Any], httpx.Response]]
"""What is to be called with a pair of tokens that was got before something broke."""


@pytest.fixture
def world(
    service: Service, owner: User, settings, valkey: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> World:
    return World(service, owner, settings, valkey, monkeypatch, f"unix://{tmp_path / 'nobody.sock'}?db=0")


def throttled_login(world: World) -> httpx.Response:
    world.settings.LOGIN_RATE = "1/min"
    world.token()
    return world.token()


def login_without_valkey(world: World) -> httpx.Response:
    world.stop_valkey()
    return world.token()


def too_many_tickets(world: World) -> httpx.Response:
    world.change(RATE_PER_USER="1/min")
    world.ticket()
    return world.ticket()


def ticket_without_valkey(world: World) -> httpx.Response:
    access = world.pair["access"]
    world.stop_valkey()
    return world.service.post("/api/tickets/", token=access)


def without_valkey(method: str, path: str) -> Callable[[World], httpx.Response]:
    def answer(world: World) -> httpx.Response:
        bearer = world.bearer
        world.stop_valkey()
        return world.service.http.request(method, path, headers=bearer)

    return answer


def ready_without_valkey(world: World) -> httpx.Response:
    world.stop_valkey()
    return world.service.http.get("/readyz")


def publish_without_a_layer(world: World) -> httpx.Response:
    layer = world.settings.CHANNEL_LAYERS["default"]
    host = {**layer["CONFIG"]["hosts"][0], "address": world.nowhere}
    world.settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {"hosts": [host]}}}
    return world.publish()


def as_staff(content: bytes, media: str = "application/json") -> Callable[[World], httpx.Response]:
    def answer(world: World) -> httpx.Response:
        _ = world.editor
        return world.raw(EVENTS, content, media)

    return answer


def without_the_table(call: Call) -> Callable[[World], httpx.Response]:
    def answer(world: World) -> httpx.Response:
        pair = world.pair
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE ticketauth_login RENAME TO elsewhere")
        try:
            return call(world)(pair)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE elsewhere RENAME TO ticketauth_login")

    return answer


def with_token(world: World, method: str, path: str) -> Callable[[Any], httpx.Response]:
    return lambda pair: world.service.http.request(
        method, path, headers={"Authorization": f"Bearer {pair['access']}"}, json={"keep_current": True}
    )


def broken(module: Any, name: str, call: Call) -> Callable[[World], httpx.Response]:
    def answer(world: World) -> httpx.Response:
        pair = world.pair
        world.break_code(module, name)
        return call(world)(pair)

    return answer


TOKEN, REFRESH, LOGOUT, TICKETS = "/api/token/", "/api/token/refresh/", "/api/token/logout/", "/api/tickets/"
SESSIONS, END, END_ALL = "/api/sessions/", "/api/sessions/{sid}/", "/api/sessions/revoke-all/"
EVENTS, NEWS = "/api/events/", {"to": "everyone", "type": "news", "data": 1}
OPEN, CLOSE = "/api/connections/", "/api/connections/{connection_id}/"
NO_JSON, TEXT = b"{", "text/plain"

ANSWERS: dict[tuple[str, int, str], Callable[[World], httpx.Response]] = {
    (TOKEN, 200, "a pair"): lambda world: world.token(),
    (TOKEN, 400, "no JSON"): lambda world: world.raw(TOKEN, NO_JSON),
    (TOKEN, 400, "a field is missing"): lambda world: world.token({"username": "owner"}),
    (TOKEN, 400, "no object"): lambda world: world.token([1]),
    (TOKEN, 400, "no such host"): lambda world: world.token(Host="a b"),
    (TOKEN, 401, "a wrong password"): lambda world: world.token({**world.credentials, "password": "wrong"}),
    (TOKEN, 405, "GET"): lambda world: world.service.http.get(TOKEN),
    (TOKEN, 406, "HTML wanted"): lambda world: world.token(Accept="text/html"),
    (TOKEN, 415, "text"): lambda world: world.raw(TOKEN, b"text", TEXT),
    (TOKEN, 429, "too many attempts"): throttled_login,
    (TOKEN, 500, "a fault"): broken(logins, "start", lambda world: lambda _: world.token()),
    (TOKEN, 503, "no Valkey"): login_without_valkey,
    (REFRESH, 200, "the next pair"): lambda world: world.refresh(),
    (REFRESH, 400, "no JSON"): lambda world: world.raw(REFRESH, NO_JSON),
    (REFRESH, 400, "a field is missing"): lambda world: world.refresh({}),
    (REFRESH, 400, "no such host"): lambda world: world.refresh(Host="a b"),
    (REFRESH, 401, "no token"): lambda world: world.refresh({"refresh": "a.b.c"}),
    (REFRESH, 405, "PUT"): lambda world: world.service.http.put(REFRESH),
    (REFRESH, 406, "HTML wanted"): lambda world: world.refresh(Accept="text/html"),
    (REFRESH, 415, "text"): lambda world: world.raw(REFRESH, b"text", TEXT),
    (REFRESH, 500, "a fault"): broken(logins, "rotate", lambda world: world.refresh),
    (REFRESH, 503, "no database"): without_the_table(lambda world: world.refresh),
    (LOGOUT, 204, "over"): lambda world: world.logout(),
    (LOGOUT, 400, "no JSON"): lambda world: world.raw(LOGOUT, NO_JSON),
    (LOGOUT, 400, "a field is missing"): lambda world: world.logout({}),
    (LOGOUT, 400, "no such host"): lambda world: world.logout(Host="a b"),
    (LOGOUT, 401, "no token"): lambda world: world.logout({"refresh": "a.b.c"}),
    (LOGOUT, 405, "DELETE"): lambda world: world.service.http.delete(LOGOUT),
    (LOGOUT, 406, "HTML wanted"): lambda world: world.logout(Accept="text/html"),
    (LOGOUT, 415, "text"): lambda world: world.raw(LOGOUT, b"text", TEXT),
    (LOGOUT, 500, "a fault"): broken(logins, "end", lambda world: world.logout),
    (LOGOUT, 503, "no database"): without_the_table(lambda world: world.logout),
    (SESSIONS, 200, "the logins"): lambda world: world.list(),
    (SESSIONS, 400, "no such host"): lambda world: world.list(Host="a b"),
    (SESSIONS, 401, "nobody"): lambda world: world.service.http.get(SESSIONS),
    (SESSIONS, 405, "POST"): lambda world: world.service.post(SESSIONS),
    (SESSIONS, 406, "HTML wanted"): lambda world: world.list(Accept="text/html"),
    (SESSIONS, 500, "a fault"): broken(logins, "live", lambda world: lambda _: world.list()),
    (SESSIONS, 503, "no database"): without_the_table(lambda world: with_token(world, "GET", SESSIONS)),
    (END, 204, "over"): lambda world: world.end(),
    (END, 400, "no such host"): lambda world: world.end(Host="a b"),
    (END, 401, "nobody"): lambda world: world.service.http.delete(f"{SESSIONS}x/"),
    (END, 403, "no CSRF token"): lambda world: world.service.http.delete(
        f"{SESSIONS}x/", headers=session_of(world.owner)
    ),
    (END, 404, "unknown"): lambda world: world.end("unknown"),
    (END, 405, "GET"): lambda world: world.service.http.get(f"{SESSIONS}x/"),
    (END, 406, "HTML wanted"): lambda world: world.end(Accept="text/html"),
    (END, 500, "a fault"): broken(logins, "end", lambda world: lambda _: world.end()),
    (END, 503, "no database"): without_the_table(lambda world: with_token(world, "DELETE", f"{SESSIONS}x/")),
    (END_ALL, 204, "over"): lambda world: world.end_all(),
    (END_ALL, 400, "no JSON"): lambda world: world.raw(END_ALL, NO_JSON),
    (END_ALL, 400, "a field is missing"): lambda world: world.end_all({}),
    (END_ALL, 400, "no boolean"): lambda world: world.end_all({"keep_current": "true"}),
    (END_ALL, 400, "no such host"): lambda world: world.end_all(Host="a b"),
    (END_ALL, 401, "nobody"): lambda world: world.service.post(END_ALL, {"keep_current": True}),
    (END_ALL, 403, "no CSRF token"): lambda world: world.service.post(END_ALL, {}, **session_of(world.owner)),
    (END_ALL, 405, "GET"): lambda world: world.service.http.get(END_ALL),
    (END_ALL, 406, "HTML wanted"): lambda world: world.end_all(Accept="text/html"),
    (END_ALL, 415, "text"): lambda world: world.raw(END_ALL, b"text", TEXT),
    (END_ALL, 500, "a fault"): broken(logins, "end_all", lambda world: lambda _: world.end_all()),
    (END_ALL, 503, "no database"): without_the_table(lambda world: with_token(world, "POST", END_ALL)),
    (EVENTS, 202, "published"): lambda world: world.publish(),
    (EVENTS, 400, "no JSON"): as_staff(NO_JSON),
    (EVENTS, 400, "a field is missing"): as_staff(b"{}"),
    (EVENTS, 400, "no object"): as_staff(b"[1]"),
    (EVENTS, 400, "no such host"): lambda world: world.publish(Host="a b"),
    (EVENTS, 401, "nobody"): lambda world: world.service.post(EVENTS, NEWS),
    (EVENTS, 403, "no staff"): lambda world: world.service.post(EVENTS, NEWS, world.pair["access"]),
    (EVENTS, 403, "no CSRF token"): lambda world: world.service.post(EVENTS, NEWS, **session_of(world.editor)),
    (EVENTS, 404, "an unknown user"): as_staff(b'{"to": {"user": "0"}, "type": "news", "data": 1}'),
    (EVENTS, 405, "GET"): lambda world: world.service.http.get(EVENTS),
    (EVENTS, 406, "HTML wanted"): lambda world: world.publish(Accept="text/html"),
    (EVENTS, 415, "text"): as_staff(b"text", TEXT),
    (EVENTS, 500, "a fault"): broken(events, "_frame", lambda world: lambda _: world.publish()),
    (EVENTS, 503, "no channel layer"): publish_without_a_layer,
    (OPEN, 200, "the sockets"): lambda world: world.open_sockets(),
    (OPEN, 400, "no such host"): lambda world: world.open_sockets(Host="a b"),
    (OPEN, 401, "nobody"): lambda world: world.service.http.get(OPEN),
    (OPEN, 405, "POST"): lambda world: world.service.post(OPEN),
    (OPEN, 406, "HTML wanted"): lambda world: world.open_sockets(Accept="text/html"),
    (OPEN, 500, "a fault"): broken(registry, "sockets", lambda world: with_token(world, "GET", OPEN)),
    (OPEN, 503, "no Valkey"): without_valkey("GET", OPEN),
    (CLOSE, 204, "about to be closed"): lambda world: world.close_socket(),
    (CLOSE, 400, "no such host"): lambda world: world.close_socket(Host="a b"),
    (CLOSE, 401, "nobody"): lambda world: world.service.http.delete(f"{OPEN}x/"),
    (CLOSE, 403, "no CSRF token"): lambda world: world.service.http.delete(
        f"{OPEN}x/", headers=session_of(world.owner)
    ),
    (CLOSE, 404, "unknown"): lambda world: world.service.http.delete(f"{OPEN}x/", headers=world.bearer),
    (CLOSE, 405, "GET"): lambda world: world.service.http.get(f"{OPEN}x/"),
    (CLOSE, 406, "HTML wanted"): lambda world: world.close_socket(Accept="text/html"),
    (CLOSE, 500, "a fault"): broken(registry, "sockets", lambda world: lambda _: world.close_socket("x")),
    (CLOSE, 503, "no Valkey"): without_valkey("DELETE", f"{OPEN}x/"),
    (TICKETS, 201, "a ticket"): lambda world: world.ticket(),
    (TICKETS, 201, "a ticket for one path"): lambda world: world.ticket({"path": "/ws/echo/"}),
    (TICKETS, 400, "no JSON"): lambda world: world.raw(TICKETS, NO_JSON),
    (TICKETS, 400, "no object"): lambda world: world.ticket([1]),
    (TICKETS, 400, "no such WebSocket"): lambda world: world.ticket({"path": "/ws/nowhere/"}),
    (TICKETS, 400, "an unknown member"): lambda world: world.ticket({"pth": "/ws/echo/"}),
    (TICKETS, 400, "no such host"): lambda world: world.ticket(Host="a b"),
    (TICKETS, 401, "nobody"): lambda world: world.service.post(TICKETS),
    (TICKETS, 401, "a bad token"): lambda world: world.service.post(TICKETS, token="a.b.c"),
    (TICKETS, 403, "no CSRF token"): lambda world: world.service.post(TICKETS, **session_of(world.owner)),
    (TICKETS, 405, "GET"): lambda world: world.service.http.get(TICKETS),
    (TICKETS, 415, "text"): lambda world: world.raw(TICKETS, b"text", TEXT),
    (TICKETS, 429, "too many tickets"): too_many_tickets,
    (TICKETS, 500, "a fault"): broken(tickets, "issue", lambda world: lambda _: world.ticket()),
    (TICKETS, 503, "no Valkey"): ticket_without_valkey,
    ("/healthz", 200, "alive"): lambda world: world.service.http.get("/healthz"),
    ("/healthz", 405, "POST"): lambda world: world.service.post("/healthz"),
    ("/readyz", 200, "ready"): lambda world: world.service.http.get("/readyz"),
    ("/readyz", 405, "POST"): lambda world: world.service.post("/readyz"),
    ("/readyz", 503, "no Valkey"): ready_without_valkey,
}
"""By path, status and why: how to get there."""


@pytest.mark.parametrize("name", ANSWERS, ids=lambda name: f"{name[1]} {name[0]} {name[2]}")
def test_an_answer_is_as_documented(world: World, name: tuple[str, int, str]) -> None:
    path, status, _ = name
    answer = ANSWERS[name](world)
    assert answer.status_code == status, answer.text
    require_documented(path, answer)


def test_every_documented_status_is_among_these_answers() -> None:
    documented = {(path, int(status)) for path, operation in operations() for status in operation["responses"]}
    assert documented == {(path, status) for path, status, _ in ANSWERS}


# --- What schemathesis sends


def schemathesis(port: int, folder: Path, owner: User, *options: str) -> subprocess.CompletedProcess[str]:
    with Service(port) as service:
        bearer = f"Authorization: Bearer {service.login(owner)['access']}"
    program = str(Path(sys.executable).with_name("schemathesis"))
    address = f"http://127.0.0.1:{port}/api/openapi.json"
    good = {
        "SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis_hooks",
        "SERVICE": f"http://127.0.0.1:{port}",
        "OWNER": owner.username,
        "PASSWORD": PASSWORD,
    }
    return subprocess.run(
        [program, "run", address, "--checks", "all", "--header", bearer, "--continue-on-failure", *options],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **good}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_schemathesis_finds_nothing(transactional_db: None, owner: User, tmp_path: Path) -> None:
    """With all its checks, in all its phases. The same requests in every run; with EXAMPLES others in every run."""
    # Of the staff: else nothing would be published.
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    examples = os.environ.get("EXAMPLES", "")
    options = ["--max-examples", examples] if examples else ["--max-examples", "25", "--generation-deterministic"]
    with served(LOGIN_RATE="100000/min", ACCESS_TOKEN_LIFETIME="86400") as running:
        done = schemathesis(running.port, tmp_path, owner, *options)
        faults = [line for line in running.records() if line["level"] in {"ERROR", "CRITICAL"} or "exc_info" in line]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Stateful" in done.stdout
    assert "not applicable" not in done.stdout
    assert "WARNINGS" not in done.stdout, done.stdout
    assert faults == []
