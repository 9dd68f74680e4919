"""docs/communication.md: tokens from the local chat, the JavaScript that uses them, and the steps in Azure with fake tools."""

import json
import re

import pytest

import fake_azure_tools
from markdown_pages import PAGES, ROOT
from fake_azure_tools import FakeAzureTools

COMMUNICATION = PAGES["docs/communication.md"]
CURL = COMMUNICATION["Try it on your machine"].blocks
_, AZURE = COMMUNICATION["Switch it on in Azure"].blocks
PERSON, DELETE = COMMUNICATION["Stored data, and how to delete a person"].blocks
(CODE,) = re.findall(r"^```js\n(.*?)^```", (ROOT / COMMUNICATION.path).read_text(), re.MULTILINE | re.DOTALL)

NAMES = {"group": "rg-chat", "api": "my-chat-api", "host": fake_azure_tools.HOST}


@pytest.mark.runs(*CURL)
def test_curl_is_answered_as_shown(sandbox):
    sandbox.start("make run")
    printed = iter(sandbox.run_each(command for block in CURL for command in block.commands))
    for block in CURL:
        sandbox.compare(block, "".join(next(printed) for _ in block.commands))


def test_the_javascript_gets_tokens_that_the_published_credential_accepts(sandbox):
    sandbox.start("make run")
    sign_in, _ = CURL[0].commands
    begin = "const [apiUrl, signInToken] = process.argv.slice(2)"
    end = "console.log((await credential.getToken()).expiresOnTimestamp > Date.now())\ncredential.dispose()"
    # The folder that has the npm package.
    node = f"cd tests/e2e && cat >code.mjs <<'JS' && node code.mjs http://localhost:7071 $token\n{begin}\n{CODE}\n{end}\nJS"
    assert sandbox.run(sign_in, node) == "true\n"


@pytest.mark.runs(PERSON)
def test_the_key_and_the_hash_lead_to_the_file_of_a_person(sandbox):
    sandbox.start("make run")
    define, key, example = PERSON.commands
    sandbox.compare(PERSON, sandbox.run(define, key, example))
    sign_in, ask = CURL[0].commands
    printed = sandbox.run(sign_in, ask, 'curl -s http://localhost:7071/.auth/me -H "X-ZUMO-AUTH: $token"')
    answer, end = json.JSONDecoder().raw_decode(printed)
    (identity,) = json.loads(printed[end:])
    # The local sign-in has no tenants.
    (subject,) = [claim["val"] for claim in identity["user_claims"] if claim["typ"].endswith("/nameidentifier")]
    read = f'cat .chat/identities/*/"$(person aad "" {subject})".json'
    stored = json.loads(sandbox.run(define, "cp .chat/identities/*/name-key.json .", read))
    assert stored["communicationUserId"] == answer["user"]["communicationUserId"]


@pytest.fixture
def azure(sandbox, tmp_path) -> FakeAzureTools:
    sandbox.variables |= NAMES | {"PATH": f"{tmp_path}:{sandbox.variables['PATH']}"}
    return FakeAzureTools(tmp_path)


@pytest.mark.runs(AZURE)
def test_the_steps_by_hand_assign_each_role_on_one_resource_only(sandbox, azure):
    sandbox.run(*AZURE.commands)
    assigned = [re.search(r"--role (.+?) --.* --scope (\S+)$", call).groups() for call in azure.calls("az role assignment create")]
    resource = fake_azure_tools.ANSWERS["id"]
    assert assigned == [
        ("Communication and Email Service Owner", resource),
        ("Storage Blob Data Contributor", f"{resource}/blobServices/default/containers/chat-identities"),
    ]
    (settings,) = azure.calls("az functionapp config appsettings set")
    assert f"__endpoint=https://{fake_azure_tools.COMMUNICATION}/ " in settings
    assert settings.endswith(f"ChatIdentityStore=https://{fake_azure_tools.HOST}.blob.core.windows.net/chat-identities")
    assert "--public-access off" in azure.calls("az storage container-rm create")[0]


@pytest.mark.runs(DELETE)
def test_the_identity_of_a_person_is_deleted_first_and_then_the_blob_that_was_read(sandbox, azure):
    sandbox.variables |= {"acs": "my-chat-communication", "tenant": "a-tenant", "objectId": "an-object"}
    download = """echo '{"version":1,"communicationUserId":"8:acs:r_u"}' >person.json"""
    define, key, _ = PERSON.commands
    sandbox.run(define, key, download, *DELETE.commands, "! ls person.json name-key.json")
    calls = [call.split(" --")[0] for call in azure.calls("az ")]
    blob = "storage blob"
    assert calls == ["communication show", f"{blob} download", f"{blob} show", f"{blob} download", "rest", f"{blob} delete"]
    (identity,) = azure.calls("az rest --method delete")
    assert f"https://{fake_azure_tools.COMMUNICATION}/identities/8:acs:r_u?api-version=2023-10-01" in identity
    (deleted,) = azure.calls("az storage blob delete")
    etag = fake_azure_tools.ANSWERS["properties.etag"]
    assert re.search(rf"--name {fake_azure_tools.COMMUNICATION}/[0-9a-f]{{64}}\.json --if-match {etag}$", deleted)
