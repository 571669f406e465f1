"""Write the golden files anew: `python -m tests.ticketauth.asyncapi`."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from tests.ticketauth.asyncapi import zoo  # noqa: E402
from tests.ticketauth.asyncapi.test_document import GOLDEN  # noqa: E402
from tests.ws.test_contract import GOLDEN as SERVICE  # noqa: E402
from ticketauth import conf  # noqa: E402
from ticketauth.asyncapi import document, project, render  # noqa: E402

GOLDEN.write_text(
    render.to_yaml(document.build(project.contract("https://zoo.example", zoo.application))), encoding="utf-8"
)
SERVICE.write_text(render.to_yaml(project.document(conf.public_url())), encoding="utf-8")
