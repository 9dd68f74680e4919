"""The templates are safe, and the rules that say so notice when they are not: each is shown a template that breaks it."""

import shutil

import pytest

from conftest import templates
from safety_rules import broken

# A file, what is in it, what somebody might write instead, and a word of the complaint.
MUTATIONS = [
    ("storage", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "allowSharedKeyAccess"),
    ("storage", "    allowSharedKeyAccess: false\n", "", "allowSharedKeyAccess"),
    ("storage", "allowBlobPublicAccess: false", "allowBlobPublicAccess: true", "allowBlobPublicAccess"),
    ("storage", "'TLS1_2'", "'TLS1_0'", "minimumTlsVersion"),
    ("storage", "supportsHttpsTrafficOnly: true", "supportsHttpsTrafficOnly: false", "supportsHttpsTrafficOnly"),
    ("storage", "output name string = account.name", "output key string = account.listKeys().keys[0].value", "listKeys"),
    ("storage", "publicAccess: 'None'", "publicAccess: 'Blob'", "publicAccess"),
    ("communication", "publicAccess: 'None'", "publicAccess: 'Container'", "publicAccess"),
    ("communication", "  properties: { publicAccess: 'None' }\n", "", "publicAccess"),
    ("communication", "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth"),
    ("communication", "scope: identities", "scope: account", "may not give"),
    ("communication", "scope: identities", "scope: communication", "may not give"),
    ("communication", "  scope: communication\n", "", "the resource group"),
    ("communication", "output endpoint string = 'https://${communication.properties.hostName}/'", "output endpoint string = communication.listKeys().primaryConnectionString", "reads a key"),
    ("function-app", "RUST_LOG: 'info'", "AzureCommunicationServicesConnectionString: signalRUri", "must not be set"),
    ("function-app", "RUST_LOG: 'info'", "ChatIdentityStoreKey: signalRUri", "must not be set"),
    ("function-app", "empty(communicationEndpoint) ? {} : {", "{", "only if communication is asked for"),
    ("function-app", "RUST_LOG: 'info'", "ChatIdentityStore: identityStore", "only if communication is asked for"),
    ("main", "param communication bool = false", "param communication bool = true", "off unless"),
    ("main", "= if (communication) {", "= {", "only if communication is asked for"),
    ("signalr", "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth"),
    ("signalr", "[pageOrigin]", "['*']", "lets everybody in"),
    ("signalr", "'Serverless'", "'Default'", "serverless"),
    ("signalr", "output name string = service.name", "output uriWithAccessKey string = service.name", "uriWithAccessKey"),
    ("signalr", "service.name\n", "service.listKeys().primaryConnectionString\n", "reads a key"),
    ("monitoring", "DisableLocalAuth: true", "DisableLocalAuth: false", "DisableLocalAuth"),
    ("monitoring", "features: { disableLocalAuth: true }", "features: {}", "disableLocalAuth"),
    ("function-app", "httpsOnly: true", "httpsOnly: false", "httpsOnly"),
    ("function-app", "minTlsVersion: '1.2'", "minTlsVersion: '1.0'", "minTlsVersion"),
    ("function-app", "ftpsState: 'Disabled'", "ftpsState: 'AllAllowed'", "ftpsState"),
    ("function-app", "allowedOrigins: [pageOrigin]", "allowedOrigins: ['${pageOrigin}/']", "cors.allowedOrigins"),
    ("function-app", "allowedOrigins: [pageOrigin]", "allowedOrigins: ['*']", "lets everybody in"),
    ("function-app", "name: 'scm'\n    properties: { allow: false }", "name: 'scm'\n    properties: { allow: true }", "properties.allow"),
    ("function-app", "ChatAllowAnonymous: 'false'", "ChatAllowAnonymous: 'true'", "ChatAllowAnonymous"),
    ("function-app", "RUST_LOG: 'info'", "FUNCTIONS_WORKER_RUNTIME: 'custom'", "FUNCTIONS_WORKER_RUNTIME"),
    ("function-app", "RUST_LOG: 'info'", "AzureSignalRConnectionString: signalRUri", "must not be set"),
    ("function-app", "'@Microsoft.KeyVault(SecretUri=${authSecretUri})'", "authSecretUri", "Key Vault"),
    ("function-app", "RUST_LOG: 'info'", "GOOGLE_SECRET: 'hush'", "Key Vault"),
    ("function-app", "RUST_LOG: 'info'", "AzureSignalRConnectionString__clientSecret: 'hush'", "Key Vault"),
    ("function-app", "type: 'UserAssignedIdentity'", "type: 'StorageAccountConnectionString'", "authentication.type"),
    ("function-app", "param signalRUri string", "@secure()\nparam signalRUri string", "secret as a parameter"),
    ("sign-in", "'AllowAnonymous'", "'RedirectToLoginPage'", "unauthenticatedClientAction"),
    ("sign-in", "platform: { enabled: true }", "platform: { enabled: false }", "platform.enabled"),
    ("sign-in", "[pageOrigin, '${pageOrigin}/']", "[pageOrigin, 'https://elsewhere.example/']", "allowedExternalRedirectUrls"),
    ("sign-in", "tokenStore: { enabled: true }", "tokenStore: { enabled: false }", "tokenStore"),
    ("sign-in", "httpSettings: { requireHttps: true }", "httpSettings: { requireHttps: false }", "requireHttps"),
    ("registration", "'AzureADMyOrg'", "'AzureADMultipleOrgs'", "signInAudience"),
    ("registration", "redirectUris: [", "redirectUris: ['https://elsewhere.example', ", "redirectUris"),
    ("roles", "scope: account::blobs::page", "scope: account", "may not give"),
    ("roles", "  scope: insights\n", "", "the resource group"),
    ("roles", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "may not give"),
    ("roles", "var signalRAppServer = '420fcaa2", "var signalRAppServer = '7e4f1700", "may not give"),
]


def test_the_deployment_is_safe(infra):
    assert broken(infra) == []


@pytest.mark.parametrize(("module", "written", "instead", "complaint"), MUTATIONS)
def test_what_would_make_it_unsafe_is_noticed(root, tmp_path, module, written, instead, complaint):
    copy = tmp_path / "infra"
    shutil.copytree(root / "infra", copy)
    path = copy / ("main.bicep" if module == "main" else f"modules/{module}.bicep")
    before = path.read_text()
    assert written in before, "the mutation has nothing to change"
    path.write_text(before.replace(written, instead))
    changed = templates(copy)
    assert [error for template in changed.values() for error in template.errors] == [], "the mutation is not Bicep"
    assert any(complaint in problem for problem in broken(changed)), broken(changed)
