"""The HTTP API of the chat conforms to docs/openapi.yaml, tested with generated requests to the local stack.

The generated requests are the same in every run.
"""

import hypothesis
import pytest
from schemathesis.specs.openapi.checks import negative_data_rejection

from callers import NAMES
from http_api import CHECKS, schema

settings = hypothesis.settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)

@pytest.fixture(scope="session")
def ann(chat):
    """The headers of a person who has signed in."""
    return chat.sign_in("ann@contoso.com")


@schema.parametrize()
@settings
def test_a_person_who_has_signed_in_gets_what_is_described(case, chat, ann):
    # A person gets 20 access tokens at once.
    headers = chat.sign_in(next(NAMES)) if case.path == "/access-token" else ann
    response = send(case, chat, headers)
    case.validate_response(response, checks=[*CHECKS, negative_data_rejection, valid_data_is_not_malformed])


def valid_data_is_not_malformed(ctx, response, case):
    """Data with the described types and patterns breaks at most the rules that the description has in words."""
    query = (case.query or {}).keys()
    # Parameters of the history that exclude each other, and a user id, which has to be visible.
    has_rules_in_words = "with" in query or query >= {"room", "private"} or query >= {"before", "after"}
    if case.meta.generation.mode.is_positive and response.status_code == 400 and not has_rules_in_words:
        assert response.json()["error"]["code"] in ("invalid_message", "invalid_cursor", "not_allowed"), response.text


@schema.parametrize()
@settings
def test_a_guest_gets_what_is_described(case, chat):
    response = send(case, chat, {})
    case.validate_response(response, checks=CHECKS)
    if {} not in case.operation.definition.raw.get("security", [{}]) and case.path != "/features":
        # A guest is told what is wrong with a query.
        is_valid = case.meta.generation.mode.is_positive
        assert response.status_code in ((401,) if is_valid else (400, 401)), response.text


@schema.parametrize()
@hypothesis.settings(settings, max_examples=5)
def test_a_caller_who_may_not_chat_is_rejected(case, chat_without_guests):
    response = send(case, chat_without_guests, {})
    case.validate_response(response, checks=CHECKS)
    assert response.status_code == (200 if case.path == "/features" else 401), response.text


def send(case, chat, headers):
    """The response to a request that the Functions host forwards."""
    response = case.call(base_url=chat.api, headers=headers)
    # Some generated paths exceed the maximum length of a URL.
    hypothesis.assume(response.status_code != 414)
    # The host answers methods that no function declares.
    if case.method.lower() not in schema.raw_schema["paths"][case.path]:
        assert (response.status_code, response.content) == (404, b""), response.text
        hypothesis.reject()
    return response
