"""For a project's `urls.py`: `path("ws/", include("ticketauth.contract.urls"))`."""

from __future__ import annotations

from django.urls import path

from .views import JSONDocument, YAMLDocument, page

app_name = "ticketauth_contract"

urlpatterns = [
    path("asyncapi.json", JSONDocument.as_view(), name="json"),
    path("asyncapi.yaml", YAMLDocument.as_view(), name="yaml"),
    path("docs/", page, name="page"),
]
