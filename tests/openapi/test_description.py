"""docs/openapi.yaml describes every function and every error code of the handler, and no others."""

import json
import re
from pathlib import Path

from http_api import DESCRIPTION, METHODS

ROOT = Path(__file__).resolve().parents[2]

# Codes that are in no response of an operation.
NOT_OF_AN_OPERATION = {
    (500, "internal"): "a bug",
    (500, "not_forwarded"): "a wrong host.json",
}


def test_every_function_is_described_and_no_other():
    described = {
        path: {method for method in item if method in METHODS} for path, item in DESCRIPTION["paths"].items()
    }
    assert described == {f"/{route}": set(methods) for route, methods in functions()}


def functions():
    """The route and the methods of each function."""
    for file in ROOT.glob("*/function.json"):
        trigger = next(item for item in json.loads(file.read_text())["bindings"] if item["type"] == "httpTrigger")
        yield trigger["route"], trigger["methods"]


def test_every_error_code_of_the_handler_is_described_and_no_other():
    source = (ROOT / "src/error.rs").read_text()
    raised = {(int(status), code) for status, code in re.findall(r'\(\s*([45]\d\d),\s*"([a-z_]+)"', source)}
    assert raised - NOT_OF_AN_OPERATION.keys() == described_codes()


def described_codes():
    """Status and code of every error that the description has, for an operation or for other methods."""
    responses = DESCRIPTION["components"]["responses"]
    used = {
        (int(status), response["$ref"].rpartition("/")[2])
        for item in DESCRIPTION["paths"].values()
        for method, operation in item.items()
        if method in METHODS
        for status, response in operation["responses"].items()
    }
    assert {name for _, name in used} == responses.keys() - {"MethodNotAllowed"}
    used.add((405, "MethodNotAllowed"))
    return {(status, code) for status, name in used if status >= 400 for code in codes(responses[name])}


def codes(response):
    """The codes of an error response."""
    _, specific = response["content"]["application/json"]["schema"]["allOf"]
    return specific["properties"]["error"]["properties"]["code"]["enum"]


def test_every_path_parameter_is_described():
    for path, item in DESCRIPTION["paths"].items():
        declared = [parameter["$ref"].rpartition("/")[2] for parameter in item.get("parameters", [])]
        assert declared == re.findall(r"\{(\w+)\}", path), path
