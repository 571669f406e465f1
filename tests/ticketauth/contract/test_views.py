"""The document and the page over HTTP: what is sent, and to whom."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import Client

from ticketauth import logins
from ticketauth.asyncapi import project, render
from ticketauth.contract import documents
from ticketauth.exceptions import Misconfigured

JSON, YAML, PAGE = "/ws/asyncapi.json", "/ws/asyncapi.yaml", "/ws/docs/"


@pytest.fixture(autouse=True)
def _without_the_panel(settings) -> None:
    settings.TICKETAUTH = {**settings.TICKETAUTH, "TRY_IT_OUT": False}


@pytest.fixture
def access(settings):
    """Sets who may see the contract."""

    def set_access(who: str) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "DOCS_ACCESS": who}

    return set_access


@pytest.fixture
def staff(transactional_db: None) -> User:
    return User.objects.create_user("staff", password="x", is_staff=True)


def bearer(user: User) -> dict[str, str]:
    return {"authorization": f"Bearer {logins.start(user).access_token}"}


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


class TestDocuments:
    def test_json(self, client: Client) -> None:
        answer = client.get(JSON)
        assert answer.status_code == 200
        assert answer["Content-Type"] == "application/vnd.aai.asyncapi+json;version=3.1.0"
        assert json.loads(answer.content)["asyncapi"] == "3.1.0"

    def test_yaml_is_the_same_document(self, client: Client) -> None:
        answer = client.get(YAML)
        assert answer["Content-Type"] == "application/vnd.aai.asyncapi+yaml;version=3.1.0"
        assert yaml.safe_load(answer.content) == json.loads(client.get(JSON).content)

    @pytest.mark.parametrize("path", [JSON, YAML])
    def test_who_has_it_gets_304(self, client: Client, path: str) -> None:
        first = client.get(path)
        again = client.get(path, headers={"if-none-match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again["ETag"] == first["ETag"]
        assert again["Cache-Control"] == "no-cache"

    def test_another_tag_gets_it_whole(self, client: Client) -> None:
        assert client.get(JSON, headers={"if-none-match": '"another"'}).status_code == 200

    def test_json_and_yaml_have_tags_of_their_own(self, client: Client) -> None:
        assert client.get(JSON)["ETag"] != client.get(YAML)["ETag"]

    @pytest.mark.parametrize("path", [JSON, YAML])
    def test_head_has_the_headers_alone(self, client: Client, path: str) -> None:
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head["ETag"] == get["ETag"]

    @pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
    def test_nothing_else_is_allowed(self, client: Client, method: str) -> None:
        answer = getattr(client, method)(JSON)
        assert answer.status_code == 405
        assert answer["Content-Type"] == "application/problem+json"

    def test_whatever_is_accepted_it_is_what_it_is(self, client: Client) -> None:
        assert client.get(YAML, headers={"accept": "text/html"}).status_code == 200

    def test_it_is_not_sniffed_and_has_a_name(self, client: Client) -> None:
        answer = client.get(YAML)
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Disposition"] == 'inline; filename="asyncapi.yaml"'


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ticketauth.asyncapi", None)
    with pytest.raises(Misconfigured, match=r"pip install 'ticketauth\[asyncapi\]'"):
        documents.document("https://x.example")


class TestAddresses:
    def host(self, client: Client, **extra: Any) -> str:
        return json.loads(client.get(JSON, **extra).content)["servers"]["websocket"]["host"]

    def test_the_public_one(self, client: Client) -> None:
        assert self.host(client, headers={"host": "evil.example"}) == "sockets.example"

    def test_without_one_that_of_the_request(self, client: Client, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": []}
        assert self.host(client, headers={"host": "laptop:8000"}) == "laptop:8000"

    def test_invented_hosts_are_not_kept_forever(self, client: Client, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": []}
        for number in range(documents.KEPT + 4):
            client.get(JSON, headers={"host": f"evil{number}.example"})
        assert documents.document.cache_info().currsize == documents.KEPT

    def test_at_an_invented_port_the_project_is_not_walked_again(self, client: Client, settings, monkeypatch) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": []}
        answers = [client.get(YAML, headers={"host": "example.com"})]
        monkeypatch.setattr(project, "contract", None)
        answers += [client.get(YAML, headers={"host": f"example.com:{port}"}) for port in range(1, documents.KEPT + 4)]
        hosts = [yaml.safe_load(answer.content)["servers"]["websocket"]["host"] for answer in answers]
        assert hosts == ["example.com", *(f"example.com:{port}" for port in range(1, documents.KEPT + 4))]
        assert len({answer["ETag"] for answer in answers}) == len(answers)

    def test_at_an_invented_port_the_yaml_is_not_written_again(self, client: Client, settings, monkeypatch) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": []}
        first = client.get(YAML, headers={"host": "example.com"}).content
        write, lengths = render.to_yaml, []

        def counting(made: dict[str, Any]) -> str:
            text = write(made)
            lengths.append(len(text))
            return text

        monkeypatch.setattr(render, "to_yaml", counting)
        client.get(YAML, headers={"host": "example.com:1"})
        assert 0 < sum(lengths) < len(first) / 5

    @pytest.mark.parametrize("address", ["http://[::1]:8000", "http://1", "https://example.com:1", "http://a/mounted"])
    def test_the_yaml_is_that_of_the_whole(self, address: str) -> None:
        documents.as_yaml("http://localhost")
        assert documents.as_yaml(address).content.decode() == render.to_yaml(project.document(address))

    def test_the_page_shows_a_login_by_what_the_user_model_calls_a_name(
        self, settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(User, "USERNAME_FIELD", "email")
        settings.TICKETAUTH = {**settings.TICKETAUTH, "TOKEN_URL": "/api/token/"}
        login = documents.as_page("http://localhost").login
        assert login
        assert '"email": "<user>"' in login.code

    def test_a_host_that_is_not_ours_gets_nothing(self, client: Client, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": []}
        settings.ALLOWED_HOSTS = ["sockets.example"]
        assert client.get(JSON, headers={"host": "evil.example"}).status_code == 400

    def test_it_is_made_once(self, client: Client) -> None:
        client.get(JSON)
        made = documents.document.cache_info().misses
        client.get(YAML)
        client.get(PAGE)
        assert documents.document.cache_info().misses == made


class TestEveryone:
    @pytest.mark.parametrize("path", [JSON, YAML, PAGE])
    def test_nobody_is_asked_who_they_are(self, client: Client, path: str) -> None:
        answer = client.get(path, headers={"authorization": "Bearer nonsense"})
        assert answer.status_code == 200
        assert "Vary" not in answer


@pytest.mark.parametrize("who", ["authenticated", "staff"])
class TestNobody:
    @pytest.mark.parametrize("path", [JSON, YAML])
    def test_a_document_is_401(self, db, client: Client, access, who: str, path: str) -> None:
        access(who)
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"
        assert answer["WWW-Authenticate"] == "Bearer"
        assert answer["Cache-Control"] == "no-store"

    def test_a_bad_token_is_401(self, db, client: Client, access, who: str) -> None:
        access(who)
        answer = client.get(JSON, headers={"authorization": "Bearer nonsense"})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer error="invalid_token"'

    def test_the_page_sends_to_the_login_and_back(self, db, client: Client, access, settings, who: str) -> None:
        access(who)
        settings.LOGIN_URL = "/login/"
        answer = client.get(PAGE + "?x=1")
        assert (answer.status_code, answer["Location"]) == (302, "/login/?next=/ws/docs/%3Fx%3D1")


class TestAuthenticated:
    @pytest.mark.parametrize("path", [JSON, YAML, PAGE])
    def test_a_session_is_enough(self, owner: User, access, path: str) -> None:
        access("authenticated")
        assert logged_in(owner).get(path).status_code == 200

    def test_so_is_a_token_for_the_document(self, owner: User, client: Client, access) -> None:
        access("authenticated")
        assert client.get(JSON, headers=bearer(owner)).status_code == 200

    def test_no_cache_takes_it_for_others(self, owner: User, access) -> None:
        access("authenticated")
        answer = logged_in(owner).get(JSON)
        assert answer["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie"} <= set(answer["Vary"].split(", "))

    def test_a_304_is_for_those_who_may_see_it(self, owner: User, client: Client, access) -> None:
        access("authenticated")
        tag = logged_in(owner).get(JSON)["ETag"]
        assert client.get(JSON, headers={"if-none-match": tag}).status_code == 401


class TestStaff:
    def test_others_are_told_so(self, owner: User, client: Client, access) -> None:
        access("staff")
        for answer in (logged_in(owner).get(JSON), client.get(YAML, headers=bearer(owner))):
            assert answer.status_code == 403
            assert answer["Content-Type"] == "application/problem+json"

    def test_on_the_page_with_a_way_out(self, owner: User, access, settings) -> None:
        access("staff")
        settings.LOGIN_URL = "/login/"
        answer = logged_in(owner).get(PAGE)
        assert answer.status_code == 403
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert b"owner" in answer.content
        assert b'href="/login/?next=/ws/docs/"' in answer.content

    @pytest.mark.parametrize("path", [JSON, YAML, PAGE])
    def test_staff_sees_it(self, staff: User, access, path: str) -> None:
        access("staff")
        assert logged_in(staff).get(path).status_code == 200


class TestPage:
    @pytest.fixture
    def policy(self, client: Client):
        def read(**extra: Any) -> dict[str, str]:
            header = client.get(PAGE, **extra)["Content-Security-Policy"]
            return dict(rule.split(" ", 1) for rule in header.split("; "))

        return read

    def test_it_may_load_its_own_files_and_connect_to_its_own_host(self, policy, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": []}
        assert policy(headers={"host": "laptop:8000"}) == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self' ws://laptop:8000",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "'none'",
        }

    def test_over_https_its_sockets_are_wss(self, policy, settings) -> None:
        settings.TICKETAUTH = {**settings.TICKETAUTH, "PUBLIC_URLS": []}
        assert policy(secure=True, headers={"host": "laptop"})["connect-src"] == "'self' wss://laptop"

    def test_it_may_connect_to_the_public_address_as_well(self, policy) -> None:
        sources = policy(headers={"host": "inside"})["connect-src"].split()
        assert sources == ["'self'", "https://sockets.example", "ws://inside", "wss://sockets.example"]

    def test_its_files_may_be_elsewhere(self, policy, settings) -> None:
        settings.STATIC_URL = "https://cdn.example/static/"
        rules = policy()
        assert {rules[name] for name in ("script-src", "style-src", "img-src")} == {"'self' https://cdn.example"}

    def test_its_other_headers(self, client: Client) -> None:
        answer = client.get(PAGE)
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer["Cache-Control"] == "private, no-cache"

    def test_nothing_in_it_is_inline(self, client: Client) -> None:
        page = client.get(PAGE).content.decode()
        assert " style=" not in page
        assert "<style" not in page
        assert " onclick=" not in page
        assert all(script.startswith((" defer src=", ' type="module" src=')) for script in page.split("<script")[1:])

    def test_it_shows_every_channel_and_operation(self, client: Client) -> None:
        page, document = client.get(PAGE).content.decode(), json.loads(client.get(JSON).content)
        for channel in document["channels"]:
            assert f'id="channel-{channel}"' in page
        for operation in document["operations"]:
            assert (f'id="operation-{operation}"' in page) is ("Ticketauth" not in operation)

    def test_it_shows_the_operations_of_the_library_once(self, client: Client) -> None:
        page = client.get(PAGE).content.decode()
        for word in ("ticketauth.expiring", "ticketauth.renew"):
            assert page.count(f'id="operation-{word}"') == 1
            assert page.count(f'href="#operation-{word}"') == 2  # The menu, and its own anchor.

    def test_the_panel_is_in_it_by_setting_alone(self, client: Client) -> None:
        assert b"try-it" not in client.get(PAGE).content
