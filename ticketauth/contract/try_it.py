"""What the panel "Try it" asks of the server: who is logged in, and a cookie with a JWT, which a script cannot set."""

from __future__ import annotations

import json
import posixpath
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, path, resolve, reverse
from django.utils.crypto import salted_hmac
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie

from ticketauth import conf, issuers, logs, problems, users, wire
from ticketauth.exceptions import (
    Forbidden,
    Malformed,
    Misconfigured,
    NotAuthenticated,
    NotFound,
    OriginRefused,
    Refusal,
    Unavailable,
)
from ticketauth.handshake import problem
from ticketauth.origin import origin_of
from ticketauth.schemes.jwt import JWTCookie
from ticketauth.views import address_of

from .documents import document
from .views import base_url, may_read

MARKER = "ticketauth_try_it"
"""Name of the cookie that says which token the panel has put into the other cookie. It holds a keyed hash of it."""

LONGEST_COOKIE = 4096
"""Bytes of name and value that browsers keep (RFC 6265 6.1). They drop a larger one without a word."""


MOST_COOKIES = 8
"""Of one name that are looked at."""


class _NotOurs(Refusal):
    close = wire.Close(4409, 409, wire.Retry.STOP, "not the panel's cookie")
    code = "cookie_not_ours"
    title = "Conflict"
    detail = "The browser already sends such a cookie, and the panel did not set it. It stays as it is."


class PanelView(View):
    """A view that exists while `TRY_IT_OUT` is on. Refusals are problems, and nothing is kept."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if not conf.try_it_out():
                raise NotFound("try_it_out_off", "There is nothing at this address.")
            response = super().dispatch(request, *args, **kwargs)
        except Refusal as refusal:
            logs.refused("try_it", refusal, address_of(request))
            response = _refused(refusal)
        except DatabaseError:
            response = _refused(Unavailable("database"))
        response["Cache-Control"] = "no-store"
        response["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        members = {
            "title": "Method Not Allowed",
            "status": 405,
            "detail": "Another method.",
            "code": "method_not_allowed",
        }
        allowed = ", ".join(name.upper() for name in self.http_method_names)
        return JsonResponse(members, status=405, content_type=problems.CONTENT_TYPE, headers={"Allow": allowed})


def _refused(refusal: Refusal) -> HttpResponse:
    response = JsonResponse(problem(refusal), status=refusal.status, content_type=problems.CONTENT_TYPE)
    if refusal.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    return response


@method_decorator(ensure_csrf_cookie, name="dispatch")
class StateView(PanelView):
    """`GET`: who is logged in by session and where one logs in, a CSRF token, the names that the settings give."""

    http_method_names = ["get"]

    def get(self, request: HttpRequest) -> JsonResponse:
        """As JSON."""
        _require_reader(request)
        given, user = conf.current(), getattr(request, "user", None)
        own = _own_origin(request)
        folder = cookie_folder(document(base_url(request)))
        return JsonResponse(
            {
                "user": user.get_username() if user is not None and user.is_authenticated else None,
                "login_url": _login_url(),
                "token_url": given.TOKEN_URL,
                "username_field": get_user_model().USERNAME_FIELD,
                "csrf_token": get_token(request),
                "csrf_header": settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-"),
                "origin": {"value": own, "allowed": own in conf.origins().allowed},
                "names": {
                    "ticket": given.TICKET_QUERY_PARAM,
                    "session": settings.SESSION_COOKIE_NAME,
                    "cookie": given.JWT_COOKIE,
                    "query": given.JWT_QUERY_PARAM,
                },
                "jwt_query": given.JWT_QUERY,
                "cookie": None if folder is None else {"path": folder, **_standing_of_cookie(request, folder)},
            }
        )


@method_decorator(csrf_exempt, name="dispatch")
class CookieView(PanelView):
    """`POST {"action": "set"}` with a bearer token, or `{"action": "clear"}`. It leaves alone what it did not set.

    Exempt, because the refusal is to be a problem; the check is made here. Without it, and without the own `Origin`
    and a token that is good, another page could log a victim in as somebody else (login CSRF).
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> JsonResponse:
        """Set or clear."""
        folder = cookie_folder(document(base_url(request)))
        if folder is None:
            raise NotFound("scheme_off", "No WebSocket here takes a JWT in a cookie.")
        _require_own_page(request)
        action = _action(request)
        if action == "clear":
            return _clear(request, folder)
        _require_reader(request)
        return _set(request, folder)


def _login_url() -> str:
    """`LOGIN_URL`, or "" where it leads to no view of this project: its default does in many."""
    try:
        url = resolve_url(settings.LOGIN_URL)
        parts = urlsplit(url)
        if not parts.netloc:
            resolve("/" + parts.path.removeprefix(get_script_prefix()))
    except (NoReverseMatch, Resolver404):
        return ""
    return url


