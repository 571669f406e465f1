"""Errors outside Django REST framework, as problems too."""

from __future__ import annotations

import math
import sys
from typing import Any

from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from ticketauth.problems import CONTENT_TYPE


def _problem(status: int, title: str, code: str, detail: str) -> JsonResponse:
    problem = {"title": title, "status": status, "detail": detail, "code": code}
    return JsonResponse(problem, status=status, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    """400."""
    return _problem(400, "Bad Request", "bad_request", "The request is not understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> JsonResponse:
    """403."""
    return _problem(403, "Forbidden", "forbidden", "This is not permitted.")


def csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:
    """403 of Django's CSRF protection."""
    return _problem(403, "Forbidden", "csrf", "The CSRF token is missing or wrong.")


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """404."""
    return _problem(404, "Not Found", "not_found", "There is nothing at this address.")


def too_many(request: HttpRequest, wait: float) -> JsonResponse:
    """429, with the seconds to wait."""
    problem = _problem(429, "Too Many Requests", "throttled", "Too many attempts. Wait as long as Retry-After says.")
    problem["Retry-After"] = str(math.ceil(wait))
    return problem


def server_error(request: HttpRequest, *args: Any) -> JsonResponse:
    """503 where a dependency failed, else 500: a fault of ours. The log has the traceback, the caller has not."""
    if isinstance(sys.exc_info()[1], (DatabaseError, RedisError, ConnectionInterrupted)):
        problem = _problem(503, "Service Unavailable", "unavailable", "A dependency is down. Try again soon.")
        problem["Retry-After"] = "2"
        return problem
    return _problem(500, "Internal Server Error", "internal", "Something went wrong here. It has been logged.")
