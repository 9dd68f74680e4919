"""Connects with the unmodified signalrcore. Input is a line of JSON with the settings; output is a line of JSON for each event."""

import json
import sys


def emit(event: str, value: object) -> None:
    print(json.dumps({event: value}), flush=True)


try:
    from signalrcore.hub_connection_builder import HubConnectionBuilder
except ImportError as error:
    emit("missing", f"signalrcore in --python: {error}")
    sys.exit()

settings = json.loads(sys.stdin.readline())
options = {"headers": settings["headers"]} if settings.get("headers") else {}
try:
    connection = HubConnectionBuilder().with_url(settings["url"], options=options).build()
    connection.on_open(lambda: emit("open", True))
    connection.on_close(lambda: emit("closed", True))
    connection.on("receive", lambda arguments: emit("received", arguments))
    connection.start()
except Exception as error:
    emit("failed", repr(error))
    sys.exit()
# Runs until its input is closed.
sys.stdin.read()
