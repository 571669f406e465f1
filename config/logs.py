"""One line per event, without tickets or tokens in it."""

from __future__ import annotations

from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS


def config(level: str, style: str) -> dict[str, Any]:
    """LOGGING, for Django and for uvicorn alike.

    uvicorn's own would print query strings as they are, so its loggers give up their handlers, as Django's do:
    everything goes through the one handler of the root, and through its filter.
    """
    passed_on = {"handlers": [], "level": level, "propagate": True}
    # Two lines per socket, which say less than the middleware's one.
    of_sockets = {**passed_on, "level": level if level == "DEBUG" else "WARNING"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"redact": {"()": "ticketauth.logs.RedactFilter"}},
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "timestamp": "time",
                "fmt": ["levelname", "name", "message"],
                "rename_fields": {"levelname": "level", "name": "logger"},
                # uvicorn repeats its messages in colours, and Django its requests with their queries.
                "reserved_attrs": [*RESERVED_ATTRS, "color_message", "request"],
            },
            "text": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s", "datefmt": "%H:%M:%S"},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": style,
                "filters": ["redact"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            **dict.fromkeys(("django", "django.server", "uvicorn", "uvicorn.error", "uvicorn.access"), passed_on),
            "uvicorn.websocket": of_sockets,
        },
    }
