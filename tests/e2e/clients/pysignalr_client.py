"""Connects with pysignalr and prints events: open, close, and the arguments of received messages.

ACCESS_TOKEN is the access token for a URL that is not a negotiate endpoint.
"""

import argparse
import asyncio
import json
import os

from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

PROTOCOLS = {"json": JSONProtocol, "messagepack": MessagepackProtocol}

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--protocol", choices=PROTOCOLS, default="json")
parser.add_argument("--ping-interval", type=float, default=20, help="seconds between WebSocket pings")
options = parser.parse_args()


async def main() -> None:
    token = os.environ.get("ACCESS_TOKEN")
    client = SignalRClient(
        options.url,
        protocol=PROTOCOLS[options.protocol](),
        headers={"Authorization": f"Bearer {token}"} if token else None,
        ping_interval=options.ping_interval,
    )

    async def opened() -> None:
        print("open", flush=True)

    async def closed() -> None:
        print("close", flush=True)

    async def received(arguments: list) -> None:
        print("received", json.dumps(arguments, ensure_ascii=False, separators=(",", ":")), flush=True)

    async def repeat(arguments: list) -> list:
        return arguments

    client.on_open(opened)
    client.on_close(closed)
    client.on("newMessage", received)
    client.on("repeat", repeat)
    await client.run()


asyncio.run(main())
