"""The hooks of azd, run for real with stand-ins for `make`, `npm` and `uname` that write down how they were called."""

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


class Tools:
    """A folder of stand-ins, first on the PATH."""

    def __init__(self, folder: Path):
        self.folder, self.calls = folder, folder / "calls"
        self.calls.touch()

    def add(self, name: str, script: str = "") -> "Tools":
        tool = self.folder / name
        tool.write_text(f'#!/bin/sh\necho {name} "$@" >>"{self.calls}"\n{script}\n')
        tool.chmod(0o755)
        return self

    def run(self, hook: Path, variables: dict[str, str]) -> subprocess.CompletedProcess:
        # `sh` and `dirname` are needed for real; `make` and `npm` are not to be found there.
        for real in ("sh", "dirname", "sleep"):
            link = self.folder / real
            if not link.exists():
                link.symlink_to(next(path for path in (Path("/bin") / real, Path("/usr/bin") / real) if path.exists()))
        environment = {"PATH": str(self.folder), **variables}
        return subprocess.run([hook], env=environment, capture_output=True, text=True, timeout=60, check=False)

    @property
    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def tools(tmp_path) -> Tools:
    return Tools(tmp_path)


@pytest.fixture
def hooks(root) -> Path:
    return root / "infra/hooks"


def test_the_page_is_built_and_uploaded_with_the_addresses_of_the_deployment(tools, hooks):
    done = tools.add("make").add("npm").run(hooks / "page.sh", OUTPUTS)
    assert done.returncode == 0, done.stderr
    upload = "npm --prefix content run upload -- --no-website --account stchat --api https://api.example --provider aad"
    assert tools.called == ["make page", upload]
    assert "https://page.example/" in done.stdout


def test_an_upload_that_lacks_a_permission_at_first_is_tried_again(tools, hooks):
    tools.add("make").add("npm", f'[ "$(($(wc -l <"{tools.calls}")))" -gt 3 ] || exit 77')
    tools.folder.joinpath("wc").symlink_to("/usr/bin/wc")
    done = tools.run(hooks / "page.sh", OUTPUTS)
    assert done.returncode == 0, done.stderr
    assert len(tools.called) == 4


def test_an_upload_that_always_lacks_a_permission_ends(tools, hooks):
    done = tools.add("make").add("npm", "exit 77").run(hooks / "page.sh", OUTPUTS)
    assert done.returncode == 77
    assert len(tools.called) == 1 + 6
    assert "The chat is at" not in done.stdout


def test_an_upload_that_fails_otherwise_is_not_tried_again(tools, hooks):
    done = tools.add("make").add("npm", "exit 69").run(hooks / "page.sh", OUTPUTS)
    assert done.returncode == 69
    assert len(tools.called) == 2


@pytest.mark.parametrize("missing", sorted(OUTPUTS.keys() - {"CHAT_UPLOAD_PAUSE"}))
def test_without_a_deployment_nothing_is_uploaded(tools, hooks, missing):
    done = tools.add("make").add("npm").run(hooks / "page.sh", OUTPUTS | {missing: ""})
    assert done.returncode == 1
    assert missing in done.stderr and "azd" in done.stderr
    assert tools.called == []


def test_a_page_that_cannot_be_built_is_not_uploaded(tools, hooks):
    done = tools.add("make", "exit 2").add("npm").run(hooks / "page.sh", OUTPUTS)
    assert done.returncode != 0
    assert tools.called == ["make page"]


def test_the_package_is_built_where_it_can_be(tools, hooks):
    done = tools.add("make").add("cargo").add("uname", "echo Linux x86_64").run(hooks / "package.sh", {})
    assert done.returncode == 0, done.stderr
    assert tools.called[-1] == "make package"


ELSEWHERE = [
    ("Darwin arm64", "cargo", "dev container"),
    ("Linux aarch64", "cargo", "x86-64"),
    ("Linux x86_64", "nothing", "cargo"),
]


@pytest.mark.parametrize(("system", "present", "told"), ELSEWHERE)
def test_where_it_cannot_be_built_the_hook_says_what_to_do(tools, hooks, system, present, told):
    done = tools.add("make").add(present).add("uname", f"echo {system}").run(hooks / "package.sh", {})
    assert done.returncode == 1
    assert told in done.stderr
    assert "make package" not in tools.called


VAULT = "https://chat.vault.azure.net/secrets/google"


@pytest.mark.parametrize(
    ("provider", "client", "secret", "told"),
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
def test_a_provider_that_could_not_work_is_refused_before_anything_is_made(tools, hooks, provider, client, secret, told):
    variables = {"CHAT_AUTH_PROVIDER": provider, "CHAT_AUTH_CLIENT_ID": client, "CHAT_AUTH_SECRET_URI": secret}
    done = tools.run(hooks / "settings.sh", variables)
    assert done.returncode == (1 if told else 0), done.stderr
    assert (told or "") in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize(
    ("scopes", "code"),
    [("", 0), ("chat", 0), ("chat.join.limited voip.join", 0), ("chat chat.join voip", 0), ("chat,voip", 1), ("chats", 1), ("*", 1), ("voip root", 1)],
)
def test_a_scope_that_there_is_not_is_refused_before_anything_is_made(tools, hooks, scopes, code):
    done = tools.run(hooks / "settings.sh", {"CHAT_ACCESS_TOKEN_SCOPES": scopes})
    assert done.returncode == code, done.stderr
    assert ("CHAT_ACCESS_TOKEN_SCOPES" in done.stderr) == bool(code)


def test_the_scopes_of_the_template_pass_the_hook(tools, hooks, infra):
    scopes = infra["main.bicep"].params["accessTokenScopes"].strip("'")
    assert tools.run(hooks / "settings.sh", {"CHAT_ACCESS_TOKEN_SCOPES": scopes}).returncode == 0


def test_the_hook_knows_the_providers_of_the_template(hooks, infra):
    (allowed,) = re.findall(r"@allowed\(\[(.*)\]\)\nparam authProvider", infra["main.bicep"].source)
    known = re.search(r"is one of ([\w, ]+)\.", (hooks / "settings.sh").read_text())[1]
    assert known.split(", ") == re.findall(r"\w+", allowed)


def test_azd_finds_the_hooks_and_the_package(root):
    project = YAML(typ="safe").load((root / "azure.yaml").read_text())
    service = project["services"]["api"]
    # A zip is sent as it is; anything else azd would pack again, and lose the mode of the binary on Windows.
    assert (service["language"], service["dist"], service["remoteBuild"]) == ("custom", "target/package/handler.zip", False)
    found = [*service["hooks"].values(), *project["hooks"].values()]
    assert sorted(Path(hook["run"]).name for hook in found) == sorted(path.name for path in (root / "infra/hooks").iterdir())
    for hook in found:
        assert hook["shell"] == "sh"
        assert os.access(root / hook["run"], os.X_OK), "azd runs the file itself"


def test_the_service_has_the_name_that_the_function_app_is_tagged_with(root, infra):
    (app,) = infra["modules/function-app.bicep"].resource("Microsoft.Web/sites")
    (name,) = re.findall(r"'azd-service-name': '(\w+)'", app.properties["tags"])
    assert name in YAML(typ="safe").load((root / "azure.yaml").read_text())["services"]


def test_the_hooks_are_clean_shell(hooks):
    scripts = sorted(hooks.glob("*.sh"))
    subprocess.run(["shellcheck", "--shell=sh", *scripts], check=True)
