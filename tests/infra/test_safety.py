"""The templates follow the security rules, and each rule detects a violation."""

import shutil

import pytest

from conftest import templates
from safety_rules import broken_rules

# File, text, unsafe replacement, and a part of the expected violation.
MUTATIONS = [
    ("storage", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "allowSharedKeyAccess"),
    ("storage", "    allowSharedKeyAccess: false\n", "", "allowSharedKeyAccess"),
    ("storage", "allowBlobPublicAccess: false", "allowBlobPublicAccess: true", "allowBlobPublicAccess"),
    ("storage", "'TLS1_2'", "'TLS1_0'", "minimumTlsVersion"),
    ("storage", "supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false", "supportsHttpsTrafficOnly"),
    ("storage", "output name string = account.name", "output key string = account.listKeys().keys[0].value", "listKeys"),
    ("storage", "publicAccess: 'None'", "publicAccess: 'Blob'", "publicAccess"),
    ("storage", "isHnsEnabled: false", "isHnsEnabled: true", "isHnsEnabled"),
    ("storage", "isVersioningEnabled: false", "isVersioningEnabled: true", "isVersioningEnabled"),
    ("storage", "      deleteRetentionPolicy: { enabled: false }\n", "", "deleteRetentionPolicy"),
    ("storage", "containerDeleteRetentionPolicy: { enabled: false }", "containerDeleteRetentionPolicy: { enabled: true, days: 7 }", "containerDelete"),
    ("history", "publicAccess: 'None'", "publicAccess: 'Container'", "publicAccess"),
    ("history", "scope: history", "scope: account", "must not assign"),
    ("history", "  scope: history\n", "", "the resource group"),
    ("history", "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "must not assign"),
    ("history", "enabled: true", "enabled: false", "enabled: true"),
    ("history", "['appendBlob', 'blockBlob']", "['blockBlob']", "appendBlob"),
    ("history", "['appendBlob', 'blockBlob']", "['appendBlob']", "blockBlob"),
    ("history", "prefixMatch: rule.prefixes", "prefixMatch: []", "prefixMatch"),
    ("history", "daysAfterModificationGreaterThan: rule.days", "daysAfterLastAccessTimeGreaterThan: rule.days", "daysAfterModification"),
    ("history", "'${containerName}/rooms/'", "'rooms/'", "must delete"),
    ("history", ", '${containerName}/people/'", "", "must delete"),
    ("history", "days: days + 2", "days: days", "must delete"),
    ("history", "  name: containerName\n  properties", "  name: 'messages'\n  properties", "name of the container"),
    ("main", "'modules/history.bicep' = if (history) {", "'modules/history.bicep' = {", "only with history"),
    ("main", "historyContainer: history ? messages!.outputs.container : ''", "historyContainer: messages!.outputs.container", "only with history"),
    ("function-app", "empty(historyContainer) ? {} : {", "{", "only with history"),
    ("communication", "publicAccess: 'None'", "publicAccess: 'Container'", "publicAccess"),
    ("communication", "  properties: { publicAccess: 'None' }\n", "", "publicAccess"),
    ("communication", "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth"),
    ("communication", "scope: identities", "scope: account", "must not assign"),
    ("communication", "scope: identities", "scope: communication", "must not assign"),
    ("communication", "  scope: communication\n", "", "the resource group"),
    ("communication", "output endpoint string = 'https://${communication.properties.hostName}/'", "output endpoint string = communication.listKeys().primaryConnectionString", "reads a key"),
    ("function-app", "RUST_LOG: 'info'", "AzureCommunicationServicesConnectionString: signalRUri", "must not be set"),
    ("function-app", "RUST_LOG: 'info'", "ChatIdentityStoreKey: signalRUri", "must not be set"),
    ("function-app", "empty(communicationEndpoint) ? {} : {", "{", "only with communication"),
    ("function-app", "RUST_LOG: 'info'", "ChatIdentityStore: identityStore", "only with communication"),
    ("main", "param communication bool = false", "param communication bool = true", "off by default"),
    ("main", "= if (communication) {", "= {", "only with communication"),
    ("signalr", "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth"),
    ("signalr", "[pageOrigin]", "['*']", "allows all origins"),
    ("signalr", "'Serverless'", "'Default'", "serverless"),
    ("signalr", "output name string = service.name", "output uriWithAccessKey string = service.name", "uriWithAccessKey"),
    ("signalr", "service.name\n", "service.listKeys().primaryConnectionString\n", "reads a key"),
    ("monitoring", "DisableLocalAuth: true", "DisableLocalAuth: false", "DisableLocalAuth"),
    ("monitoring", "features: { disableLocalAuth: true }", "features: {}", "disableLocalAuth"),
    ("function-app", "httpsOnly: true", "httpsOnly: false", "httpsOnly"),
    ("function-app", "minTlsVersion: '1.2'", "minTlsVersion: '1.0'", "minTlsVersion"),
    ("function-app", "ftpsState: 'Disabled'", "ftpsState: 'AllAllowed'", "ftpsState"),
    ("function-app", "allowedOrigins: [pageOrigin]", "allowedOrigins: ['${pageOrigin}/']", "cors.allowedOrigins"),
    ("function-app", "allowedOrigins: [pageOrigin]", "allowedOrigins: ['*']", "allows all origins"),
    ("function-app", "name: 'scm'\n    properties: { allow: false }", "name: 'scm'\n    properties: { allow: true }", "properties.allow"),
    ("function-app", "ChatAllowAnonymous: 'false'", "ChatAllowAnonymous: 'true'", "ChatAllowAnonymous"),
    ("function-app", "RUST_LOG: 'info'", "FUNCTIONS_WORKER_RUNTIME: 'custom'", "FUNCTIONS_WORKER_RUNTIME"),
    ("function-app", "RUST_LOG: 'info'", "AzureSignalRConnectionString: signalRUri", "must not be set"),
    ("function-app", "'@Microsoft.KeyVault(SecretUri=${authSecretUri})'", "authSecretUri", "Key Vault"),
    ("function-app", "'@Microsoft.KeyVault(SecretUri=${tokenStoreSasUri})'", "tokenStoreSasUri", "Key Vault"),
    ("function-app", "RUST_LOG: 'info'", "GOOGLE_SECRET: 'hush'", "Key Vault"),
    ("function-app", "RUST_LOG: 'info'", "AzureSignalRConnectionString__clientSecret: 'hush'", "Key Vault"),
    ("function-app", "type: 'UserAssignedIdentity'", "type: 'StorageAccountConnectionString'", "authentication.type"),
    ("function-app", "param signalRUri string", "@secure()\nparam signalRUri string", "secret as a parameter"),
    ("sign-in", "'AllowAnonymous'", "'RedirectToLoginPage'", "unauthenticatedClientAction"),
    ("sign-in", "platform: { enabled: true }", "platform: { enabled: false }", "platform.enabled"),
    ("sign-in", "[pageOrigin, '${pageOrigin}/']", "[pageOrigin, 'https://elsewhere.example/']", "allowedExternalRedirectUrls"),
    ("sign-in", "          enabled: true\n          azure", "          enabled: false\n          azure", "tokenStore"),
    ("sign-in", "{ sasUrlSettingName: tokenStoreSetting }", "{ sasUrlSettingName: 'https://store.example/?sig=hush' }", "tokenStore"),
    ("sign-in", "'AUTH_TOKEN_STORE_SAS_URL'", "'AUTH_TOKEN_STORE'", "tokenStoreSetting must name a setting"),
    ("sign-in", "'AUTH_PROVIDER_SECRET'", "'AUTH_SECRET'", "secretSetting must name a setting"),
    ("sign-in", "httpSettings: { requireHttps: true }", "httpSettings: { requireHttps: false }", "requireHttps"),
    ("registration", "'AzureADMyOrg'", "'AzureADMultipleOrgs'", "signInAudience"),
    ("registration", "redirectUris: [", "redirectUris: ['https://elsewhere.example', ", "redirectUris"),
    ("roles", "scope: account::blobs::page", "scope: account", "must not assign"),
    ("roles", "  scope: insights\n", "", "the resource group"),
    ("roles", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "must not assign"),
    ("roles", "var signalRAppServer = '420fcaa2", "var signalRAppServer = '7e4f1700", "must not assign"),
]


def test_the_templates_follow_all_security_rules(infra):
    assert broken_rules(infra) == []


@pytest.mark.parametrize(("module", "text", "replacement", "violation"), MUTATIONS)
def test_an_unsafe_change_is_detected(root, tmp_path, module, text, replacement, violation):
    copy = tmp_path / "infra"
    shutil.copytree(root / "infra", copy)
    path = copy / ("main.bicep" if module == "main" else f"modules/{module}.bicep")
    before = path.read_text()
    assert text in before, "the text to replace is missing"
    path.write_text(before.replace(text, replacement))
    changed = templates(copy)
    assert [error for template in changed.values() for error in template.errors] == [], "the changed template is invalid"
    assert any(violation in problem for problem in broken_rules(changed)), broken_rules(changed)
