"""The service's settings, all of them from the environment.

Without `DEBUG=1` nothing that protects has a default: what is missing or weak ends the start with a sentence.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from ticketauth import __version__
from ticketauth.address import networks
from ticketauth.exceptions import Misconfigured
from ticketauth.limits import Rate
from ticketauth.origin import OriginPolicy, origin_of

from . import addresses, identity_providers, keys, library, logs
from .env import Env

env = Env(os.environ)
BASE_DIR = Path(__file__).resolve().parent.parent

DEVELOPMENT = env.flag("DEBUG", False)
# Also in development: Django's yellow pages would stand in for the service's own errors, and show more than a
# phone on the same network should see.
DEBUG = False

# --- Keys

SECRET_KEY = env.secret("SECRET_KEY")
JWT_SIGNING_KEY = env.secret("JWT_SIGNING_KEY")
JWT_VERIFYING_KEY = env.secret("JWT_VERIFYING_KEY")
JWT_ALGORITHM = env.choice("JWT_ALGORITHM", "HS256", ("HS256", "RS256", "ES256"))

if DEVELOPMENT:
    SECRET_KEY = SECRET_KEY or keys.new()
    JWT_SIGNING_KEY = JWT_SIGNING_KEY or keys.new()
else:
    keys.strong("SECRET_KEY", SECRET_KEY)

if JWT_ALGORITHM != "HS256":
    keys.pem("JWT_SIGNING_KEY", JWT_SIGNING_KEY, "PRIVATE")
    keys.pem("JWT_VERIFYING_KEY", JWT_VERIFYING_KEY, "PUBLIC")
elif not DEVELOPMENT:
    keys.strong("JWT_SIGNING_KEY", JWT_SIGNING_KEY)
    if JWT_SIGNING_KEY == SECRET_KEY:
        raise ImproperlyConfigured(f"JWT_SIGNING_KEY is the same as SECRET_KEY; expected another. {keys.HOW_TO}")

# --- Where the service is, and who may call it

PUBLIC_URL = env.text("PUBLIC_URL")
_port = env.whole("PORT", 8000, least=1, most=65535)
_at_home = [f"http://127.0.0.1:{_port}", f"http://localhost:{_port}"] if DEVELOPMENT else []
ALLOWED_ORIGINS = env.items("ALLOWED_ORIGINS", _at_home)
TRUSTED_PROXIES = env.items("TRUSTED_PROXIES")
LOGIN_RATE = env.text("LOGIN_RATE", "10/min")

try:
    OriginPolicy.of(ALLOWED_ORIGINS)
    networks("TRUSTED_PROXIES", TRUSTED_PROXIES)
    Rate.parse("LOGIN_RATE", LOGIN_RATE)
except Misconfigured as error:
    raise ImproperlyConfigured(str(error)) from None

try:
    _public_origins = [origin_of(PUBLIC_URL)] if PUBLIC_URL else []
except Misconfigured as error:
    raise ImproperlyConfigured(f"PUBLIC_URL: {error}") from None

_public = urlsplit(PUBLIC_URL)
if PUBLIC_URL and _public.scheme not in {"http", "https"}:
    raise ImproperlyConfigured(f"PUBLIC_URL is {PUBLIC_URL!r}; expected one like https://tickets.example.com.")

_own_names = [_public.hostname] if _public.hostname else []
if DEVELOPMENT:
    _own_names += ["localhost", "[::1]"]
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", _own_names)
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "ALLOWED_HOSTS is not set, nor is PUBLIC_URL; expected the names that clients call the service by, "
        "such as tickets.example.com."
    )
if not PUBLIC_URL and not ALLOWED_ORIGINS:
    raise ImproperlyConfigured(
        "Neither PUBLIC_URL nor ALLOWED_ORIGINS is set; expected the service's own address or those of its pages, "
        "such as https://tickets.example.com."
    )
# A container's health check asks there.
ALLOWED_HOSTS.append("127.0.0.1")

CORS_ALLOWED_ORIGINS = ALLOWED_ORIGINS
CORS_ALLOW_CREDENTIALS = True
CORS_EXPOSE_HEADERS = ["Retry-After", "WWW-Authenticate"]
CORS_URLS_REGEX = r"^/api/"
CSRF_TRUSTED_ORIGINS = [*ALLOWED_ORIGINS, *_public_origins]

_https = _public.scheme == "https"
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = env.choice("COOKIE_SAMESITE", "Lax", ("Lax", "Strict", "None"))
if _https:
    # The proxy in front, which holds the certificate, says so; who forges it deceives only their own request.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Zero: the proxy in front, which holds the certificate, sends the header.
SECURE_HSTS_SECONDS = env.whole("HSTS_SECONDS", 0)
SECURE_CONTENT_TYPE_NOSNIFF = True
# Not `no-referrer`: with that, browsers send `Origin: null` with the admin's own forms, and CSRF refuses them.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "api.errors.csrf_failure"
LOGIN_URL = LOGOUT_REDIRECT_URL = "/login/"
LOGIN_REDIRECT_URL = "/ws/docs/"

# --- Servers

KEY_PREFIX = env.text("KEY_PREFIX", "ticketauth")
REDIS_URL = env.secret("REDIS_URL", "redis://127.0.0.1:6379/0" if DEVELOPMENT else "")
if not REDIS_URL:
    raise ImproperlyConfigured("REDIS_URL is not set; expected an address such as redis://host:6379/0.")
_tickets = addresses.redis_server("REDIS_URL", REDIS_URL)
CACHE_URL = env.secret("CACHE_URL", REDIS_URL)
CHANNEL_REDIS_URL = env.secret("CHANNEL_REDIS_URL", REDIS_URL)

CACHES = {
    "default": addresses.cache(CACHE_URL, addresses.not_a_cluster("CACHE_URL", CACHE_URL), f"{KEY_PREFIX}-cache"),
}
CHANNEL_LAYERS = {
    "default": addresses.channel_layer(
        CHANNEL_REDIS_URL,
        addresses.not_a_cluster("CHANNEL_REDIS_URL", CHANNEL_REDIS_URL),
        f"{KEY_PREFIX}-channels",
    ),
}

DATABASE_URL = env.secret("DATABASE_URL", f"sqlite:///{BASE_DIR / '.local' / 'db.sqlite3'}" if DEVELOPMENT else "")
if not DATABASE_URL:
    raise ImproperlyConfigured(
        "DATABASE_URL is not set; expected an address such as postgres://user:password@host:5432/name."
    )
DATABASES = {
    "default": addresses.database(
        DATABASE_URL,
        password=env.secret("DATABASE_PASSWORD"),
        statement_seconds=env.number("DATABASE_STATEMENT_TIMEOUT", 5.0),
        pool_size=env.whole("DATABASE_POOL_SIZE", 10, least=1),
    ),
}

# --- The library

_OWN_RULES = {
    *("REDIS_URL", "ALLOWED_ORIGINS", "PUBLIC_URLS", "TRUSTED_PROXIES", "SCHEMES", "ISSUERS", "KEY_PREFIX"),
    *("TRY_IT_OUT", "TOKEN_URL", "OPENAPI_URL", "ASYNCAPI_INFO"),
}
TICKETAUTH = {
    **library.from_environment(env, without=_OWN_RULES),
    "REDIS_URL": REDIS_URL,
    "KEY_PREFIX": KEY_PREFIX,
    "ALLOWED_ORIGINS": ALLOWED_ORIGINS,
    "PUBLIC_URLS": [PUBLIC_URL] if PUBLIC_URL else [],
    "TRUSTED_PROXIES": TRUSTED_PROXIES,
    "ISSUERS": identity_providers.issuers(env),
    "ASYNCAPI_INFO": {
        "title": "ticketauth",
        "version": __version__,
        "license": {"name": "BSD-3-Clause", "url": "https://opensource.org/license/bsd-3-clause"},
    },
    "TRY_IT_OUT": env.flag("TRY_IT_OUT", DEVELOPMENT),
    "TOKEN_URL": "/api/token/",
    "OPENAPI_URL": "/api/openapi.json",
    "SCHEMES": [
        "ticketauth.schemes.ticket.TicketQuery",
        "ticketauth.schemes.ticket.TicketSubprotocol",
        "ticketauth.schemes.ticket.TicketHeader",
        "ticketauth.schemes.jwt.JWTHeader",
        "ticketauth.schemes.jwt.JWTCookie",
        "ticketauth.schemes.jwt.JWTQuery",
        "ticketauth.schemes.session.Session",
    ],
}

SIMPLE_JWT = {
    "ALGORITHM": JWT_ALGORITHM,
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "VERIFYING_KEY": JWT_VERIFYING_KEY,
    "ISSUER": env.text("JWT_ISSUER") or None,
    "AUDIENCE": env.text("JWT_AUDIENCE") or None,
    "ACCESS_TOKEN_LIFETIME": timedelta(seconds=env.whole("ACCESS_TOKEN_LIFETIME", 300, least=1)),
    "REFRESH_TOKEN_LIFETIME": timedelta(seconds=env.whole("REFRESH_TOKEN_LIFETIME", 86400, least=1)),
}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["ticketauth.parsers.JSONParser"],
    # Each view says who may call it; one that forgets to lets nobody in.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "EXCEPTION_HANDLER": "ticketauth.problems.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "ticketauth",
    "DESCRIPTION": "A password becomes a token, the token becomes a single-use ticket, the ticket opens a WebSocket.",
    "VERSION": __version__,
    "LICENSE": {"name": "BSD-3-Clause", "url": "https://opensource.org/license/bsd-3-clause"},
    "EXTERNAL_DOCS": {"url": "/ws/docs/", "description": "The WebSockets that a ticket opens (AsyncAPI)"},
    "TAGS": [
        {"name": "token", "description": "A login: its tokens, and its end."},
        {"name": "sessions", "description": "One's own logins."},
        {"name": "connections", "description": "One's own open sockets."},
        {"name": "tickets", "description": "What opens a WebSocket, once."},
        {"name": "events", "description": "Messages to those who are connected."},
        {"name": "health", "description": "For orchestrators and load balancers."},
    ],
    "POSTPROCESSING_HOOKS": ["api.openapi.complete"],
    "ENFORCE_NON_BLANK_FIELDS": True,
}

# --- The server

# Developers wait for nothing.
DRAIN_SECONDS = env.number("DRAIN_SECONDS", 0 if DEVELOPMENT else 5)
PING_INTERVAL = env.whole("PING_INTERVAL", 20, least=1)
PING_TIMEOUT = env.whole("PING_TIMEOUT", 20, least=1)

# --- Django

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "ticketauth",
    "api",
    "ws",
    "config",
]
MIDDLEWARE = [
    "config.middleware.Security",
    "corsheaders.middleware.CorsMiddleware",
    "config.middleware.Session",
    "config.middleware.Common",
    "config.middleware.Csrf",
    "config.middleware.Authentication",
    "config.middleware.Messages",
    "config.middleware.XFrameOptions",
]
# The cookie storage signs at every request, whether there is a message or not.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
# A POST to an address without its slash is a mistake to be told, not a redirect that loses the body.
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
TIME_ZONE = "UTC"
USE_TZ = True

# JWT_ISSUER and JWT_AUDIENCE tell tokens of two purposes apart; the development key has one.
SILENCED_SYSTEM_CHECKS = ["ticketauth.W005"] if DEVELOPMENT else []
# Django looks for its own middleware by name; ours is of those classes. `check --deploy` leaves out what depends on
# them: cookies and headers are decided above, by PUBLIC_URL.
SILENCED_SYSTEM_CHECKS += ["security.W001", "security.W002", "security.W003"]

_levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGGING = logs.config(
    level=env.choice("LOG_LEVEL", "INFO", _levels),
    style=env.choice("LOG_FORMAT", "text" if DEVELOPMENT else "json", ("json", "text")),
)
