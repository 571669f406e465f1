"""The examples of `docs/identity-providers.md` are entries that the code accepts, and does with tokens what is said."""

from __future__ import annotations

import ast
import json
import re
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from config import identity_providers
from config.env import Env
from tests.docs.tables import read, rows, section
from ticketauth import checks, issuers
from ticketauth.exceptions import NotAuthenticated

TEXT = read("docs/identity-providers.md")
PROVIDERS = ["Keycloak", "Auth0", "Amazon Cognito", "Microsoft Entra ID"]


def _entry(heading: str) -> tuple[str, dict[str, Any]]:
    block = re.search(r"```python\n(TICKETAUTH = .*?)```", section(TEXT, heading), re.DOTALL)
    assert block
    assigned = ast.parse(block[1]).body[0]
    assert isinstance(assigned, ast.Assign)
    ((issuer, entry),) = ast.literal_eval(assigned.value)["ISSUERS"].items()
    return issuer, entry


@pytest.mark.parametrize("heading", ["An entry", *PROVIDERS])
def test_an_example_passes_the_check(heading: str) -> None:
    assert list(checks._provider_problems(*_entry(heading))) == []


def test_the_table_names_all_keys() -> None:
    problems = dict(checks._provider_problems("https://id", {"AUDIENCE": "a", "KEY": "k", "NONSENSE": 1}))
    (hint,) = problems.values()
    known = set(re.findall(r"'([A-Z_]+)'", hint))
    assert {row[0].strip("`") for row in rows(section(TEXT, "An entry"))[1:]} == known


def test_the_variables_of_the_service_make_the_entry_of_keycloak() -> None:
    block = re.search(r"```sh\n(.*?)```", section(TEXT, "With the service"), re.DOTALL)
    assert block
    variables = dict(line.split("=", 1) for line in block[1].splitlines() if line.startswith("IDP_"))
    made = identity_providers.issuers(Env(variables))
    issuer, entry = _entry("Keycloak")
    assert entry.items() <= made[issuer].items()


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = (
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)


def _token(issuer: str, entry: dict[str, Any], header: str, /, **claims: Any) -> str:
    now = int(time.time())
    given = {"iss": issuer, "aud": entry["AUDIENCE"], "sub": "248289761001", "iat": now, "exp": now + 60, **claims}
    payload = json.dumps({name: value for name, value in given.items() if value is not ...}).encode()
    return jwt.PyJWS().encode(payload, KEY, "RS256", {"typ": header})


CASES = [
    ("Keycloak", "at+jwt", {"typ": "Bearer"}, True),
    ("Keycloak", "JWT", {"typ": "Bearer"}, False),
    ("Keycloak", "JWT", {"typ": "ID", "at_hash": "x"}, False),
    ("Keycloak", "at+jwt", {"aud": "account"}, False),
    ("Auth0", "at+jwt", {"client_id": "c", "jti": "j"}, True),
    ("Auth0", "JWT", {"azp": "c"}, False),
    ("Amazon Cognito", "JWT", {"token_use": "access"}, True),
    ("Amazon Cognito", "JWT", {"token_use": "id"}, False),
    ("Amazon Cognito", "JWT", {"token_use": "access", "aud": ...}, False),
    ("Microsoft Entra ID", "JWT", {"scp": "sockets.connect"}, True),
    ("Microsoft Entra ID", "JWT", {}, False),
    ("Microsoft Entra ID", "JWT", {"scp": "sockets.connect more"}, False),
]


@pytest.mark.parametrize(("heading", "header", "claims", "accepted"), CASES)
async def test_a_token_of_the_kind_that_is_described(
    settings: Any, heading: str, header: str, claims: dict[str, Any], accepted: bool
) -> None:
    issuer, entry = _entry(heading)
    entry = {name: value for name, value in entry.items() if name != "JWKS_URL"} | {"KEY": PEM}
    settings.TICKETAUTH = {**settings.TICKETAUTH, "ISSUERS": {issuer: entry}}
    token = _token(issuer, entry, header, **claims)
    if accepted:
        assert (await issuers.verify(token)).subject == "248289761001"
    else:
        with pytest.raises(NotAuthenticated):
            await issuers.verify(token)


async def test_the_claim_of_keycloak_without_the_switch(settings: Any) -> None:
    issuer, entry = _entry("Keycloak")
    claim = re.search(r'^\{"CLAIM": .*\}$', section(TEXT, "Keycloak"), re.MULTILINE)
    assert claim
    entry = {"AUDIENCE": entry["AUDIENCE"], "KEY": PEM, **ast.literal_eval(claim[0])}
    settings.TICKETAUTH = {**settings.TICKETAUTH, "ISSUERS": {issuer: entry}}
    assert (await issuers.verify(_token(issuer, entry, "JWT", typ="Bearer"))).issuer == issuer
    with pytest.raises(NotAuthenticated):
        await issuers.verify(_token(issuer, entry, "JWT", typ="ID"))
