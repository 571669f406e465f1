"""Who may read the OpenAPI document: those who may read the AsyncAPI one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ticketauth import conf


def docs_access(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view for those whom `DOCS_ACCESS` names; others are asked to log in, or refused."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # Without a look at the session where everyone may: the answer would vary with it.
        access = conf.current().DOCS_ACCESS
        if access == "everyone" or request.user.is_staff or (access, request.user.is_authenticated) == ("authenticated", True):
            return view(request, *args, **kwargs)
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.get_full_path())

    return guarded
