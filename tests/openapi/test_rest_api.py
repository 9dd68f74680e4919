"""The REST API of the emulator conforms to openapi.yaml, tested with generated requests of schemathesis.

The generated requests are the same in every run.
"""

from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import schemathesis
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

DESCRIPTION = Path(__file__).resolve().parents[2] / "crates/azure-signalr-emulator/openapi.yaml"

schema = schemathesis.openapi.from_path(DESCRIPTION)

# openapi.yaml has no status 500, so the status check detects it.
CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]

settings = hypothesis.settings(
    max_examples=20,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@schema.parametrize()
@settings
def test_responses_conform_to_the_description(case, service):
    path = urlsplit(case.as_transport_kwargs(base_url=service.url)["url"]).path
    headers = {"Authorization": f"Bearer {service.token(path)}"}
    response = case.call(base_url=service.url, headers=headers)
    case.validate_response(response, checks=CHECKS)


@schema.parametrize()
@hypothesis.settings(settings, max_examples=3)
def test_requests_without_a_token_are_rejected(case, service):
    response = case.call(base_url=service.url)
    # Some generated names exceed the maximum length of a URL.
    hypothesis.assume(response.status_code != 414)
    expected = 200 if case.path == "/api/health" else 401
    # A method that the path does not support is rejected without a token.
    is_supported = case.method == case.operation.method.upper()
    assert response.status_code == (expected if is_supported else 405), response.text
