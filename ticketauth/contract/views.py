"""The AsyncAPI document for machines, and the page for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.templatetags.static import static
from django.urls import get_script_prefix
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ticketauth import conf, problems
from ticketauth.authentication import BearerAuthentication

from . import documents
from .policy import content_security_policy


def base_url(request: HttpRequest) -> str:
    """Where the service is: as the settings say, else as this request found it."""
    return next(iter(conf.current().PUBLIC_URLS), request.build_absolute_uri(get_script_prefix())).rstrip("/")


def may_read(request: HttpRequest) -> bool:
    """Whether `DOCS_ACCESS` lets whoever is logged in here."""
    # Where everyone may, without a look at the session: the answer would vary with it.
    return conf.current().DOCS_ACCESS == "everyone" or is_allowed(getattr(request, "user", AnonymousUser()))


def cache_control() -> str:
    """Of what `DOCS_ACCESS` guards: asked for again each time, and kept for nobody else."""
    return "no-cache" if conf.current().DOCS_ACCESS == "everyone" else "private, no-cache"


def is_allowed(user: Any) -> bool:
    """Whether somebody may see the contract."""
    access = conf.current().DOCS_ACCESS
    return access == "everyone" or bool(user.is_authenticated and (access == "authenticated" or user.is_staff))


class MaySeeTheContract(BasePermission):
    """`DOCS_ACCESS`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return is_allowed(request.user)


class DocumentView(APIView):
    """The document in one of its forms."""

    schema = None
    """It is no part of an OpenAPI document."""
    http_method_names = ["get", "head"]
    permission_classes = (MaySeeTheContract,)
    throttle_classes = ()
    renderer_classes = (JSONRenderer,)
    body: ClassVar[Callable[[str], documents.Body]]
    media_type: ClassVar[str]
    file_name: ClassVar[str]

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Nobody is asked who they are where everyone may see it."""
        if conf.current().DOCS_ACCESS == "everyone":
            return []
        return [BearerAuthentication(), SessionAuthentication()]

    def get_exception_handler(self) -> Callable[..., Response | None]:
        """Problems, whatever handler the project has for its other views."""
        return problems.exception_handler

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """There is one form at each address, whatever is accepted."""
        return JSONRenderer(), JSONRenderer.media_type

    def get(self, request: Request) -> HttpResponseBase:
        """The document, or 304 where the client has it (RFC 9110 13.1.2)."""
        body = type(self).body(base_url(request._request))
        response = HttpResponse(body.content, content_type=self.media_type)
        response["Content-Disposition"] = f'inline; filename="{self.file_name}"'
        answer = get_conditional_response(request._request, etag=body.etag, response=response) or response
        answer["ETag"] = body.etag
        return answer

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        final.setdefault("Cache-Control", cache_control())
        final["X-Content-Type-Options"] = "nosniff"
        if conf.current().DOCS_ACCESS != "everyone":
            patch_vary_headers(final, ("Authorization", "Cookie"))
        return final


class JSONDocument(DocumentView):
    # AsyncAPI's own types name format and version; +json (RFC 6839) lets every client read it as JSON all the same.
    media_type = "application/vnd.aai.asyncapi+json;version=3.1.0"
    file_name = "asyncapi.json"
    body = staticmethod(documents.as_json)


class YAMLDocument(DocumentView):
    media_type = "application/vnd.aai.asyncapi+yaml;version=3.1.0"
    file_name = "asyncapi.yaml"
    body = staticmethod(documents.as_yaml)


@require_safe
def page(request: HttpRequest) -> HttpResponseBase:
    """The page; where it is not for everyone, the login for those who are not logged in."""
    if may_read(request):
        shown = documents.as_page(base_url(request))
        context = {"page": shown, "try_it": conf.try_it_out()}
        response = render(request, "ticketauth/contract/page.html", context)
        return _protected(request, response, (server.origin for server in shown.servers))
    login = redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))
    if not request.user.is_authenticated:
        return login
    response = render(request, "ticketauth/contract/refused.html", {"login": login["Location"]}, status=403)
    return _protected(request, response)


def _protected(request: HttpRequest, response: HttpResponse, servers: Iterable[str] = ()) -> HttpResponse:
    own = f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
    elsewhere = {own, *servers} - {f"{request.scheme}://{request.get_host()}"}
    assets = (static(f"ticketauth/contract/{name}") for name in ("page.css", "page.js", "icon.svg"))
    response["Content-Security-Policy"] = content_security_policy(sockets=elsewhere, assets=assets)
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Frame-Options"] = "DENY"
    response["Referrer-Policy"] = "same-origin"
    response["Cross-Origin-Opener-Policy"] = "same-origin"
    response["Cache-Control"] = "private, no-cache"
    return response
