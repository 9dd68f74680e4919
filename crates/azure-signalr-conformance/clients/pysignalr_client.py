"""Connects with the unmodified pysignalr. Input is a line of JSON with the settings; output is a line of JSON for each event."""

import asyncio
import json
import sys


def emit(event: str, value: object) -> None:
    print(json.dumps({event: value}), flush=True)


try:
    from pysignalr.client import SignalRClient
    from pysignalr.protocol.json import JSONProtocol
    from pysignalr.protocol.messagepack import MessagepackProtocol
except ImportError as error:
    emit("missing", f"pysignalr in --python: {error}")
    sys.exit()


async def main(settings: dict) -> None:
    protocol = MessagepackProtocol() if settings["protocol"] == "messagepack" else JSONProtocol()
    client = SignalRClient(settings["url"], headers=settings.get("headers") or {}, protocol=protocol)

    async def opened() -> None:
        emit("open", True)

    async def closed() -> None:
        emit("closed", True)

    async def received(arguments: list) -> None:
        emit("received", arguments)

    client.on_open(opened)
    client.on_close(closed)
    client.on("receive", received)
    await client.run()


try:
    asyncio.run(main(json.loads(sys.stdin.readline())))
except Exception as error:
    emit("failed", repr(error))
