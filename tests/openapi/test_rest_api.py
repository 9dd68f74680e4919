"""The description of the REST API and the service agree, whatever is sent: schemathesis makes the requests and looks at the answers.

Requests are the same every time, so that a run says something about the code and not about luck.
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

# A 500 is described nowhere, so the last of them finds it.
AGREEMENT = [
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
def test_the_service_answers_as_it_is_described(case, service):
    path = urlsplit(case.as_transport_kwargs(base_url=service.url)["url"]).path
    headers = {"Authorization": f"Bearer {service.token(path)}"}
    answer = case.call(base_url=service.url, headers=headers)
    case.validate_response(answer, checks=AGREEMENT)


@schema.parametrize()
@hypothesis.settings(settings, max_examples=3)
def test_without_a_token_nothing_is_done(case, service):
    answer = case.call(base_url=service.url)
    # Some names are so long, once they are escaped, that nobody's request is read.
    hypothesis.assume(answer.status_code != 414)
    expected = 200 if case.path == "/api/health" else 401
    # Some requests have a method the path does not know, which nobody needs a token to learn.
    is_known = case.method == case.operation.method.upper()
    assert answer.status_code == (expected if is_known else 405), answer.text
