"""Every error that docs/openapi.yaml describes is a response of the handler, and conforms to the description."""

import shutil

import pytest
import requests

import processes
from callers import ANN
from http_api import CONFORMANCE, DESCRIPTION, operations, schema

OPERATIONS = operations()

# A position in no history.
NOWHERE = "00000001.0000000001"

# Success for a person who has signed in, or 404 for a connection that does not exist.
VALID = {
    "sendMessage": {"body": {"text": "hi"}},
    "listMembers": {"path_parameters": {"room": "games"}},
    "enterRoom": {"path_parameters": {"room": "games", "connectionId": "gone"}},
    "leaveRoom": {"path_parameters": {"room": "games", "connectionId": "gone"}},
    "eraseHistory": {"query": {"private": ""}},
    "removeMessage": {"path_parameters": {"at": NOWHERE}},
}

# Operations that need a caller.
SECURED = {name for name, (_, _, operation) in OPERATIONS.items() if operation.get("security") != []}
NEGOTIATIONS = {"negotiate", "getSignalRInfo", "postSignalRInfo"}
# Operations for which every call needs the SignalR service.
OF_THE_SERVICE = {"sendMessage", "listMembers", "enterRoom", "leaveRoom"}
TOKENS = {"issueAccessToken", "revokeAccessTokens"}
HISTORY = {"getHistory", "eraseHistory", "removeMessage"}

# Changes of a valid request, with status and code of the response.
INVALID = [
    ("sendMessage", {"body": {"text": " "}}, 400, "invalid_message"),
    ("sendMessage", {"body": {"text": "hi", "room": "unlisted"}}, 404, "unknown_room"),
    ("sendMessage", {"body": {"text": "x" * 65_536}}, 413, "too_large"),
    ("sendMessage", {"body": "hi", "media_type": "text/plain"}, 415, "unsupported_media_type"),
    ("listMembers", {"path_parameters": {"room": "a b"}}, 400, "invalid_request"),
    ("listMembers", {"path_parameters": {"room": "unlisted"}}, 404, "unknown_room"),
    ("enterRoom", {"path_parameters": {"room": "a b", "connectionId": "gone"}}, 400, "invalid_request"),
    ("enterRoom", {"path_parameters": {"room": "unlisted", "connectionId": "gone"}}, 404, "unknown_room"),
    ("enterRoom", {"path_parameters": {"room": "games", "connectionId": "gone"}}, 404, "unknown_connection"),
    ("leaveRoom", {"path_parameters": {"room": "a b", "connectionId": "gone"}}, 400, "invalid_request"),
    ("leaveRoom", {"path_parameters": {"room": "unlisted", "connectionId": "gone"}}, 404, "unknown_room"),
    ("leaveRoom", {"path_parameters": {"room": "games", "connectionId": "a b"}}, 404, "unknown_connection"),
    ("getHistory", {"query": {"limit": 0}}, 400, "invalid_request"),
    ("getHistory", {"query": {"limit": 101}}, 400, "invalid_request"),
    ("getHistory", {"query": {"room": "games", "private": ""}}, 400, "invalid_request"),
    ("getHistory", {"query": {"before": NOWHERE, "after": NOWHERE}}, 400, "invalid_request"),
    ("getHistory", {"query": {"with": "bob"}}, 400, "invalid_request"),
    ("getHistory", {"query": {"after": "yesterday"}}, 400, "invalid_cursor"),
    ("getHistory", {"query": {"room": "unlisted"}}, 404, "unknown_room"),
    ("eraseHistory", {"query": {}}, 400, "invalid_request"),
    ("eraseHistory", {"query": {"private": "", "room": "games"}}, 400, "invalid_request"),
    ("removeMessage", {"path_parameters": {"at": "yesterday"}}, 400, "invalid_cursor"),
    ("removeMessage", {"query": {"room": "a b"}}, 400, "invalid_request"),
    ("removeMessage", {"query": {"room": "unlisted"}}, 404, "unknown_room"),
    ("issueAccessToken", {"body": {"scopes": []}}, 400, "invalid_request"),
    ("issueAccessToken", {"body": {"scopes": ["chat"]}}, 400, "not_allowed"),
    ("issueAccessToken", {"body": {"other": "x" * 65_536}}, 413, "too_large"),
    ("issueAccessToken", {"body": "hi", "media_type": "text/plain"}, 415, "unsupported_media_type"),
    ("revokeAccessTokens", {"query": {"forget": "perhaps"}}, 400, "invalid_request"),
]

# Operations with a limit of calls, and how many a person may make at once.
LIMITED = {
    "negotiate": 120,
    "getSignalRInfo": 120,
    "postSignalRInfo": 120,
    "sendMessage": 1,
    "getHistory": 240,
    "eraseHistory": 1,
    "removeMessage": 1,
    "enterRoom": 240,
    "leaveRoom": 240,
    "issueAccessToken": 20,
    "revokeAccessTokens": 20,
}

# Errors that need more than a request; tests/contract/ has tests of them.
NEEDS_MORE = {
    403: ("an access token of Entra", SECURED - {"removeMessage"}),
    408: ("eight seconds", {"sendMessage", "issueAccessToken"}),
    429: ("hundreds of rooms", {"listMembers"}),
    500: ("an identity store that fails", TOKENS),
    502: ("an identity or a resource that is rejected", NEGOTIATIONS | TOKENS),
    504: ("a service that does not answer", NEGOTIATIONS | TOKENS | OF_THE_SERVICE),
}


