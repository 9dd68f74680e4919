"""Connects with pysignalr, as it comes, and says what happens: a line of JSON each. Its settings are the first line of standard input."""

import asyncio
import json
import sys


def say(what: str, value: object) -> None:
    print(json.dumps({what: value}), flush=True)


try:
    from pysignalr.client import SignalRClient
    from pysignalr.protocol.json import JSONProtocol
    from pysignalr.protocol.messagepack import MessagepackProtocol
except ImportError as error:
    say("missing", f"pysignalr in --python: {error}")
    sys.exit()


async def main(settings: dict) -> None:
    protocol = MessagepackProtocol() if settings["protocol"] == "messagepack" else JSONProtocol()
    client = SignalRClient(settings["url"], headers=settings.get("headers") or {}, protocol=protocol)

    async def opened() -> None:
        say("open", True)

    async def closed() -> None:
        say("closed", True)

    async def told(arguments: list) -> None:
        say("told", arguments)

    client.on_open(opened)
    client.on_close(closed)
    client.on("told", told)
    await client.run()


try:
    asyncio.run(main(json.loads(sys.stdin.readline())))
except Exception as error:
    say("failed", repr(error))
