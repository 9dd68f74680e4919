"""The control API of the emulator: each of its calls, as its page shows it."""

import json

import pytest

from pages import PAGES, ROOT

CALLS = list(PAGES["crates/azure-signalr-emulator/CONTROL.md"].commands())
FAULTS = [call for call in CALLS if "/emulator/faults -d" in call.text]


@pytest.mark.runs(*(call.text for call in CALLS))
def test_the_service_shows_what_it_sees_and_does_what_it_is_told(machine):
    machine.variables |= {
        "PATH": f"{ROOT}/target/debug:{machine.variables['PATH']}",
        "E": "http://localhost:8888",
        "J": "Content-Type: application/json",
    }
    machine.start("handler emulator")
    printed = dict(zip([call.text for call in CALLS], machine.run_each(CALLS), strict=True))
    assert printed["curl $E/emulator/"].startswith("# The control API")
    for shown in ("hubs", "users", "groups", "calls", "frames", "posts"):
        json.loads(printed[f"curl $E/emulator/{shown}"])
    ids = [json.loads(printed[call.text])["id"] for call in FAULTS]
    assert ids == [*range(1, len(FAULTS) + 1)]
    assert [fault["id"] for fault in json.loads(printed["curl $E/emulator/faults"])["faults"]] == ids
    for order in ("drop", "freeze", "thaw", "expire"):
        (answer,) = [text for call, text in printed.items() if f"connections/{order}" in call]
        assert json.loads(answer)["code"], "nobody is connected who fits"
