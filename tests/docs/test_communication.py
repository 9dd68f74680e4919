"""docs/communication.md: tokens from the chat on this machine, the code that uses them, and the steps in Azure as a shell reads them."""

import json
import re

import pytest

import stand_ins
from pages import PAGES, ROOT
from stand_ins import StandIns

COMMUNICATION = PAGES["docs/communication.md"]
BY_HAND = COMMUNICATION["Try it on your machine"].blocks
_, AZURE = COMMUNICATION["Switch it on in Azure"].blocks
PERSON, DELETE = COMMUNICATION["What is kept, and how to delete a person"].blocks
(CODE,) = re.findall(r"^```js\n(.*?)^```", (ROOT / COMMUNICATION.path).read_text(), re.MULTILINE | re.DOTALL)

NAMES = {"group": "rg-chat", "api": "my-chat-api", "host": stand_ins.HOST}


@pytest.mark.runs(*BY_HAND)
def test_what_is_asked_by_hand_is_answered_as_shown(machine):
    machine.start("make run")
    printed = iter(machine.run_each(command for block in BY_HAND for command in block.commands))
    for block in BY_HAND:
        machine.compare(block, "".join(next(printed) for _ in block.commands))


def test_the_code_gets_tokens_that_the_published_credential_takes(machine):
    machine.start("make run")
    sign_in, _ = BY_HAND[0].commands
    begin = "const [apiUrl, signInToken] = process.argv.slice(2)"
    end = "console.log((await credential.getToken()).expiresOnTimestamp > Date.now())\ncredential.dispose()"
    # Where the package is.
    node = f"cd tests/e2e && cat >code.mjs <<'JS' && node code.mjs http://localhost:7071 $token\n{begin}\n{CODE}\n{end}\nJS"
    assert machine.run(sign_in, node) == "true\n"


@pytest.mark.runs(PERSON)
def test_a_person_is_found_by_the_hash(machine):
    machine.start("make run")
    define, example = PERSON.commands
    machine.compare(PERSON, machine.run(define, example))
    sign_in, ask = BY_HAND[0].commands
    printed = machine.run(sign_in, ask, 'curl -s http://localhost:7071/.auth/me -H "X-ZUMO-AUTH: $token"')
    answer, end = json.JSONDecoder().raw_decode(printed)
    (identity,) = json.loads(printed[end:])
    # The stand-in for Entra has no tenants.
    (subject,) = [claim["val"] for claim in identity["user_claims"] if claim["typ"].endswith("/nameidentifier")]
    kept = json.loads(machine.run(define, f'cat .chat/identities/*/"$(person aad "" {subject})".json'))
    assert kept["communicationUserId"] == answer["user"]["communicationUserId"]


@pytest.fixture
def azure(machine, tmp_path) -> StandIns:
    machine.variables |= NAMES | {"PATH": f"{tmp_path}:{machine.variables['PATH']}"}
    return StandIns(tmp_path)


@pytest.mark.runs(AZURE)
def test_the_steps_by_hand_give_each_role_on_one_thing_only(machine, azure):
    machine.run(*AZURE.commands)
    given = [re.search(r"--role (.+?) --.* --scope (\S+)$", call).groups() for call in azure.calls("az role assignment create")]
    thing = stand_ins.ANSWERS["id"]
    assert given == [
        ("Communication and Email Service Owner", thing),
        ("Storage Blob Data Contributor", f"{thing}/blobServices/default/containers/chat-identities"),
    ]
    (settings,) = azure.calls("az functionapp config appsettings set")
    assert f"__endpoint=https://{stand_ins.COMMUNICATION}/ " in settings
    assert settings.endswith(f"ChatIdentityStore=https://{stand_ins.HOST}.blob.core.windows.net/chat-identities")
    assert "--public-access off" in azure.calls("az storage container-rm create")[0]


@pytest.mark.runs(DELETE)
def test_the_blob_of_a_person_goes_before_the_identity(machine, azure):
    machine.variables |= {"acs": "my-chat-communication", "tenant": "a-tenant", "objectId": "an-object"}
    download = """echo '{"version":1,"communicationUserId":"8:acs:r_u"}' >person.json"""
    define, _ = PERSON.commands
    machine.run(define, download, *DELETE.commands, "! ls person.json")
    begun = [call.split(" --")[0] for call in azure.calls("az ")]
    assert begun == ["communication show", "storage blob download", "storage blob delete", "rest"]
    (asked,) = azure.calls("az rest --method delete")
    assert f"https://{stand_ins.COMMUNICATION}/identities/8:acs:r_u?api-version=2023-10-01" in asked
    (deleted,) = azure.calls("az storage blob delete")
    assert re.search(rf"--name {stand_ins.COMMUNICATION}/[0-9a-f]{{64}}\.json$", deleted)
