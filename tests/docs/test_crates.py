"""Runs the commands in the READMEs of the crates. Cargo compiles and runs the Rust in them."""

import json
import re

import pytest

from markdown_pages import PAGES

CONFORMANCE = PAGES["crates/azure-signalr-conformance/README.md"]["Run it"].blocks[0]
SIGNALR_EMULATOR = "cargo run -p azure-signalr-emulator"
SERVE = "cargo run -p azure-communication-emulator --example serve"


@pytest.mark.runs(SIGNALR_EMULATOR)
def test_the_signalr_emulator_runs_alone(sandbox):
    printed = sandbox.start(SIGNALR_EMULATOR).printed
    endpoint = re.search(r"^ +connection +Endpoint=(http://[^;]+);AccessKey=", printed, re.MULTILINE)[1]
    assert sandbox.run(f"curl -s -o answer -w '%{{http_code}}' {endpoint}/api/health") == "200"


@pytest.mark.runs(SERVE)
def test_the_communication_emulator_serves_both_apis(sandbox):
    printed = sandbox.start(SERVE).printed
    endpoint = re.search(r"^connection +endpoint=(http://[^/]+)/;accesskey=", printed, re.MULTILINE)[1]
    assert json.loads(sandbox.run(f"curl -s {endpoint}/_emulator/identities")) == []
    assert json.loads(sandbox.run(f"curl -s -X POST {endpoint}/identities"))["error"]["code"] == "Denied"


@pytest.mark.runs(CONFORMANCE)
def test_the_emulator_passes_the_first_cases_of_the_suite(sandbox):
    start_emulator, set_connection_string, run_suite = CONFORMANCE.commands
    sandbox.start(start_emulator)
    sandbox.compare(CONFORMANCE, sandbox.run(set_connection_string, run_suite))
