"""docs/deploy.md: the steps by hand as one walk there and back, and the check of each step.

Azure is not here. On the walk `az`, `azd` and `func` are stand-ins: so the shell understands all lines, and they fit together. The package,
the page and its upload are real. What a check asks is asked of the chat on this machine.
"""

import base64
import json
import re
import secrets
import zipfile

import pytest

import elsewhere
import stand_ins
from pages import PAGES, ROOT
from stand_ins import StandIns

DEPLOY = PAGES["docs/deploy.md"]
STEPS = [block for section in DEPLOY.between("The steps by hand", "Where addresses have to agree") for block in section.blocks]
CORS = [code for row in DEPLOY["7. CORS, in both places"].rows for code in re.findall(r"`(az .+?)`", row[-1])]
UNDO = DEPLOY["Undo it"].blocks

AZURITE = "node tests/e2e/node_modules/azurite/dist/src/blob/main.js --silent --disableTelemetry --skipApiVersionCheck"

# Where the chat on this machine says less than Azure.
SHORTER = {"Content-Type: text/html; charset=utf-8": "Content-Type: text/html"}


@pytest.fixture
def azure(machine, tmp_path) -> StandIns:
    """What there is of Azure: stand-ins for its tools, and Azurite for the storage account of the page."""
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    storage = f"AccountName={stand_ins.ACCOUNT};AccountKey={key};BlobEndpoint=http://127.0.0.1:10000/{stand_ins.ACCOUNT};"
    machine.variables |= {
        "PATH": f"{tmp_path}:{machine.variables['PATH']}",
        "AZURITE_ACCOUNTS": f"{stand_ins.ACCOUNT}:{key}",
        "AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{storage}",
    }
    machine.start(f"{AZURITE} --location {tmp_path}", ready="successfully listens")
    return StandIns(tmp_path)


@pytest.mark.runs(*STEPS, *UNDO)
def test_the_steps_by_hand_lead_there_and_back(machine, azure):
    # All in one shell, since the steps share their variables.
    steps = [command for block in STEPS for command in block.commands]
    looks = ["cat authentication.json", "cmp handler target/package/handler; cmp local.settings.json*", "(cd target/publish && find * -type f)"]
    undo = [command for block in UNDO for command in block.commands]
    printed = machine.run_each([*steps, *CORS, *looks, *undo, "ls"])

    rest = iter(printed)
    for block in STEPS:
        machine.compare(block, "".join(next(rest) for _ in block.commands))
    sign_in, _, published = printed[len(steps) + len(CORS) :][: len(looks)]
    assert_people_are_sent_back_to_the_page(json.loads(sign_in)["properties"])
    assert sorted(published.split()) == zipfile.ZipFile(ROOT / "target/package/handler.zip").namelist()
    assert "authentication.json" not in printed[-1]

    assert azure.calls("func") == ["azure functionapp publish my-chat-api --custom"]
    assert azure.calls("az functionapp cors add")[0].endswith(f"--allowed-origins {stand_ins.PAGE}"), "without the slash"
    assert azure.calls("az signalr cors update")[0].endswith(f"--allowed-origins {stand_ins.PAGE}"), "without the slash"
    assert f"https://{stand_ins.API}/.auth/login/aad/callback" in azure.calls("az ad app create")[0]
    assert azure.calls("az ad app delete") == [f"--id {stand_ins.CLIENT}"]


def assert_people_are_sent_back_to_the_page(properties):
    assert properties["login"]["allowedExternalRedirectUrls"] == [stand_ins.PAGE, f"{stand_ins.PAGE}/"]
    assert properties["identityProviders"]["azureActiveDirectory"]["registration"]["clientId"] == stand_ins.CLIENT


def checks() -> list[tuple[str, str]]:
    """The lines of the table that can run here, each with what it says to expect."""
    found, line = [], ""
    for _, said, expected in DEPLOY["Check each step"].rows:
        line = line if said == "the same" else said.strip("`")
        if not elsewhere.reason(line):
            found.append((line, expected))
    return found


@pytest.mark.runs(*(line for line, _ in checks()))
def test_each_check_is_answered_as_the_table_says(machine, subtests):
    start_chat(machine, ChatAllowAnonymous="false")
    for line, expected in checks():
        with subtests.test(line, expected=expected):
            assert_answers(re.sub(r" \(.*\)", "", expected), machine.run(line), machine.variables)


DOCTOR = DEPLOY["Check each step"].blocks[0]


@pytest.mark.runs(DOCTOR)
def test_the_doctor_finds_what_is_deployed_well(machine):
    start_chat(machine, ChatAllowAnonymous="false")
    assert "All is well" in machine.run(*DOCTOR.commands)


def test_where_guests_may_come_a_check_is_answered_otherwise(machine):
    ((line, expected),) = [check for check in checks() if "where guests may come" in check[1]]
    start_chat(machine, ChatAllowAnonymous="true")
    assert_answers(re.search(r"\((.*) where guests may come\)", expected)[1], machine.run(line), machine.variables)


def start_chat(machine, **settings):
    """The chat on this machine, with the variables that the steps would have set."""
    machine.variables |= settings
    chat = machine.start("make run")
    (page,) = re.findall(r"^  page +(\S+)", chat.printed, re.MULTILINE)
    (api,) = re.findall(r"^  functions +(\S+)/api", chat.printed, re.MULTILINE)
    machine.variables |= {"site": f"{page}/", "origin": page, "apiUrl": api}


def assert_answers(expected, answer, variables):
    """Compares an answer with a cell: a status first, if any, and what is between backticks; "no" and "not" deny them."""
    denied = re.match(r"not? ", expected)
    expected = expected.removeprefix(denied[0] if denied else "")
    status = re.match(r"\d{3}", expected)
    if status:
        assert (status[0] in answer.partition("\n")[0].split()) != bool(denied), answer
    told = [SHORTER.get(code, code) for code in re.findall(r"`([^`]+)`", expected)]
    assert status or told, f"nothing to compare in {expected!r}"
    for code in told:
        text = re.sub(r"\$(\w+)", lambda name: variables[name[1]], code)
        # A header to its end: the origin of the page with a slash is another one.
        there = re.search(re.escape(text) + (r"\s*$" if ": " in text else ""), answer, re.IGNORECASE | re.MULTILINE)
        assert bool(there) != bool(denied), f"{text} in:\n{answer}"
