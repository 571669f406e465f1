"""Who may read the OpenAPI document: those who may read the AsyncAPI one."""

from __future__ import annotations

from django.http import HttpRequest

from ticketauth import conf


def may_read(request: HttpRequest) -> bool:
    """Whether `DOCS_ACCESS` lets whoever is logged in here."""
    access = conf.current().DOCS_ACCESS
    if access == "everyone":
        # Without a look at the session: the answer would vary with it.
        return True
    return request.user.is_authenticated and (access == "authenticated" or request.user.is_staff)
