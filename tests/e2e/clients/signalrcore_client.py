"""Connects with signalrcore, asked for JSON, and prints what arrives."""

import sys
import threading

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol

connection = HubConnectionBuilder().with_url(sys.argv[1]).with_hub_protocol(JsonHubProtocol()).build()
connection.on_open(lambda: print("open", flush=True))
connection.on("newMessage", lambda arguments: print("received", arguments[0]["text"], flush=True))
connection.start()
threading.Event().wait()
