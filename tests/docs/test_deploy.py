"""docs/deploy.md: all steps by hand with their undoing in one shell, and the check of each step.

The steps run with fake `az`, `azd` and `func`, so their syntax and their variables are tested. The package, the page and its upload are
real. The checks run against the local chat.
"""

import base64
import json
import re
import secrets
import zipfile

import pytest

import skipped_commands
import fake_azure_tools
from markdown_pages import PAGES, ROOT
from fake_azure_tools import FakeAzureTools

DEPLOY = PAGES["docs/deploy.md"]
STEPS = [block for section in DEPLOY.between("The steps by hand", "Where addresses have to agree") for block in section.blocks]
CORS = [code for row in DEPLOY["7. CORS, in both places"].rows for code in re.findall(r"`(az .+?)`", row[-1])]
TOKEN_STORE = DEPLOY["Token store in blob storage"].blocks
UNDO = DEPLOY["Undo it"].blocks

AZURITE = "node tests/e2e/node_modules/azurite/dist/src/blob/main.js --silent --disableTelemetry --skipApiVersionCheck"

# The expected text of Azure, and what the local chat answers instead.
LOCAL_ANSWERS = {"Content-Type: text/html; charset=utf-8": "Content-Type: text/html"}


@pytest.fixture
def azure(sandbox, tmp_path) -> FakeAzureTools:
    """Fake tools, and Azurite as the storage account of the page."""
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    storage = f"AccountName={fake_azure_tools.ACCOUNT};AccountKey={key};BlobEndpoint=http://127.0.0.1:10000/{fake_azure_tools.ACCOUNT};"
    sandbox.variables |= {
        "PATH": f"{tmp_path}:{sandbox.variables['PATH']}",
        "AZURITE_ACCOUNTS": f"{fake_azure_tools.ACCOUNT}:{key}",
        "AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{storage}",
    }
    sandbox.start(f"{AZURITE} --location {tmp_path}", ready="successfully listens")
    return FakeAzureTools(tmp_path)


@pytest.mark.runs(*STEPS, *UNDO)
def test_the_steps_by_hand_work_and_can_be_undone(sandbox, azure):
    # All in one shell, because the steps share variables.
    steps = [command for block in STEPS for command in block.commands]
    outputs = ["cat authentication.json", "cmp handler target/package/handler; cmp local.settings.json*", "(cd target/publish && find * -type f)"]
    undo = [command for block in UNDO for command in block.commands]
    printed = sandbox.run_each([*steps, *CORS, *outputs, *undo, "ls"])

    rest = iter(printed)
    for block in STEPS:
        sandbox.compare(block, "".join(next(rest) for _ in block.commands))
    sign_in, _, published = printed[len(steps) + len(CORS) :][: len(outputs)]
    assert_sign_in_redirects_to_the_page(json.loads(sign_in)["properties"])
    assert sorted(published.split()) == zipfile.ZipFile(ROOT / "target/package/handler.zip").namelist()
    assert "authentication.json" not in printed[-1]

    assert azure.calls("func") == ["azure functionapp publish my-chat-api --custom"]
    assert azure.calls("az functionapp cors add")[0].endswith(f"--allowed-origins {fake_azure_tools.PAGE}"), "no slash at the end"
    assert azure.calls("az signalr cors update")[0].endswith(f"--allowed-origins {fake_azure_tools.PAGE}"), "no slash at the end"
    assert f"https://{fake_azure_tools.API}/.auth/login/aad/callback" in azure.calls("az ad app create")[0]
    assert azure.calls("az ad app delete") == [f"--id {fake_azure_tools.CLIENT}"]


def assert_sign_in_redirects_to_the_page(properties):
    assert properties["login"]["allowedExternalRedirectUrls"] == [fake_azure_tools.PAGE, f"{fake_azure_tools.PAGE}/"]
    assert properties["identityProviders"]["azureActiveDirectory"]["registration"]["clientId"] == fake_azure_tools.CLIENT


