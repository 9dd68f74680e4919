"""Runs all operations of the published identity client and prints the results as one JSON object.

communication_client.py sync|async ENDPOINT KEY         with the constructor, which keeps the scheme
communication_client.py tls CONNECTION_STRING CA_FILE   with a connection string, which implies https
"""

import asyncio
import inspect
import json
import sys
import time

from azure.communication.chat import CommunicationTokenCredential
from azure.communication.chat.aio import CommunicationTokenCredential as AsyncCommunicationTokenCredential
from azure.communication.identity import CommunicationIdentityClient
from azure.communication.identity.aio import CommunicationIdentityClient as AsyncCommunicationIdentityClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError


async def resolve(result):
    """The result of a call of the sync or the async client."""
    return await result if inspect.isawaitable(result) else result


async def round_trip(client, credential) -> dict:
    started = time.monotonic()
    user = await resolve(client.create_user())
    seconds = time.monotonic() - started
    issued = await resolve(client.get_token(user, ["chat", "voip"]))
    other, created = await resolve(client.create_user_and_token(["voip.join"]))
    read = [(await resolve(credential(token.token).get_token())).expires_on for token in (issued, created)]
    await resolve(client.revoke_tokens(user))
    await resolve(client.delete_user(user))
    try:
        after_delete = await resolve(client.get_token(user, ["chat"]))
    except HttpResponseError as error:
        after_delete = [error.status_code, error.error.code]
    return {
        "users": [user.properties["id"], other.properties["id"]],
        "tokens": [issued.token, created.token],
        "expiresOn": [issued.expires_on, created.expires_on],
        "read": read,
        "afterDelete": after_delete,
        "secondsToCreate": seconds,
    }


async def main(flavour: str, *where: str) -> dict:
    if flavour == "async":
        endpoint, key = where
        async with AsyncCommunicationIdentityClient(endpoint, AzureKeyCredential(key)) as client:
            return await round_trip(client, AsyncCommunicationTokenCredential)
    if flavour == "tls":
        connection_string, ca_file = where
        client = CommunicationIdentityClient.from_connection_string(connection_string, connection_verify=ca_file)
    else:
        endpoint, key = where
        client = CommunicationIdentityClient(endpoint, AzureKeyCredential(key))
    return await round_trip(client, CommunicationTokenCredential)


try:
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
except HttpResponseError as error:
    print(json.dumps({"error": [error.status_code, error.error.code]}))
