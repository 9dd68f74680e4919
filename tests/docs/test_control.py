"""CONTROL.md of the emulator: each call of the control API, as written there."""

import json

import pytest

from markdown_pages import PAGES, ROOT

CALLS = list(PAGES["crates/azure-signalr-emulator/CONTROL.md"].commands())
FAULTS = [call for call in CALLS if "/emulator/faults -d" in call.text]


@pytest.mark.runs(*(call.text for call in CALLS))
def test_every_call_of_the_control_api_works(sandbox):
    sandbox.variables |= {
        "PATH": f"{ROOT}/target/debug:{sandbox.variables['PATH']}",
        "E": "http://localhost:8888",
        "J": "Content-Type: application/json",
    }
    sandbox.start("chat emulator")
    printed = dict(zip([call.text for call in CALLS], sandbox.run_each(CALLS), strict=True))
    assert printed["curl $E/emulator/"].startswith("# The control API")
    for shown in ("hubs", "users", "groups", "calls", "frames", "posts"):
        json.loads(printed[f"curl $E/emulator/{shown}"])
    ids = [json.loads(printed[call.text])["id"] for call in FAULTS]
    assert ids == [*range(1, len(FAULTS) + 1)]
    assert [fault["id"] for fault in json.loads(printed["curl $E/emulator/faults"])["faults"]] == ids
    for command in ("drop", "freeze", "thaw", "expire"):
        (answer,) = [text for call, text in printed.items() if f"connections/{command}" in call]
        assert json.loads(answer)["code"], "no connection matches"
