"""Connects with signalrcore, as it comes, and says what happens: a line of JSON each. Its settings are the first line of standard input."""

import json
import sys


def say(what: str, value: object) -> None:
    print(json.dumps({what: value}), flush=True)


try:
    from signalrcore.hub_connection_builder import HubConnectionBuilder
except ImportError as error:
    say("missing", f"signalrcore in --python: {error}")
    sys.exit()

settings = json.loads(sys.stdin.readline())
options = {"headers": settings["headers"]} if settings.get("headers") else {}
try:
    connection = HubConnectionBuilder().with_url(settings["url"], options=options).build()
    connection.on_open(lambda: say("open", True))
    connection.on_close(lambda: say("closed", True))
    connection.on("told", lambda arguments: say("told", arguments))
    connection.start()
except Exception as error:
    say("failed", repr(error))
    sys.exit()
# Goes on until whoever drives it is gone.
sys.stdin.read()
