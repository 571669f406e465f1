"""Each start is a process of its own: settings are read once."""

import json

import pytest

SHOW = """
import json, sys
from config import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}))
"""


@pytest.fixture
def settings(python, production):
    """Some settings, as an environment makes them."""

    def read(*names, **values):
        ended = python("-c", SHOW, *names, environment=production | values)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return read


@pytest.fixture
def refusal(python, production):
    """What is said instead of a start."""

    def read(**values):
        ended = python("manage.py", "check", environment=production | values)
        assert ended.returncode == 1, ended.stdout
        return ended.stderr

    return read


def test_production_starts_with_what_it_needs(python, production):
    assert python("manage.py", "check", environment=production).returncode == 0


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY"])
@pytest.mark.parametrize(
    "key", ["", "short", "x" * 64, "django-insecure-0123456789abcdefghijklmnop"], ids=["none", "short", "same", "dev"]
)
def test_a_weak_key_is_refused_in_one_line(refusal, name, key):
    text = refusal(**{name: key})
    assert text.startswith(f"{name} ")
    assert 'python3 -c "import secrets;' in text
    assert text.count("\n") == 1


def test_one_key_for_two_purposes_is_refused(refusal, production):
    assert refusal(JWT_SIGNING_KEY=production["SECRET_KEY"]).startswith("JWT_SIGNING_KEY is the same as SECRET_KEY;")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"DEBUG": "perhaps"}, "DEBUG is 'perhaps'; expected 1 or 0."),
        ({"PUBLIC_URL": "", "ALLOWED_ORIGINS": "https://a.example"}, "ALLOWED_HOSTS is not set, nor is PUBLIC_URL;"),
        ({"PUBLIC_URL": "", "ALLOWED_HOSTS": "a.example"}, "Neither PUBLIC_URL nor ALLOWED_ORIGINS is set;"),
        ({"PUBLIC_URL": "tickets.example.com"}, "PUBLIC_URL: 'tickets.example.com' is not an origin;"),
        ({"PUBLIC_URL": "ftp://tickets.example.com"}, "PUBLIC_URL is 'ftp://tickets.example.com';"),
        ({"ALLOWED_ORIGINS": "*"}, "ALLOWED_ORIGINS: '*' is not an origin;"),
        ({"ALLOWED_ORIGINS": "null"}, "ALLOWED_ORIGINS: 'null' is not an origin;"),
        ({"TRUSTED_PROXIES": "proxy"}, "TRUSTED_PROXIES: 'proxy'"),
        ({"LOGIN_RATE": "often"}, "LOGIN_RATE is 'often';"),
        ({"REDIS_URL": ""}, "REDIS_URL is not set;"),
        ({"REDIS_URL": "http://redis"}, "REDIS_URL: "),
        ({"REDIS_URL": "redis+cluster://a:7000"}, "CACHE_URL is not set, or names a Redis Cluster;"),
        (
            {"REDIS_URL": "redis+cluster://a:7000", "CACHE_URL": "redis://b"},
            "CHANNEL_REDIS_URL is not set, or names a Redis Cluster;",
        ),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set;"),
        ({"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM is 'none';"),
        ({"JWT_ALGORITHM": "RS256"}, "JWT_SIGNING_KEY is not PEM;"),
        ({"ACCESS_TOKEN_LIFETIME": "0"}, "ACCESS_TOKEN_LIFETIME is '0';"),
        ({"TICKET_TTL": "30s"}, "TICKET_TTL is '30s'; expected a whole number"),
        ({"FENCE": "maybe"}, "FENCE is 'maybe'; expected one of on, off."),
        ({"GUEST_TICKETS": "some"}, "GUEST_TICKETS is 'some'; expected 1 or 0."),
        ({"LOG_LEVEL": "info"}, "LOG_LEVEL is 'info';"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT is 'xml';"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(refusal, values, sentence):
    text = refusal(**values)
    assert sentence in text
    assert text.count("\n") == 1


def test_a_cluster_keeps_the_tickets_beside_a_cache_and_a_channel_layer(settings):
    made = settings(
        "TICKETAUTH", REDIS_URL="redis+cluster://a:7000", CACHE_URL="redis://b", CHANNEL_REDIS_URL="redis://c"
    )
    assert made["TICKETAUTH"]["REDIS_URL"] == "redis+cluster://a:7000"


def test_the_public_address_names_the_host_and_makes_cookies_secure(settings):
    made = settings("ALLOWED_HOSTS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "CSRF_TRUSTED_ORIGINS")
    assert made == {
        "ALLOWED_HOSTS": ["tickets.example.com", "127.0.0.1"],
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "CSRF_TRUSTED_ORIGINS": ["https://tickets.example.com"],
    }


def test_one_list_of_origins_feeds_sockets_cors_and_csrf(settings, python, production):
    origins = ["https://app.example.com", "capacitor://localhost"]
    values = {"ALLOWED_ORIGINS": ",".join(origins)}
    made = settings("TICKETAUTH", "CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS", **values)
    assert made["TICKETAUTH"]["ALLOWED_ORIGINS"] == origins
    assert made["CORS_ALLOWED_ORIGINS"] == origins
    assert made["CSRF_TRUSTED_ORIGINS"][:2] == origins
    assert python("manage.py", "check", environment=production | values).returncode == 0


def test_the_librarys_keys_are_passed_on_by_their_types(settings):
    made = settings("TICKETAUTH", TICKET_TTL="20", GUEST_TICKETS="1", REDIS_DEADLINE="2", FENCE="off", JWT_COOKIE="jwt")
    assert {
        "TICKET_TTL": 20,
        "GUEST_TICKETS": True,
        "REDIS_DEADLINE": 2.0,
        "FENCE": "off",
        "JWT_COOKIE": "jwt",
    }.items() <= (made["TICKETAUTH"].items())


def test_what_is_not_set_is_left_to_the_library(settings):
    assert "TICKET_TTL" not in settings("TICKETAUTH")["TICKETAUTH"]


def test_secrets_come_from_files(settings, tmp_path, production):
    file = tmp_path / "key"
    file.write_text(production["SECRET_KEY"] + "\n")
    made = settings("SECRET_KEY", SECRET_KEY="", SECRET_KEY_FILE=str(file))
    assert made["SECRET_KEY"] == production["SECRET_KEY"]


def test_development_allows_its_own_port_and_no_other(settings):
    made = settings("ALLOWED_ORIGINS", DEBUG="1", PORT="9000")
    assert made["ALLOWED_ORIGINS"] == ["http://127.0.0.1:9000", "http://localhost:9000"]


def test_development_needs_nothing(python, bare_environment):
    assert python("manage.py", "check", environment=bare_environment | {"DEBUG": "1"}).returncode == 0


def test_without_debug_no_origin_is_given_away(settings):
    assert settings("ALLOWED_ORIGINS")["ALLOWED_ORIGINS"] == []


@pytest.mark.parametrize(
    ("values", "seconds"), [({}, 5), ({"DEBUG": "1"}, 0), ({"DEBUG": "1", "DRAIN_SECONDS": "2.5"}, 2.5)]
)
def test_developers_wait_for_no_socket_unless_they_say_so(settings, values, seconds):
    assert settings("DRAIN_SECONDS", **values) == {"DRAIN_SECONDS": seconds}