@pytest.mark.runs(*TOKEN_STORE)
def test_the_sas_url_of_the_token_store_is_in_key_vault_and_sign_in_names_its_setting(sandbox, azure):
    names = {"group": "rg-chat", "region": "westeurope", "api": "my-chat-api"}
    variables = names | {"origin": fake_azure_tools.PAGE, "client": fake_azure_tools.CLIENT}
    sandbox.variables |= variables
    (authentication,) = [command for block in STEPS for command in block.commands if command.text.startswith("cat > authentication.json")]
    commands = [command for block in TOKEN_STORE for command in block.commands]
    printed = sandbox.run(*commands, authentication, "cat authentication.json")
    assert azure.calls("az storage container-rm create") == ["--storage-account mychattokens --name tokens --public-access off --output none"]
    (sas,) = azure.calls("az storage container generate-sas")
    assert "--account-name mychattokens --name tokens --permissions rwd --https-only" in sas
    (secret,) = azure.calls("az keyvault secret set")
    assert secret.endswith("--value https://mychattokens.blob.core.windows.net/tokens?")
    roles = [re.search(r"--role (.+?) --", call)[1] for call in azure.calls("az role assignment create")]
    assert roles == ["Key Vault Secrets Officer", "Key Vault Secrets User", "Key Vault Secrets User"]
    url = "https://my-chat-vault.vault.azure.net/secrets/token-store-sas"
    assert azure.calls("azd env set") == [f"CHAT_TOKEN_STORE_SAS_URI {url}"]
    (settings,) = azure.calls("az functionapp config appsettings set")
    setting = re.search(r"tokenStoreSetting = '(\w+)'", (ROOT / "infra/modules/sign-in.bicep").read_text())[1]
    assert settings.endswith(f"{setting}=@Microsoft.KeyVault(SecretUri={url})")

    before, after = [code for code, _ in DEPLOY.code if code.startswith('"tokenStore": ')]
    assert json.loads(f"{{{after}}}")["tokenStore"] == {"enabled": True, "azureBlobStorage": {"sasUrlSettingName": setting}}
    assert json.loads(printed.replace(before, after))["properties"]["login"]["tokenStore"]["azureBlobStorage"]


def checks() -> list[tuple[str, str]]:
    """The commands of the table that can run here, each with the expected answer."""
    found, line = [], ""
    for _, cell, expected in DEPLOY["Check each step"].rows:
        line = line if cell == "the same" else cell.strip("`")
        if not skipped_commands.reason(line):
            found.append((line, expected))
    return found


@pytest.mark.runs(*(line for line, _ in checks()))
def test_each_check_has_the_expected_answer(sandbox, subtests):
    start_chat(sandbox, ChatAllowAnonymous="false")
    for line, expected in checks():
        with subtests.test(line, expected=expected):
            assert_answers(re.sub(r" \(.*\)", "", expected), sandbox.run(line), sandbox.variables)


DOCTOR = DEPLOY["Check each step"].blocks[0]


@pytest.mark.runs(DOCTOR)
def test_the_doctor_finds_no_problem_in_a_running_chat(sandbox):
    start_chat(sandbox, ChatAllowAnonymous="false")
    assert "No problem found" in sandbox.run(*DOCTOR.commands)


def test_where_anonymous_callers_may_chat_a_check_has_another_answer(sandbox):
    ((line, expected),) = [check for check in checks() if "where anonymous callers may chat" in check[1]]
    start_chat(sandbox, ChatAllowAnonymous="true")
    assert_answers(re.search(r"\((.*) where anonymous callers may chat\)", expected)[1], sandbox.run(line), sandbox.variables)


def start_chat(sandbox, **settings):
    """Starts the chat, and sets the variables that the steps would have set."""
    sandbox.variables |= settings
    chat = sandbox.start("make run")
    (page,) = re.findall(r"^  page +(\S+)", chat.printed, re.MULTILINE)
    (api,) = re.findall(r"^  functions +(\S+)/api", chat.printed, re.MULTILINE)
    sandbox.variables |= {"site": f"{page}/", "origin": page, "apiUrl": api}


def assert_answers(expected, answer, variables):
    """Compares an answer with a cell: a status first, if any, and all inline code; "no" and "not" negate them."""
    negated = re.match(r"not? ", expected)
    expected = expected.removeprefix(negated[0] if negated else "")
    status = re.match(r"\d{3}", expected)
    if status:
        assert (status[0] in answer.partition("\n")[0].split()) != bool(negated), answer
    texts = [LOCAL_ANSWERS.get(code, code) for code in re.findall(r"`([^`]+)`", expected)]
    assert status or texts, f"nothing to compare in {expected!r}"
    for code in texts:
        text = re.sub(r"\$(\w+)", lambda name: variables[name[1]], code)
        # A header is compared to its end, because an origin with a slash is a different one.
        found = re.search(re.escape(text) + (r"\s*$" if ": " in text else ""), answer, re.IGNORECASE | re.MULTILINE)
        assert bool(found) != bool(negated), f"{text} in:\n{answer}"
