"""The service's own pages: what there is, login and logout, the OpenAPI document to read and try."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.generic import TemplateView
from django.views.generic.base import View
from rest_framework.exceptions import Throttled

from ticketauth import conf, logins, logs, users
from ticketauth.contract.views import cache_control, may_read
from ticketauth.exceptions import NotAuthenticated
from ticketauth.views import address_of
from ticketauth.wire import CLOSES

from .errors import too_many
from .throttles import seconds_to_wait


class Page(View):
    """A page that loads a style sheet of ours and nothing else. `data:` is the empty icon."""

    policy: ClassVar[str] = (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().dispatch(request, *args, **kwargs)
        response["Content-Security-Policy"] = self.policy
        return response


class Index(Page, TemplateView):
    """What there is, and three steps."""

    template_name = "api/index.html"
    extra_context = {"closes": CLOSES}


class Login(Page, auth.LoginView):
    """A session for whoever has a password, with a login of its own: for the session scheme and the pages."""

    template_name = "api/login.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """Log in, as often as `LOGIN_RATE` lets one try."""
        seconds = seconds_to_wait(request)
        if seconds is None:
            return super().post(request, *args, **kwargs)
        logs.refused("login", Throttled(), address_of(request))
        response = self.render_to_response(self.get_context_data(form=AuthenticationForm(request), wait=seconds))
        response.status_code, response["Retry-After"] = 429, str(math.ceil(seconds))
        return response

    def form_valid(self, form: AuthenticationForm) -> Any:
        answer, user = super().form_valid(form), form.get_user()
        _log("login", self.request, user)
        return answer

    def form_invalid(self, form: AuthenticationForm) -> Any:
        reason = "password" if form.non_field_errors() else "invalid"
        logs.refused("login", NotAuthenticated(reason), address_of(self.request))
        return super().form_invalid(form)


class Logout(Page, auth.LogoutView):
    """The session and its login are over."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Log out."""
        _log_logout(request)
        return super().post(request, *args, **kwargs)


def another_login(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Another's login form, such as the admin's: under the limits of ours, and logged as it is."""

    @functools.wraps(view)
    def log_in(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        seconds = seconds_to_wait(request)
        if seconds is not None:
            logs.refused("login", Throttled(), address_of(request))
            return too_many(request, seconds)
        response = view(request, *args, **kwargs)
        if response.status_code == 302:
            _log("login", request, request.user)
        else:
            logs.refused("login", NotAuthenticated("password"), address_of(request))
        return response

    return log_in


def another_logout(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Another's logout, such as the admin's, logged as ours is."""

    @functools.wraps(view)
    def log_out(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            _log_logout(request)
        return view(request, *args, **kwargs)

    return log_out


def _log_logout(request: HttpRequest) -> None:
    if request.user.is_authenticated:
        _log("logout", request, request.user)


def _log(event: str, request: HttpRequest, user: Any) -> None:
    sid = request.session.get(logins.SESSION_KEY, "")
    facts = {"outcome": "done", "user": users.subject_of(user), "sid": sid, "address": address_of(request)}
    logs.event(logging.INFO, event, facts)


class ApiDocs(Page, TemplateView):
    """Swagger UI over `/api/openapi.json`; it sends requests where `TRY_IT_OUT` is on."""

    template_name = "api/docs.html"
    # Its scripts are two files, and use no `eval`. Its styles are files too, or set by script, which needs no
    # 'unsafe-inline'. It fetches the document and what one tries. `data:` are the icons in its style sheet. Its forms
    # are sent by no browser.
    policy = (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show it, or where to log in."""
        if may_read(request):
            response = super().get(request, *args, **kwargs, try_it_out=conf.try_it_out())
            response["Cache-Control"] = cache_control()
            return response
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.get_full_path())
