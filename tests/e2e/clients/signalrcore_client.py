"""Connects with signalrcore and prints events: open, and the arguments of received messages.

ACCESS_TOKEN is the access token for a URL that is not a negotiate endpoint.
"""

import json
import os
import sys
import threading

from signalrcore.hub_connection_builder import HubConnectionBuilder

token = os.environ.get("ACCESS_TOKEN")
connection = HubConnectionBuilder().with_url(sys.argv[1], {"access_token_factory": lambda: token} if token else None).build()


def received(arguments: list) -> None:
    print("received", json.dumps(arguments, ensure_ascii=False, separators=(",", ":")), flush=True)


connection.on_open(lambda: print("open", flush=True))
connection.on("newMessage", received)
connection.start()
threading.Event().wait()
