"""Connects with pysignalr, as it comes, and prints what arrives."""

import asyncio
import sys

from pysignalr.client import SignalRClient


async def main(url: str) -> None:
    client = SignalRClient(url)

    async def opened() -> None:
        print("open", flush=True)

    async def received(arguments: list[dict]) -> None:
        print("received", arguments[0]["text"], flush=True)

    client.on_open(opened)
    client.on("newMessage", received)
    await client.run()


asyncio.run(main(sys.argv[1]))
