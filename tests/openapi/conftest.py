"""Fixture: `chat emulator` on a free port with a random key."""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """Runs the emulator during the session."""
    folder = tmp_path_factory.mktemp("service")
    key = secrets.token_urlsafe(32)
    keys = folder / "keys"
    keys.write_text(key)
    chat = ROOT / "target/debug/chat"
    command = [chat, "emulator", "--port", "0", "--access-keys", keys]
    environment = {"PATH": os.environ["PATH"], "RUST_LOG": "off"}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        url = None
        for line in process.stdout:
            if found := re.search(r"SignalR +(http://\S+)", line):
                url = found[1]
            if line.startswith("ready"):
                break
        assert url, "the emulator did not print its URL"
        try:
            yield Service(url, key)
        finally:
            process.terminate()
    assert process.returncode == 0
