"""Tests of the azd hooks with fake `make`, `npm` and `uname`, which record their calls."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

OUTPUTS = {
    "CHAT_STORAGE_ACCOUNT": "stchat",
    "CHAT_API_URL": "https://api.example",
    "CHAT_AUTH_PROVIDER": "aad",
    "CHAT_PAGE_URL": "https://page.example/",
    "CHAT_UPLOAD_PAUSE": "0",
}


class FakeTools:
    """A folder with fake tools, used as the PATH."""

    def __init__(self, folder: Path):
        self.folder, self.calls = folder, folder / "calls"
        self.calls.touch()

    def add(self, name: str, script: str = "") -> "FakeTools":
        tool = self.folder / name
        tool.write_text(f'#!/bin/sh\necho {name} "$@" >>"{self.calls}"\n{script}\n')
        tool.chmod(0o755)
        return self

    def run(self, hook: Path, variables: dict[str, str]) -> subprocess.CompletedProcess:
        # The hooks need these tools; the real `make` and `npm` must not be found.
        for tool in ("sh", "dirname", "sleep"):
            link = self.folder / tool
            if not link.exists():
                link.symlink_to(next(path for path in (Path("/bin") / tool, Path("/usr/bin") / tool) if path.exists()))
        environment = {"PATH": str(self.folder), **variables}
        return subprocess.run([hook], env=environment, capture_output=True, text=True, timeout=60, check=False)

    @property
    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def tools(tmp_path) -> FakeTools:
    return FakeTools(tmp_path)


@pytest.fixture
def hooks(root) -> Path:
    return root / "infra/hooks"


def test_the_page_is_built_and_uploaded_with_the_urls_of_the_deployment(tools, hooks):
    done = tools.add("make").add("npm").run(hooks / "page.sh", OUTPUTS)
    assert done.returncode == 0, done.stderr
    upload = "npm --prefix content run upload -- --no-website --account stchat --api https://api.example --provider aad"
    assert tools.called == ["make page", upload]
    assert "https://page.example/" in done.stdout


def test_an_upload_without_permission_is_retried(tools, hooks):
    tools.add("make").add("npm", f'[ "$(($(wc -l <"{tools.calls}")))" -gt 3 ] || exit 77')
    tools.folder.joinpath("wc").symlink_to("/usr/bin/wc")
    done = tools.run(hooks / "page.sh", OUTPUTS)
    assert done.returncode == 0, done.stderr
    assert len(tools.called) == 4


def test_an_upload_without_permission_fails_after_six_attempts(tools, hooks):
    done = tools.add("make").add("npm", "exit 77").run(hooks / "page.sh", OUTPUTS)
    assert done.returncode == 77
    assert len(tools.called) == 1 + 6
    assert "The chat is at" not in done.stdout


def test_an_upload_with_another_error_is_not_retried(tools, hooks):
    done = tools.add("make").add("npm", "exit 69").run(hooks / "page.sh", OUTPUTS)
    assert done.returncode == 69
    assert len(tools.called) == 2


@pytest.mark.parametrize("missing", sorted(OUTPUTS.keys() - {"CHAT_UPLOAD_PAUSE"}))
def test_without_a_deployment_nothing_is_uploaded(tools, hooks, missing):
    done = tools.add("make").add("npm").run(hooks / "page.sh", OUTPUTS | {missing: ""})
    assert done.returncode == 1
    assert missing in done.stderr and "azd" in done.stderr
    assert tools.called == []


def test_a_page_with_a_failed_build_is_not_uploaded(tools, hooks):
    done = tools.add("make", "exit 2").add("npm").run(hooks / "page.sh", OUTPUTS)
    assert done.returncode != 0
    assert tools.called == ["make page"]


def test_the_package_is_built_on_a_supported_system(tools, hooks):
    done = tools.add("make").add("cargo").add("uname", "echo Linux x86_64").run(hooks / "package.sh", {})
    assert done.returncode == 0, done.stderr
    assert tools.called[-1] == "make package"


UNSUPPORTED = [
    ("Darwin arm64", "cargo", "dev container"),
    ("Linux aarch64", "cargo", "x86-64"),
    ("Linux x86_64", "nothing", "cargo"),
]


@pytest.mark.parametrize(("system", "tool", "message"), UNSUPPORTED)
def test_on_an_unsupported_system_the_hook_says_what_to_do(tools, hooks, system, tool, message):
    done = tools.add("make").add(tool).add("uname", f"echo {system}").run(hooks / "package.sh", {})
    assert done.returncode == 1
    assert message in done.stderr
    assert "make package" not in tools.called


VAULT = "https://chat.vault.azure.net/secrets/google"


@pytest.mark.parametrize(
    ("provider", "client", "secret", "message"),
    [
        ("", "", "", None),
        ("aad", "", "", None),
        ("aad", "an-application-made-by-hand", "", None),
        ("google", "id", VAULT, None),
        ("aad", "", VAULT, "CHAT_AUTH_SECRET_URI"),
        ("google", "", VAULT, "CHAT_AUTH_CLIENT_ID"),
        ("google", "id", "", "CHAT_AUTH_SECRET_URI"),
        ("google", "id", "hush", "CHAT_AUTH_SECRET_URI"),
        ("myspace", "id", VAULT, "CHAT_AUTH_PROVIDER"),
    ],
)
def test_an_incomplete_provider_is_rejected(tools, hooks, provider, client, secret, message):
    variables = {"CHAT_AUTH_PROVIDER": provider, "CHAT_AUTH_CLIENT_ID": client, "CHAT_AUTH_SECRET_URI": secret}
    done = tools.run(hooks / "settings.sh", variables)
    assert done.returncode == (1 if message else 0), done.stderr
    assert (message or "") in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", 0),
        ("https://chat.vault.azure.net/secrets/token-store-sas", 0),
        ("https://chat.vault.azure.net/secrets/token-store-sas/0123456789abcdef", 0),
        ("https://store.blob.core.windows.net/tokens?sv=2024-11-04&sig=hush", 1),
        ("https://store.blob.core.windows.net/secrets/tokens?sig=hush", 1),
        ("sv=2024-11-04&sig=hush", 1),
        ("http://chat.vault.azure.net/secrets/token-store-sas", 1),
        ("https://chat.vault.azure.net/", 1),
        ("chat.vault.azure.net/secrets/token-store-sas", 1),
        ("@Microsoft.KeyVault(SecretUri=https://chat.vault.azure.net/secrets/token-store-sas)", 1),
    ],
)
def test_the_token_store_is_the_url_of_a_secret_and_never_the_secret(tools, hooks, url, code):
    done = tools.run(hooks / "settings.sh", {"CHAT_TOKEN_STORE_SAS_URI": url})
    assert done.returncode == code, done.stderr
    assert ("CHAT_TOKEN_STORE_SAS_URI" in done.stderr) == bool(code)
    assert "hush" not in done.stderr


@pytest.mark.parametrize(
    ("scopes", "code"),
    [("", 0), ("chat", 0), ("chat.join.limited voip.join", 0), ("chat chat.join voip", 0), ("chat,voip", 1), ("chats", 1), ("*", 1), ("voip root", 1)],
)
def test_an_unknown_scope_is_rejected(tools, hooks, scopes, code):
    done = tools.run(hooks / "settings.sh", {"CHAT_ACCESS_TOKEN_SCOPES": scopes})
    assert done.returncode == code, done.stderr
    assert ("CHAT_ACCESS_TOKEN_SCOPES" in done.stderr) == bool(code)


def test_the_default_scopes_of_the_template_are_accepted(tools, hooks, infra):
    scopes = infra["main.bicep"].params["accessTokenScopes"].strip("'")
    assert tools.run(hooks / "settings.sh", {"CHAT_ACCESS_TOKEN_SCOPES": scopes}).returncode == 0


@pytest.mark.parametrize(
    ("rooms", "code"),
    [("", 0), ("*", 0), ("games", 0), ("games,Tea_Room-1", 0), ("everyone2,not-everyone", 0), ("games, support", 1), ("games,", 1), (",games", 1)]
    + [("games,,support", 1), ("games,*", 1), ("**", 1), ("café", 1), ("a/b", 1), ("everyone", 1), ("games,Everyone", 1)],
)
def test_rooms_that_the_handler_would_reject_are_rejected(tools, hooks, rooms, code):
    done = tools.run(hooks / "settings.sh", {"CHAT_ROOMS": rooms})
    assert done.returncode == code, done.stderr
    assert ("CHAT_ROOMS" in done.stderr) == bool(code)


def test_the_hook_accepts_the_providers_of_the_template(hooks, infra):
    (allowed,) = re.findall(r"@allowed\(\[(.*)\]\)\nparam authProvider", infra["main.bicep"].source)
    known = re.search(r"is one of ([\w, ]+)\.", (hooks / "settings.sh").read_text())[1]
    assert known.split(", ") == re.findall(r"\w+", allowed)


def test_azd_finds_the_hooks_and_the_package(root):
    project = YAML(typ="safe").load((root / "azure.yaml").read_text())
    service = project["services"]["api"]
    # azd sends a zip unchanged; it would pack a folder again, and lose the exec bit on Windows.
    assert (service["language"], service["dist"], service["remoteBuild"]) == ("custom", "target/package/handler.zip", False)
    found = [*service["hooks"].values(), *project["hooks"].values()]
    assert sorted(Path(hook["run"]).name for hook in found) == sorted(path.name for path in (root / "infra/hooks").iterdir())
    for hook in found:
        assert hook["shell"] == "sh"
        assert os.access(root / hook["run"], os.X_OK), "the hook is not executable"


def test_the_service_has_the_name_in_the_tag_of_the_function_app(root, infra):
    (app,) = infra["modules/function-app.bicep"].resource("Microsoft.Web/sites")
    (name,) = re.findall(r"'azd-service-name': '(\w+)'", app.properties["tags"])
    assert name in YAML(typ="safe").load((root / "azure.yaml").read_text())["services"]


def test_shellcheck_accepts_the_hooks(hooks):
    scripts = sorted(hooks.glob("*.sh"))
    subprocess.run(["shellcheck", "--shell=sh", *scripts], check=True)