def _require_reader(request: HttpRequest) -> None:
    """As for the page itself (`DOCS_ACCESS`)."""
    if not may_read(request):
        raise NotFound("docs_access", "There is nothing here for you.")


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class _Csrf(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def _require_own_page(request: HttpRequest) -> None:
    """The page itself asks, and no other: not even one whose origin may connect.

    Raises:
        OriginRefused: The origin is another, `null`, or absent.
        Forbidden: The CSRF token is missing or wrong.
    """
    if request.headers.get("Origin") != _own_origin(request):
        raise OriginRefused("origin_not_own", "Only this service's own page may do that.")
    check = _Csrf(_nothing)
    check.process_request(request)
    if check.process_view(request, _nothing, (), {}) is not None:
        raise Forbidden("csrf", "The CSRF token is missing or wrong.")


def _own_origin(request: HttpRequest) -> str:
    try:
        return origin_of(f"{request.scheme}://{request.get_host()}")
    except Misconfigured:
        raise Malformed("host", "The Host of the request has no such port.") from None


def _action(request: HttpRequest) -> str:
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    action = body.get("action") if isinstance(body, dict) else None
    if action not in ("set", "clear"):
        raise Malformed("action", 'Expected {"action": "set"} or {"action": "clear"}.')
    return str(action)


def _set(request: HttpRequest, folder: str) -> JsonResponse:
    token, lifetime = _good_token(request)
    if _standing_of_cookie(request, folder)["foreign"]:
        raise _NotOurs("cookie_foreign")
    told = {"path": folder, "sent": True, "ours": True, "foreign": False, "expires_in": lifetime}
    response = JsonResponse(told)
    shared: dict[str, Any] = {
        "max_age": lifetime,
        "secure": request.is_secure(),
        "httponly": True,
        "samesite": "Strict",
    }
    response.set_cookie(conf.current().JWT_COOKIE, token, path=folder, **shared)
    response.set_cookie(MARKER, _mark(token), path=_here(), **shared)
    return response


def _good_token(request: HttpRequest) -> tuple[str, int]:
    """The bearer token of the request, and the whole seconds that it has left to live."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise NotAuthenticated("no_credential")
    expires_at = async_to_sync(_end)(token.strip(" "))
    lifetime = int(expires_at - time.time())
    if lifetime < 1:
        raise NotAuthenticated("token_expired")
    if len(conf.current().JWT_COOKIE) + len(token) > LONGEST_COOKIE:
        raise Malformed("token_too_long", f"The token does not fit into a cookie ({LONGEST_COOKIE} bytes).")
    return token.strip(" "), lifetime


async def _end(token: str) -> float:
    identity = await issuers.verify(token)
    standing = await users.read(identity)
    return min(end for end in (identity.expires_at, standing.expires_at) if end is not None)


def _clear(request: HttpRequest, folder: str) -> JsonResponse:
    standing = _standing_of_cookie(request, folder)
    if standing["foreign"] and not standing["ours"]:
        raise _NotOurs("cookie_foreign")
    response = JsonResponse(
        {"path": folder, "sent": standing["foreign"], "ours": False, "foreign": standing["foreign"]}
    )
    if standing["ours"]:
        response.delete_cookie(conf.current().JWT_COOKIE, path=folder, samesite="Strict")
        response.delete_cookie(MARKER, path=_here(), samesite="Strict")
    return response


def _standing_of_cookie(request: HttpRequest, folder: str) -> dict[str, bool]:
    """Whether the browser sends a cookie with a JWT, whether the panel set it, and whether there is another.

    Where the cookie's path is not above this address, only the marker can tell, which lives as long.
    """
    values, marks = _cookies(request, conf.current().JWT_COOKIE), set(_cookies(request, MARKER))
    ours = [value for value in values if _mark(value) in marks] if marks else []
    unseen = bool(marks) and not _here().startswith(folder)
    # Another of the same name and a wider path may stand beside ours.
    return {"sent": bool(values) or unseen, "ours": bool(ours) or unseen, "foreign": len(ours) < len(values)}


def _cookies(request: HttpRequest, name: str) -> list[str]:
    """All of a name: `request.COOKIES` has the last one only."""
    pairs = [part.strip().partition("=") for part in request.META.get("HTTP_COOKIE", "").split(";")]
    return [value for key, _, value in pairs if key == name][:MOST_COOKIES]


def _mark(token: str) -> str:
    return salted_hmac("ticketauth.contract.try_it", token, algorithm="sha256").hexdigest()


def _here() -> str:
    # As the browser sees it: under ASGI `request.path` lacks a prefix that a proxy has taken away (FORCE_SCRIPT_NAME).
    return posixpath.dirname(reverse("ticketauth_contract:try_cookie").rstrip("/")) + "/"


def cookie_folder(contract: Mapping[str, Any]) -> str | None:
    """The folder of all WebSockets that take a JWT in a cookie: the cookie's Path. None where there are none.

    Args:
        contract: The AsyncAPI document.
    """
    schemes = contract.get("components", {}).get("securitySchemes", {})
    taken = {name for name, scheme in schemes.items() if scheme.get("x-scheme") == JWTCookie.name}
    channels = [channel for channel in contract["channels"].values() if taken & set(channel.get("x-security", ()))]
    prefix = contract.get("servers", {}).get("websocket", {}).get("pathname", "")
    folders = [posixpath.dirname(f"{prefix}{channel['address']}".partition("{")[0]) for channel in channels]
    return posixpath.join(posixpath.commonpath(folders), "") if folders else None


urlpatterns = [
    path("state/", StateView.as_view(), name="try_state"),
    path("cookie/", CookieView.as_view(), name="try_cookie"),
]
