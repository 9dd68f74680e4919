"""docs/history.md: the name of a person's folder, and the steps in Azure with fake tools."""

import json
import re

import pytest

import fake_azure_tools
from fake_azure_tools import FakeAzureTools
from markdown_pages import PAGES, ROOT

HISTORY = PAGES["docs/history.md"]
(NAME,) = HISTORY["What is stored"].blocks
(ERASE,) = HISTORY["Erase"].blocks
(BACKUP,) = HISTORY["Back up"].blocks
VALUES, STEPS = HISTORY["Switch it on in Azure"].blocks

NAMES = {"group": "rg-chat", "api": "my-chat-api", "host": fake_azure_tools.HOST}


@pytest.fixture
def azure(sandbox, tmp_path) -> FakeAzureTools:
    sandbox.variables |= NAMES | {"PATH": f"{tmp_path}:{sandbox.variables['PATH']}"}
    return FakeAzureTools(tmp_path)


@pytest.mark.runs(NAME)
def test_the_folder_of_a_person_has_the_name_that_the_handler_gives_it(sandbox):
    sandbox.compare(NAME, sandbox.run(*NAME.commands))
    (expected,) = re.findall(r'ann\.prefix\(\), "people/(\w+)/"', (ROOT / "src/history/stream.rs").read_text())
    (command,) = NAME.commands
    assert sandbox.run(command.text.replace("ann@contoso.com", "ann")) == f"{expected}  -\n"


def test_the_folders_are_those_of_the_log():
    rows = {re.match(r"`(\w+/)", row[0])[1] for row in HISTORY["What is stored"].rows}
    assert rows == set(re.findall(r'^pub\(super\) const \w+: &str = "(\w+/)";', (ROOT / "src/history/stream.rs").read_text(), re.MULTILINE))


@pytest.mark.runs(STEPS)
def test_the_steps_by_hand_do_what_the_templates_do(sandbox, azure):
    # The file is removed before the last step.
    steps = [step for command in STEPS.commands for step in ([command.text, "cat retention.json"] if "<<JSON" in command.text else [command.text])]
    rules = json.loads(sandbox.run(*steps))["rules"]
    deleted = {}
    for rule in rules:
        assert (rule["enabled"], rule["type"], rule["definition"]["filters"]["blobTypes"]) == (True, "Lifecycle", ["appendBlob", "blockBlob"])
        days = rule["definition"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"]
        deleted |= {prefix: days for prefix in rule["definition"]["filters"]["prefixMatch"]}
    assert deleted == {"chat-history/rooms/": 30, "chat-history/people/": 30, "chat-history/removed/": 32}
    template = (ROOT / "infra/modules/history.bicep").read_text()
    assert {rule["name"] for rule in rules} == set(re.findall(r"\{ name: '(.+?)'", template))
    assert "param historyDays int = 30" in (ROOT / "infra/main.bicep").read_text()

    (role,) = azure.calls("az role assignment create")
    assert re.search(r"--role (.+?) --", role)[1] == "Storage Blob Data Contributor"
    assert role.endswith(f"--scope {fake_azure_tools.ANSWERS['id']}/blobServices/default/containers/chat-history")
    assert "--public-access off" in azure.calls("az storage container-rm create")[0]
    assert azure.calls("az storage account blob-service-properties update")[0].count(" false") == 3
    assert "--policy @retention.json" in azure.calls("az storage account management-policy create")[0]
    (settings,) = azure.calls("az functionapp config appsettings set")
    assert settings.endswith(f"ChatHistory=https://{fake_azure_tools.HOST}.blob.core.windows.net/chat-history")


@pytest.mark.runs(ERASE, BACKUP)
def test_one_person_or_one_room_is_erased_and_all_is_copied(sandbox, azure):
    sandbox.run(*ERASE.commands, *BACKUP.commands)
    person, room, removals = azure.calls("az storage blob delete-batch")
    assert re.search(r"--source chat-history --pattern people/[0-9a-f]{64}/\*$", person)
    assert NAME.output.split()[0] in person
    assert room.endswith("--source chat-history --pattern rooms/games/*")
    assert removals.endswith("--source chat-history --pattern removed/games.jsonl")
    (backup,) = azure.calls("az storage blob download-batch")
    assert "--source chat-history --destination chat-history-backup" in backup


def test_the_values_are_parameters_of_the_templates():
    passed = (ROOT / "infra/main.parameters.json").read_text()
    for command in VALUES.commands:
        assert f'"${{{command.text.split()[3]}}}"' in passed
