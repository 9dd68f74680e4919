"""docs/deploy.md, "Without Easy Auth": the steps with fake tools, and what they request."""

import json

import pytest

import fake_azure_tools
from markdown_pages import PAGES
from fake_azure_tools import FakeAzureTools

(STEPS,) = PAGES["docs/deploy.md"]["Without Easy Auth"].blocks


@pytest.mark.runs(STEPS)
def test_the_steps_register_the_scope_that_the_handler_requires(sandbox, tmp_path):
    sandbox.variables |= {"group": "rg-chat", "api": "my-chat-api", "PATH": f"{tmp_path}:{sandbox.variables['PATH']}"}
    azure = FakeAzureTools(tmp_path)
    *steps, last = STEPS.commands
    printed = sandbox.run(*steps, "cat scope.json", last, "! ls scope.json")
    application = json.loads(printed)
    assert application["identifierUris"] == [f"api://{fake_azure_tools.CLIENT}"]
    assert application["api"]["requestedAccessTokenVersion"] == 2
    (scope,) = application["api"]["oauth2PermissionScopes"]
    assert (scope["value"], scope["isEnabled"], len(scope["id"])) == ("access_as_user", True, 36)
    (patched,) = azure.calls("az rest --method patch")
    assert f"applications(appId='{fake_azure_tools.CLIENT}')" in patched
    (settings,) = azure.calls("az functionapp config appsettings set")
    assert settings.endswith(f"AzureAd__TenantId=the-tenant AzureAd__ClientId={fake_azure_tools.CLIENT}")
