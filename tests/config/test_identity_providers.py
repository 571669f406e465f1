import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Env
from config.identity_providers import issuers

PROVIDER = {
    "IDP_ISSUER": "https://idp.example.com/",
    "IDP_AUDIENCE": "https://tickets.example.com",
    "IDP_JWKS_URL": "https://idp.example.com/keys",
}


def provider(**values):
    return issuers(Env(PROVIDER | values))["https://idp.example.com/"]


def test_without_an_issuer_there_is_none():
    assert issuers(Env({"IDP_AUDIENCE": "x"})) == {}


def test_a_provider_with_a_jwks_address():
    assert provider() == {
        "AUDIENCE": "https://tickets.example.com",
        "JWKS_URL": "https://idp.example.com/keys",
        "ALGORITHMS": ["RS256"],
        "TYP": "at+jwt",
        "USERS": "database",
    }


def test_a_provider_with_a_key_from_a_file(tmp_path):
    file = tmp_path / "key.pem"
    file.write_text("-----BEGIN PUBLIC KEY-----\n")
    made = provider(IDP_JWKS_URL="", IDP_PUBLIC_KEY_FILE=str(file))
    assert made["KEY"] == "-----BEGIN PUBLIC KEY-----"
    assert "JWKS_URL" not in made


def test_a_claim_takes_the_place_of_the_type():
    made = provider(IDP_TOKEN_CLAIM="token_use=access")
    assert (made["TYP"], made["CLAIM"]) == ("", ["token_use", "access"])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"IDP_AUDIENCE": ""}, "IDP_AUDIENCE is not set"),
        ({"IDP_JWKS_URL": ""}, "neither is set"),
        ({"IDP_PUBLIC_KEY": "pem"}, "both are set"),
        ({"IDP_ALGORITHMS": "RS256,none"}, "IDP_ALGORITHMS is 'none'"),
        ({"IDP_ALGORITHMS": "HS256"}, "IDP_ALGORITHMS is 'HS256'"),
        ({"IDP_TOKEN_CLAIM": "token_use"}, "IDP_TOKEN_CLAIM is 'token_use'; expected name=value"),
        ({"IDP_USERS": "both"}, "IDP_USERS is 'both'; expected one of database, claims"),
    ],
)
def test_what_is_wrong_names_its_variable(values, sentence):
    with pytest.raises(ImproperlyConfigured, match=sentence):
        provider(**values)
