"""What an operator has, but for the strength of the passwords' hashes, which is Django's business."""

from config.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
