"""Django's own middleware for the service, without two changes of thread each.

Under ASGI, Django calls `process_request` and `process_response` of each of these in a thread, which the ticket view,
itself asynchronous, needs for nothing else. What they do here is no I/O, but where it says so below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware

from ticketauth.sessions import AuthenticationMiddleware


class _InLoop:
    """What `MiddlewareMixin.__acall__` does, in the event loop. A session that was used is a thread's business."""

    get_response: Callable[[HttpRequest], Any]

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        refused = self.process_request(request) if hasattr(self, "process_request") else None
        response: HttpResponseBase = refused or await self.get_response(request)
        if not hasattr(self, "process_response"):
            return response
        process: Callable[..., HttpResponseBase] = self.process_response
        if _used_session(request):
            return await sync_to_async(process, thread_sensitive=True)(request, response)
        return process(request, response)


def _used_session(request: HttpRequest) -> bool:
    session, messages = getattr(request, "session", None), getattr(request, "_messages", None)
    used = session is not None and (session.accessed or session.modified)
    return used or (messages is not None and (messages.used or messages.added_new))


class Security(_InLoop, SecurityMiddleware): ...


class Session(_InLoop, SessionMiddleware): ...


class Common(_InLoop, CommonMiddleware): ...


class Csrf(_InLoop, CsrfViewMiddleware):
    async def process_view(self, request: HttpRequest, callback: Any, *args: Any) -> Any:  # type: ignore[override]
        """Reads the body of a form, which may be large, in a thread."""
        if request.method == "POST" and not getattr(callback, "csrf_exempt", False):
            return await sync_to_async(super().process_view, thread_sensitive=True)(request, callback, *args)
        return super().process_view(request, callback, *args)


class Authentication(_InLoop, AuthenticationMiddleware): ...


class Messages(_InLoop, MessageMiddleware): ...


class XFrameOptions(_InLoop, XFrameOptionsMiddleware): ...