def call(name, url, headers=None, **changes):
    """Status and code of the response to a valid request with `changes`, which conforms to the description."""
    path, method, _ = OPERATIONS[name]
    parts = {**VALID.get(name, {}), **changes}
    if "body" in parts:
        parts.setdefault("media_type", "application/json")
    case = schema[path][method.upper()].Case(**parts)
    response = case.call(base_url=url, headers=headers or {})
    case.validate_response(response, checks=CONFORMANCE)
    return response.status_code, response.json()["error"]["code"] if response.status_code >= 400 else None


def test_every_call_is_answered_while_a_setting_is_missing():
    with processes.handler({}) as url:
        for name in OPERATIONS:
            assert call(name, f"{url}/api", ANN) == (503, "not_configured"), name


def test_a_caller_who_may_not_chat_is_unauthenticated(chat_without_guests):
    for name in SECURED:
        assert call(name, chat_without_guests.api) == (401, "unauthenticated"), name


@pytest.mark.parametrize(("name", "changes", "status", "code"), INVALID)
def test_an_invalid_request_is_rejected(chat_without_guests, name, changes, status, code):
    headers = chat_without_guests.sign_in(f"{name}@contoso.com")
    assert call(name, chat_without_guests.api, headers, **changes) == (status, code)


def test_a_service_that_is_away_is_unavailable(handler_settings):
    nowhere = "Endpoint=http://127.0.0.1:1;AccessKey=hush;Version=1.0;"
    with processes.handler({**handler_settings, "AzureSignalRConnectionString": nowhere}) as url:
        for name in OF_THE_SERVICE:
            assert call(name, f"{url}/api", ANN) == (503, "unavailable"), name


def test_a_service_that_rejects_the_key_is_a_bad_gateway(service, handler_settings):
    wrong_key = service.connection_string("x" * 32)
    with processes.handler({**handler_settings, "AzureSignalRConnectionString": wrong_key}) as url:
        for name in OF_THE_SERVICE:
            assert call(name, f"{url}/api", ANN) == (502, "upstream_rejected"), name


def test_a_history_that_is_away_is_unavailable(handler_settings, tmp_path):
    folder = tmp_path / "history"
    with processes.handler({**handler_settings, "ChatHistory": str(folder), "ChatRooms": "*"}) as url:
        shutil.rmtree(folder, ignore_errors=True)
        folder.write_text("A file in the place of the folder.")
        for name in ("sendMessage", "getHistory", "eraseHistory", "removeMessage", "listRooms"):
            assert call(name, f"{url}/api", ANN) == (503, "history_unavailable"), name


def test_only_the_sender_removes_a_message(chat_without_guests):
    ann, bob = (chat_without_guests.sign_in(name) for name in ("ann@contoso.com", "bob@contoso.com"))
    said = requests.post(f"{chat_without_guests.api}/messages", json={"text": "hi"}, headers=ann, timeout=10).json()
    message = {"path_parameters": {"at": said["at"]}}
    assert call("removeMessage", chat_without_guests.api, bob, **message) == (403, "not_sender")
    assert call("removeMessage", chat_without_guests.api, ann, **message) == (204, None)


def test_what_is_off_is_not_found(handler_settings):
    with processes.handler(handler_settings) as url:
        for name in TOKENS:
            assert call(name, f"{url}/api", ANN) == (404, "not_found"), name
        for name in HISTORY:
            assert call(name, f"{url}/api", ANN) == (404, "history_disabled"), name


@pytest.mark.parametrize("name", LIMITED)
def test_a_caller_with_too_many_calls_is_limited(limited_chat, name):
    headers = limited_chat.sign_in(f"{name}@contoso.com")
    statuses = [call(name, limited_chat.api, headers)[0] for _ in range(LIMITED[name])]
    assert 429 not in statuses
    while (outcome := call(name, limited_chat.api, headers))[0] == statuses[0]:
        # Calls take time, in which more are allowed.
        pass
    assert outcome == (429, "rate_limited")


def test_other_methods_are_not_allowed(handler_settings):
    with processes.handler(handler_settings) as url:
        for path, item in DESCRIPTION["paths"].items():
            described = {method.upper() for method in item if method != "parameters"}
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - described:
                address = url + "/api" + path.format(room="games", connectionId="a", at=NOWHERE)
                response = requests.request(method, address, timeout=10)
                assert response.status_code == 405, f"{method} {path}"
                assert response.json()["error"]["code"] == "method_not_allowed"
                assert set(response.headers["allow"].split(",")) - {"HEAD"} == described, path


def test_every_described_error_is_tested():
    described = {
        (name, int(status))
        for name, (_, _, operation) in OPERATIONS.items()
        for status in operation["responses"]
        if status >= "400"
    }
    tested = {(name, status) for name, _, status, _ in INVALID}
    groups = {503: OPERATIONS, 401: SECURED, 502: OF_THE_SERVICE, 404: TOKENS | HISTORY, 429: LIMITED}
    tested |= {(name, status) for status, names in groups.items() for name in names}
    tested.add(("removeMessage", 403))
    elsewhere = {(name, status) for status, (_, names) in NEEDS_MORE.items() for name in names}
    assert not tested & elsewhere
    assert tested | elsewhere == described
