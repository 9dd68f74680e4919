"""Every success that docs/openapi.yaml describes is a response of the handler, and conforms to the description."""

import contextlib
import json

import pytest
import requests

import processes
from callers import ANN
from http_api import CHECKS, operations, schema

OPERATIONS = operations()
RECORD_SEPARATOR = "\x1e"


@pytest.fixture
def call(chat):
    """Makes calls that succeed, and checks at the end that there was one of each operation."""
    seen = set()

    def call(name, headers, **parts):
        path, method, operation = OPERATIONS[name]
        if "body" in parts:
            parts["media_type"] = "application/json"
        case = schema[path][method.upper()].Case(**parts)
        response = case.call_and_validate(base_url=chat.api, headers=headers, checks=CHECKS)
        assert response.status_code < 300, f"{name}: {response.status_code} {response.text}"
        seen.add(name)
        return response.json() if response.content else None

    yield call
    assert seen == OPERATIONS.keys()


def test_a_person_uses_every_operation(call, chat):
    ann, guest = chat.sign_in("ann@contoso.com"), {}
    # A list of members is kept for ten seconds, so each caller has a room of their own.
    for room, headers in (("of-ann", ann), ("of-a-guest", guest)):
        access = call("negotiate", headers)
        call("getSignalRInfo", headers)
        call("postSignalRInfo", headers)
        with connection(access) as connection_id:
            member = {"room": room, "connectionId": connection_id}
            # Not as the guest: guests begin no rooms.
            call("enterRoom", ann, path_parameters=member)
            members = call("listMembers", ann, path_parameters={"room": room})
            assert members["people"] or members["guests"]
            call("leaveRoom", ann, path_parameters=member)

    for body in ({"text": "hi"}, {"text": "hi", "room": "Games"}, {"text": "hi", "recipient": "ann@contoso.com"}):
        call("sendMessage", ann, body=body)
    assert call("sendMessage", guest, body={"text": "hi", "nickname": "Zed"})["sender"] == "Zed (guest)"
    call("sendMessage", guest, body={"text": "hi"})

    said = call("sendMessage", ann, body={"text": "to be removed"})
    assert said["live"]
    call("removeMessage", ann, path_parameters={"at": said["at"]})
    for headers, query in (
        (ann, {}),
        (guest, {"limit": 1}),
        (ann, {"room": "Games", "limit": 100}),
        (ann, {"private": ""}),
        (ann, {"private": "true", "with": "ann@contoso.com"}),
        (ann, {"before": said["at"], "limit": 2}),
        (ann, {"after": said["at"]}),
    ):
        assert call("getHistory", headers, query=query)["messages"], query
    assert call("getHistory", ann)["messages"][-1]["removed"]
    call("eraseHistory", ann, query={"private": ""})

    assert call("getMe", ann)["userId"] == "ann@contoso.com"
    call("listRooms", ann)
    call("getFeatures", guest)
    call("issueAccessToken", ann)
    call("issueAccessToken", ann, body={"scopes": ["voip.join"], "expiresInMinutes": 60})
    call("revokeAccessTokens", ann)
    call("revokeAccessTokens", ann, query={"forget": "true"})


def test_a_message_that_is_kept_and_not_published_is_accepted(handler_settings, tmp_path):
    settings = {"AzureSignalRConnectionString": "Endpoint=http://127.0.0.1:1;AccessKey=hush;Version=1.0;"}
    with processes.handler({**handler_settings, **settings, "ChatHistory": str(tmp_path)}) as url:
        case = schema["/messages"]["POST"].Case(body={"text": "hi"}, media_type="application/json")
        response = case.call_and_validate(base_url=f"{url}/api", headers=ANN, checks=CHECKS)
        assert (response.status_code, response.json()["live"]) == (202, False)


@contextlib.contextmanager
def connection(access):
    """A connection by Server-Sent Events with the response of a negotiation; its value is the connection id."""
    url, headers = access["url"], {"Authorization": f"Bearer {access['accessToken']}"}
    negotiate = url.replace("/client/?", "/client/negotiate?negotiateVersion=1&")
    negotiated = requests.post(negotiate, headers=headers, timeout=10).json()
    url = f"{url}&id={negotiated['connectionToken']}"
    with requests.get(url, headers={**headers, "Accept": "text/event-stream"}, stream=True, timeout=10) as events:
        assert events.ok, events.text
        handshake = json.dumps({"protocol": "json", "version": 1}) + RECORD_SEPARATOR
        requests.post(url, headers=headers, data=handshake, timeout=10).raise_for_status()
        # Dropping it would end the connection.
        lines = events.iter_lines()
        response_to_handshake = next(line for line in lines if line.startswith(b"data: "))
        assert response_to_handshake == b"data: {}\x1e"
        yield negotiated["connectionId"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (name, example["value"])
        for name, (_, _, operation) in OPERATIONS.items()
        if "requestBody" in operation
        for example in operation["requestBody"]["content"]["application/json"]["examples"].values()
    ],
)
def test_the_examples_are_valid(chat, name, body):
    path, method, _ = OPERATIONS[name]
    case = schema[path][method.upper()].Case(body=body, media_type="application/json")
    headers = chat.sign_in(f"{name}@contoso.com")
    response = case.call_and_validate(base_url=chat.api, headers=headers, checks=CHECKS)
    assert response.status_code < 300, response.text
