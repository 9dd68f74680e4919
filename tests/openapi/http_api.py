"""docs/openapi.yaml as tests use it: the schema of schemathesis, and the checks of each response."""

from pathlib import Path

import schemathesis
import yaml
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

DESCRIPTION = yaml.safe_load((Path(__file__).resolve().parents[2] / "docs/openapi.yaml").read_text())

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def operations() -> dict[str, tuple[str, str, dict]]:
    """Path, method and description of each operation, by its id."""
    return {
        operation["operationId"]: (path, method, operation)
        for path, item in DESCRIPTION["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def _closed(schema):
    """`schema` without other properties. The description allows them, so that new ones break no client."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # The parts of `allOf` describe one object together.
    closed = {name: value if name == "allOf" else _closed(value) for name, value in schema.items()}
    if "$ref" in schema or "allOf" in schema or isinstance(schema.get("properties"), dict):
        closed["unevaluatedProperties"] = False
    return closed


def _strict(description: dict) -> dict:
    """The description with responses that have no other properties than those described."""
    components = description["components"]
    responses = {
        name: {
            **response,
            "content": {kind: {"schema": _closed(media["schema"])} for kind, media in response["content"].items()},
        }
        if "content" in response
        else response
        for name, response in components["responses"].items()
    }
    # The top level of a schema is closed where a response refers to it: it can be a part of `allOf`.
    schemas = {
        name: {**schema, "properties": _closed(schema["properties"])} if "properties" in schema else schema
        for name, schema in components["schemas"].items()
    }
    return {**description, "components": {**components, "responses": responses, "schemas": schemas}}


schema = schemathesis.openapi.from_dict(_strict(DESCRIPTION))
# The tests set the headers of the caller.
schema.config.generation.update(with_security_parameters=False)


def a_retryable_error_says_when(ctx, response, case):
    """A 503 has a `Retry-After`, except for settings that are missing or invalid."""
    if response.status_code == 503:
        has_one = "retry-after" in response.headers
        is_temporary = response.json()["error"]["code"] != "not_configured"
        assert has_one == is_temporary, response.text


CONFORMANCE = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    a_retryable_error_says_when,
]

# Of a chat whose services work.
CHECKS = [*CONFORMANCE, not_a_server_error]
