"""A project that uses the library alone: what the README's steps make, and a consumer beside."""

import os

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "ticketauth"]
ROOT_URLCONF = "tests.project.urls"
ASGI_APPLICATION = "tests.project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": os.environ["REDIS_URL"]}}
SIMPLE_JWT = {"SIGNING_KEY": os.environ["JWT_SIGNING_KEY"]}

TICKETAUTH = {
    "KEY_PREFIX": "project",
    "ALLOWED_ORIGINS": ["https://good.example"],
    "REFUSAL_PROFILE": os.environ["REFUSAL_PROFILE"],
    "CLOSE_RATE": "0",
    "RATE_PER_USER": "0",
    "RATE_PER_ADDRESS": "0",
}
