"""Errors of the HTTP API as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseError
from django.http import Http404
from redis.exceptions import RedisError
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.settings import api_settings

from .exceptions import Refusal, Unavailable
from .handshake import problem as members

_NO_TOKEN = ("no_credential", "password")
"""Reasons of a 401 where no token was sent: no error code then (RFC 6750 3.1)."""

CONTENT_TYPE = "application/problem+json"

_log = logging.getLogger("ticketauth")


def response(members: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response of Django REST framework."""
    return Response(dict(members), members["status"], headers=dict(headers or {}), content_type=CONTENT_TYPE)


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """For `REST_FRAMEWORK["EXCEPTION_HANDLER"]`: a problem for every refusal, None for what is a fault of ours."""
    known = _translated(exc)
    if isinstance(known, Refusal):
        return response(members(known), _headers(known))
    if isinstance(known, drf.APIException):
        return response(_of_drf(known), _drf_headers(known))
    return None


def _translated(exc: Exception) -> Exception:
    if isinstance(exc, Http404):
        return drf.NotFound()
    if isinstance(exc, PermissionDenied):
        return drf.PermissionDenied()
    cause = exc.__cause__
    if isinstance(exc, (DatabaseError, RedisError)) or isinstance(cause, RedisError):
        _log.error("a dependency failed: %s", exc)
        return Unavailable("database" if isinstance(exc, DatabaseError) else "cache")
    return exc


def _headers(refusal: Refusal) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer" if refusal.reason in _NO_TOKEN else 'Bearer error="invalid_token"'
    return headers


def _of_drf(exc: drf.APIException) -> dict[str, Any]:
    detail, errors = str(exc.detail), None
    if isinstance(exc, drf.ValidationError):
        told = exc.detail if isinstance(exc.detail, dict) else {api_settings.NON_FIELD_ERRORS_KEY: exc.detail}
        detail, errors = "Some fields are not valid; see errors.", told
    codes = exc.get_codes()
    problem = {
        "title": HTTPStatus(exc.status_code).phrase,
        "status": exc.status_code,
        "detail": detail,
        "code": codes if isinstance(codes, str) else "invalid",
    }
    return problem if errors is None else {**problem, "errors": _encodable(errors)}


def _encodable(told: Any) -> Any:
    """What names a member of the sender's, who may have sent what no answer can carry: half a surrogate pair."""
    if isinstance(told, Mapping):
        return {_encodable(name): _encodable(value) for name, value in told.items()}
    if isinstance(told, (list, tuple)):
        return [_encodable(value) for value in told]
    return str(told).encode("utf-8", "backslashreplace").decode()


def _drf_headers(exc: drf.APIException) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if challenge := getattr(exc, "auth_header", ""):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    return headers
