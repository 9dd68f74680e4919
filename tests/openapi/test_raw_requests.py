"""The handler answers requests of any form as docs/openapi.yaml describes: bodies, principals and paths.

The generated requests are the same in every run. Most go to the handler without a Functions host, which rejects some.
"""

import base64
import http.client
import json
from urllib.parse import quote, urlencode, urlsplit

import hypothesis
import pytest
import requests
from hypothesis import strategies as st

from callers import ANN, NAMES
from http_api import CHECKS, operations, schema

settings = hypothesis.settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)

OPERATIONS = operations()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text() | st.sampled_from(["claims", "userDetails"]), values),
    max_leaves=8,
)
# Any JSON, objects with the fields that are known, and any bytes.
BODIES = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.text() | JSON,
            "room": st.text("games") | JSON,
            "recipient": st.text() | JSON,
            "nickname": JSON,
            "sender": JSON,
            "id": JSON,
            "scopes": st.lists(st.sampled_from(["voip.join", "chat"]) | JSON, max_size=3),
            "expiresInMinutes": st.integers(0, 2_000) | JSON,
        },
    ).map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")),
    st.binary(max_size=200),
)
CONTENT_TYPES = st.sampled_from(
    ["application/json", "APPLICATION/JSON; charset=utf-8", "application/jsonx", "text/plain", ""]
)

# Values of a header: bytes without control characters.
HEADER_VALUES = st.binary(max_size=100).map(
    lambda value: bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F).strip()
)
PRINCIPALS = st.fixed_dictionaries(
    {},
    optional={
        "x-ms-client-principal": HEADER_VALUES | JSON.map(lambda value: base64.b64encode(json.dumps(value).encode())),
        "x-ms-client-principal-name": HEADER_VALUES | st.text(max_size=100).map(lambda text: quote(text).encode()),
        "x-ms-client-principal-id": HEADER_VALUES,
        "x-ms-client-principal-idp": HEADER_VALUES | st.sampled_from([b"aad", b"github"]),
        "authorization": HEADER_VALUES.map(lambda value: b"Bearer " + value),
    },
)
POSITIONS = st.tuples(st.integers(0, 10**8 - 1), st.integers(0, 10**10 - 1)).map(lambda pair: "%08d.%010d" % pair)
QUERIES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["before", "after"]), POSITIONS | st.text(max_size=20)),
        st.tuples(st.just("limit"), st.integers(-1, 200).map(str) | st.text(max_size=5)),
        st.tuples(
            st.sampled_from(["private", "room", "with"]), st.sampled_from(["", "true", "games", "ann"]) | st.text()
        ),
    ),
    max_size=3,
)


def check(name, response, **parts):
    """Checks that the response conforms to the description, and that no service failed."""
    path, method, _ = OPERATIONS[name]
    schema[path][method.upper()].Case(**parts).validate_response(response, checks=CHECKS)


@hypothesis.given(body=BODIES, content_type=CONTENT_TYPES, caller=st.sampled_from([ANN, {}]))
@settings
def test_any_message(handler, body, content_type, caller):
    headers = {**caller, "Content-Type": content_type}
    check("sendMessage", requests.post(f"{handler}/messages", data=body, headers=headers, timeout=10))


@hypothesis.given(body=BODIES, content_type=CONTENT_TYPES)
@settings
def test_any_request_for_an_access_token(chat, body, content_type):
    headers = {**chat.sign_in(next(NAMES)), "Content-Type": content_type}
    check("issueAccessToken", requests.post(f"{chat.api}/access-token", data=body, headers=headers, timeout=10))


@pytest.mark.parametrize("name", ["getMe", "negotiate", "listRooms", "revokeAccessTokens"])
@hypothesis.given(headers=PRINCIPALS)
@settings
def test_any_principal(handler, name, headers):
    path, method, _ = OPERATIONS[name]
    # A query that is invalid, so that the store is not needed.
    check(name, requests.request(method, f"{handler}{path}?forget=perhaps", headers=headers, timeout=10))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("getHistory", {}), ("eraseHistory", {}), ("removeMessage", {"at": "00000001.0000000001"})],
)
@hypothesis.given(query=QUERIES, caller=st.sampled_from([ANN, {}]))
@settings
def test_any_query_of_the_history(handler, name, parameters, query, caller):
    path, method, _ = OPERATIONS[name]
    url = f"{handler}{path.format(**parameters)}?{urlencode(query)}"
    check(name, requests.request(method, url, headers=caller, timeout=10), path_parameters=parameters)


@hypothesis.given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    prefix=st.sampled_from(
        ["/", "/api/", "/api/rooms/", "/api/rooms/games/members/", "/api/access-token?", "/api/messages/"]
    ),
    rest=st.text(st.sampled_from("/%.?&=;:@+~aZ09_-"), max_size=30) | st.text(max_size=30).map(quote),
)
@settings
def test_any_path(handler, method, prefix, rest):
    url = urlsplit(handler)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    connection.request(method, prefix + rest, headers=ANN)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status < 500, body
    if response.status >= 400 and method != "HEAD":
        error = json.loads(body)["error"]
        assert error.keys() == {"code", "message"} and error["message"]


def test_positions_of_a_history_are_those_of_its_messages(handler):
    for text in ("a", "b"):
        message = {"text": text, "room": "positions"}
        requests.post(f"{handler}/messages", json=message, headers=ANN, timeout=10).raise_for_status()
    history = f"{handler}/history?room=positions"
    messages = requests.get(history, timeout=10).json()["messages"]
    known = {message[name] for message in messages for name in ("at", "next")}
    part, end = max(known).split(".")
    for offset in range(int(end) + 2):
        position = f"{part}.{offset:010}"
        for name in ("before", "after"):
            response = requests.get(f"{history}&{name}={position}", timeout=10)
            check("getHistory", response)
            assert response.ok == (position in known), f"{name}={position} {known}"
