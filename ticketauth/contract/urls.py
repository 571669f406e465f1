"""For a project's `urls.py`: `path("ws/", include("ticketauth.contract.urls"))`."""

from __future__ import annotations

from django.urls import include, path

from . import try_it
from .views import JSONDocument, YAMLDocument, page

app_name = "ticketauth_contract"

urlpatterns = [
    path("asyncapi.json", JSONDocument.as_view(), name="json"),
    path("asyncapi.yaml", YAMLDocument.as_view(), name="yaml"),
    path("docs/", page, name="page"),
    path("docs/try/", include(try_it)),
]
