"""The service's settings, in an environment of the tests' own, whatever the shell has set."""

import os

from config import keys

os.environ.update(
    {
        "DEBUG": "1",
        "SECRET_KEY": keys.new(),
        "JWT_SIGNING_KEY": keys.new(),
        "DATABASE_URL": "sqlite:///:memory:",
        "LOGIN_RATE": "0",
    }
)

from config.settings import *  # noqa: F403
