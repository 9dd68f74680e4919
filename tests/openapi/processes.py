"""Starts the programs of this repository for tests."""

import os
import re
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import requests

BINARIES = Path(__file__).resolve().parents[2] / "target/debug"

START_TIMEOUT = 20


@contextmanager
def chat(folder: Path, *arguments: str, settings: dict[str, str] | None = None):
    """Runs `chat` with free ports in `folder`; its value are the lines that it prints at start."""
    command = [BINARIES / "chat", *arguments]
    environment = _environment(settings)
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready"):
                break
        try:
            assert lines and lines[-1].startswith("ready"), lines
            yield "".join(lines)
        finally:
            process.terminate()
    assert process.returncode == 0


@contextmanager
def handler(settings: dict[str, str]):
    """Runs `handler` as a Functions host starts it; its value is its URL."""
    port = _free_port()
    environment = _environment({"FUNCTIONS_CUSTOMHANDLER_PORT": str(port), **settings})
    with subprocess.Popen([BINARIES / "handler"], env=environment) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url, process)
            yield url
        finally:
            process.terminate()


def printed(label: str, lines: str) -> str:
    """The value that `chat` has printed after `label`."""
    found = re.search(rf"^ *{label} +(\S+)$", lines, re.MULTILINE)
    assert found, f"{label} is not in {lines}"
    return found[1]


def _environment(settings: dict[str, str] | None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "RUST_LOG": "off", **(settings or {})}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_for(url: str, process: subprocess.Popen):
    end = time.monotonic() + START_TIMEOUT
    while True:
        try:
            requests.get(url, timeout=START_TIMEOUT)
            return
        except requests.ConnectionError:
            assert process.poll() is None and time.monotonic() < end, "the handler does not listen"
            time.sleep(0.02)
