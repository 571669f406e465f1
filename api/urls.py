"""Where what is."""

from __future__ import annotations

from django.urls import include, path

from .connections import ConnectionsView, ConnectionView
from .health import readyz
from .openapi import as_json, as_yaml
from .pages import ApiDocs, Index, Login, Logout
from .sessions import RevokeAllView, SessionsView, SessionView
from .views import LogoutView, RefreshView, TokenView

urlpatterns = [
    path("", Index.as_view(), name="index"),
    path("login/", Login.as_view(), name="login"),
    path("logout/", Logout.as_view(), name="logout_page"),
    path("api/token/", TokenView.as_view(), name="token"),
    path("api/token/refresh/", RefreshView.as_view(), name="refresh"),
    path("api/token/logout/", LogoutView.as_view(), name="logout"),
    path("api/sessions/", SessionsView.as_view(), name="sessions"),
    path("api/sessions/revoke-all/", RevokeAllView.as_view(), name="revoke_all"),
    path("api/sessions/<slug:sid>/", SessionView.as_view(), name="session"),
    path("api/connections/", ConnectionsView.as_view(), name="connections"),
    path("api/connections/<slug:connection_id>/", ConnectionView.as_view(), name="connection"),
    path("api/tickets/", include("ticketauth.urls")),
    path("api/openapi.json", as_json, name="openapi"),
    path("api/openapi.yaml", as_yaml, name="openapi_yaml"),
    path("api/docs/", ApiDocs.as_view(), name="api_docs"),
    path("readyz", readyz, name="readyz"),
]
