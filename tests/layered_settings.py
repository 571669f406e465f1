"""The service's settings with the channel layer that `LAYER` names. With `LAYER_TIMEOUT=default` they are a twin."""

import os

from config.settings import *  # noqa: F403
from config.settings import CHANNEL_LAYERS

CHANNEL_LAYERS["default"]["BACKEND"] = os.environ["LAYER"]
if os.environ["LAYER_TIMEOUT"] == "default":
    del CHANNEL_LAYERS["default"]["CONFIG"]["hosts"][0]["socket_timeout"]
