"""The service's settings, in an environment of the tests' own, whatever the shell has set.

Each test process has a folder: its Valkey listens on a socket there (started by `tests/conftest.py`), its database is
a file there, so that a server in a thread or in a process of its own sees the same rows.
"""

import os
import tempfile
from pathlib import Path

from config import keys

FOLDER = Path(tempfile.gettempdir()) / f"ticketauth-tests-{os.getpid()}"
VALKEY_SOCKET = FOLDER / "valkey.sock"

os.environ.update(
    {
        "DEBUG": "1",
        "SECRET_KEY": keys.new(),
        "JWT_SIGNING_KEY": keys.new(),
        "DATABASE_URL": f"sqlite:///{FOLDER / 'db.sqlite3'}",
        "REDIS_URL": f"unix://{VALKEY_SOCKET}?db=0",
        "LOGIN_RATE": "0",
        "CLOSE_RATE": "0",
        "RATE_PER_USER": "0",
        "RATE_PER_ADDRESS": "0",
        "ALLOWED_ORIGINS": "https://good.example,http://localhost:3000,capacitor://localhost",
        "PUBLIC_URL": "https://sockets.example",
        "ALLOWED_HOSTS": "*",
    }
)

# It raises the limits of websockets, which are read at the first import: perhaps a test's.
from config import serve  # noqa: E402, F401
from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES  # noqa: E402

DATABASES["default"]["TEST"] = {"NAME": str(FOLDER / "test.sqlite3")}
# A password is hashed in most tests, and its strength is Django's business.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
