"""Fixtures: the emulator of the SignalR service, and the chat in front of it."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import requests

import processes


@dataclass(frozen=True)
class Service:
    """The URL and the access key of the emulator."""

    url: str
    key: str

    def token(self, path: str) -> str:
        """An access token for one path."""

        def part(value: dict) -> bytes:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

        claims = {"aud": self.url + path, "exp": int(time.time()) + 3600}
        signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
        signature = hmac.new(self.key.encode(), signed, hashlib.sha256).digest()
        return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()

    def connection_string(self, key: str | None = None) -> str:
        return f"Endpoint={self.url};AccessKey={key or self.key};Version=1.0;"


@dataclass(frozen=True)
class Chat:
    """The local stack: sign-in, Functions host and handler."""

    url: str

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def sign_in(self, name: str) -> dict[str, str]:
        """The headers of a person who has signed in."""
        response = requests.post(f"{self.url}/.auth/login/aad", json={"access_token": name}, timeout=10)
        return {"X-ZUMO-AUTH": response.json()["authenticationToken"]}


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """Runs the emulator during the session."""
    folder = tmp_path_factory.mktemp("service")
    key = secrets.token_urlsafe(32)
    keys = folder / "keys"
    keys.write_text(key)
    with processes.chat(folder, "emulator", "--port", "0", "--access-keys", str(keys)) as lines:
        yield Service(processes.printed("SignalR", lines), key)


@contextmanager
def local_stack(folder, service, **settings):
    """Runs the local stack with `settings` in front of the emulator."""
    ports = [argument for name in ("page", "api", "communication") for argument in (f"--{name}-port", "0")]
    settings = {"AzureSignalRConnectionString": service.connection_string(), **settings}
    with processes.chat(folder, *ports, settings=settings) as lines:
        yield Chat(processes.printed("functions", lines).removesuffix("/api"))


@pytest.fixture(scope="session")
def chat(service, tmp_path_factory):
    """The local stack with guests, rooms of any name and no limit of messages."""
    with local_stack(tmp_path_factory.mktemp("chat"), service, ChatMessageRate="0", ChatRooms="*") as chat:
        yield chat


@pytest.fixture(scope="session")
def chat_without_guests(service, tmp_path_factory):
    """The local stack without guests, and with the rooms `games` and `support`."""
    settings = {"ChatAllowAnonymous": "false", "ChatRooms": "games,support"}
    with local_stack(tmp_path_factory.mktemp("chat"), service, **settings) as chat:
        yield chat


@pytest.fixture(scope="session")
def limited_chat(service, tmp_path_factory):
    """The local stack in which a person may send one message."""
    settings = {"ChatMessageRate": "1/0.01", "ChatRooms": "games"}
    with local_stack(tmp_path_factory.mktemp("chat"), service, **settings) as chat:
        yield chat


@pytest.fixture(scope="session")
def handler_settings(service):
    """Settings of a handler behind App Service authentication, in front of the emulator."""
    return {
        "AzureSignalRConnectionString": service.connection_string(),
        "WEBSITE_AUTH_ENABLED": "True",
        "ChatRooms": "games",
    }


@pytest.fixture(scope="session")
def handler(handler_settings, tmp_path_factory):
    """The URL of the API of a handler with guests, a history and no limit of messages, without a Functions host."""
    settings = {
        "ChatHistory": str(tmp_path_factory.mktemp("history")),
        "ChatAllowAnonymous": "true",
        "ChatMessageRate": "0",
        "ChatRooms": "games,positions",
        # Services that are away.
        "AzureCommunicationServicesConnectionString": "endpoint=http://127.0.0.1:1/;accesskey=aHVzaA==",
        "ChatIdentityStore": "http://127.0.0.1:1/account/identities?sv=2026-06-06&sr=c&sp=rcwd&se=2999-01-01&sig=x",
    }
    with processes.handler({**handler_settings, **settings}) as url:
        yield f"{url}/api"
