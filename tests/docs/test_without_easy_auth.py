"""docs/deploy.md, "Without Easy Auth": the steps as a shell reads them, and what they ask for."""

import json

import pytest

import stand_ins
from pages import PAGES
from stand_ins import StandIns

(STEPS,) = PAGES["docs/deploy.md"]["Without Easy Auth"].blocks


@pytest.mark.runs(STEPS)
def test_the_steps_register_the_scope_that_the_handler_asks_for(machine, tmp_path):
    machine.variables |= {"group": "rg-chat", "api": "my-chat-api", "PATH": f"{tmp_path}:{machine.variables['PATH']}"}
    azure = StandIns(tmp_path)
    *steps, last = STEPS.commands
    printed = machine.run(*steps, "cat scope.json", last, "! ls scope.json")
    application = json.loads(printed)
    assert application["identifierUris"] == [f"api://{stand_ins.CLIENT}"]
    assert application["api"]["requestedAccessTokenVersion"] == 2
    (scope,) = application["api"]["oauth2PermissionScopes"]
    assert (scope["value"], scope["isEnabled"], len(scope["id"])) == ("access_as_user", True, 36)
    (patched,) = azure.calls("az rest --method patch")
    assert f"applications(appId='{stand_ins.CLIENT}')" in patched
    (settings,) = azure.calls("az functionapp config appsettings set")
    assert settings.endswith(f"AzureAd__TenantId=the-tenant AzureAd__ClientId={stand_ins.CLIENT}")
