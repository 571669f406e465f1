from django.urls import include, path

urlpatterns = [path("api/tickets/", include("ticketauth.urls"))]
