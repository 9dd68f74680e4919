"""Security rules for the templates. `broken_rules` returns the violations.

The rules list required values: a missing property is a violation, too.
"""

import re
from collections.abc import Iterator

from bicep import Resource, Template, objects

STORAGE = "Microsoft.Storage/storageAccounts"
SIGNALR = "Microsoft.SignalRService/signalR"
COMMUNICATION = "Microsoft.Communication/communicationServices"
SITE = "Microsoft.Web/sites"

# Required properties by resource type.
REQUIRED = {
    STORAGE: {
        "properties.allowSharedKeyAccess": "false",
        "properties.allowBlobPublicAccess": "false",
        "properties.allowCrossTenantReplication": "false",
        "properties.isHnsEnabled": "false",
        "properties.supportsHttpsTrafficOnly": "true",
        "properties.minimumTlsVersion": "'TLS1_2'",
    },
    # What is deleted is gone: the history holds what people wrote.
    f"{STORAGE}/blobServices": {
        "properties.isVersioningEnabled": "false",
        "properties.deleteRetentionPolicy.enabled": "false",
        "properties.containerDeleteRetentionPolicy.enabled": "false",
    },
    f"{STORAGE}/blobServices/containers": {"properties.publicAccess": "'None'"},
    COMMUNICATION: {"properties.disableLocalAuth": "true"},
    SIGNALR: {
        "properties.disableLocalAuth": "true",
        "properties.cors.allowedOrigins": "[pageOrigin]",
    },
    "Microsoft.Insights/components": {"properties.DisableLocalAuth": "true"},
    "Microsoft.OperationalInsights/workspaces": {"properties.features.disableLocalAuth": "true"},
    SITE: {
        "identity.type": "'UserAssigned'",
        "properties.httpsOnly": "true",
        "properties.siteConfig.minTlsVersion": "'1.2'",
        "properties.siteConfig.scmMinTlsVersion": "'1.2'",
        "properties.siteConfig.ftpsState": "'Disabled'",
        "properties.siteConfig.cors.allowedOrigins": "[pageOrigin]",
        "properties.siteConfig.cors.supportCredentials": "false",
        "properties.functionAppConfig.runtime.name": "'custom'",
        "properties.functionAppConfig.deployment.storage.authentication.type": "'UserAssignedIdentity'",
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"properties.allow": "false"},
    "Microsoft.Graph/applications": {
        "signInAudience": "'AzureADMyOrg'",
        "web.implicitGrantSettings.enableAccessTokenIssuance": "false",
        "web.redirectUris": "['${apiOrigin}/.auth/login/aad/callback']",
    },
}

SIGN_IN = {
    "properties.platform.enabled": "true",
    "properties.globalValidation.unauthenticatedClientAction": "'AllowAnonymous'",
    "properties.httpSettings.requireHttps": "true",
    "properties.login.allowedExternalRedirectUrls": "[pageOrigin, '${pageOrigin}/']",
    "properties.login.tokenStore.enabled": "true",
    "properties.login.tokenStore.azureBlobStorage": "tokenStoreInBlobs ? { sasUrlSettingName: tokenStoreSetting } : null",
}

# The rule for each entry of `rules`, and the prefixes of the entries with their days.
RETENTION_RULE = [
    "enabled: true type: 'Lifecycle'",
    "blobTypes: ['appendBlob', 'blockBlob']",
    "prefixMatch: rule.prefixes",
    "baseBlob: { delete: { daysAfterModificationGreaterThan: rule.days } }",
]
RETENTION = {
    "'${containerName}/rooms/', '${containerName}/people/'": "days",
    "'${containerName}/removed/'": "days + 2",
}

# Allowed role assignments: role and scopes.
ROLES = {
    "420fcaa2-552c-430f-98ca-3264be4806c7": ["signalR"],
    "fd53cd77-2268-407a-8f46-7e7863d0f521": ["signalR"],
    "3913510d-42f4-4e42-8a64-420c390055eb": ["insights"],
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": ["host[i]"],
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": ["account::blobs::page", "history", "identities"],
    "09976791-48a7-449e-bb21-39d1a415f350": ["communication"],
}

# Settings that contain a key, or that break deployments on Flex Consumption.
FORBIDDEN_SETTINGS = {
    "AzureCommunicationServicesConnectionString",
    "AzureSignalRConnectionString",
    "AzureWebJobsStorage",
    "ChatIdentityStoreKey",
    "FUNCTIONS_WORKER_RUNTIME",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_RUN_FROM_PACKAGE",
}

KEY_FUNCTION = re.compile(r"\blist[A-Z]\w*\s*\(|\bgetSecret\s*\(")
KEY_TEXT = re.compile(r"AccountKey|AccessKey=|SharedAccess|primaryKey|secondaryKey|primaryConnectionString", re.IGNORECASE)
KEY_NAME = re.compile(r"key|secret|password|sas_?ur[il]$|connection_?string$", re.IGNORECASE)


def broken_rules(templates: dict[str, Template]) -> list[str]:
    """All violations, as sentences."""
    rules = (required_properties, communication_is_optional, history_is_optional, retention, sign_in, role_assignments, settings, secrets_in_source, outputs)
    return [problem for rule in rules for problem in rule(templates)]


def _all(templates: dict[str, Template], kind: str) -> list[Resource]:
    return [resource for template in templates.values() for resource in template.resource(kind)]


def _compare(resource: Resource, required: dict[str, str]) -> Iterator[str]:
    for path, value in required.items():
        if resource.properties.get(path) != value:
            yield f"{resource.kind} `{resource.symbol}`: {path} must be {value}"


def required_properties(templates: dict[str, Template]) -> Iterator[str]:
    for kind, required in REQUIRED.items():
        found = _all(templates, kind)
        if not found:
            yield f"{kind}: is not declared"
        for resource in found:
            yield from _compare(resource, required)
    policies = _all(templates, "Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    if {policy.properties["name"] for policy in policies} != {"'ftp'", "'scm'"}:
        yield "publishing with a password must be off for ftp and for scm"
    for service in _all(templates, SIGNALR):
        if "flag: 'ServiceMode', value: 'Serverless'" not in service.properties.get("properties.features", ""):
            yield "the SignalR service must be in serverless mode"


def communication_is_optional(templates: dict[str, Template]) -> Iterator[str]:
    """The usage of Azure Communication Services is billed, so it must be enabled explicitly."""
    main = templates["main.bicep"]
    if main.params.get("communication") != "false":
        yield "communication: must be off by default"
    for path, template in templates.items():
        if not template.resource(COMMUNICATION):
            continue
        modules = [module.symbol for module in main.modules if module.path == path]
        if not modules:
            yield f"{path}: declares {COMMUNICATION} outside of a module"
        for module in modules:
            if not re.search(rf"^module {module} '{path}' = if \(communication\) \{{$", main.source, re.MULTILINE):
                yield f"module `{module}`: must be deployed only with communication"
    for config in _all(templates, f"{SITE}/config"):
        always = re.sub(r"empty\(communicationEndpoint\) \? \{\} : \{[^{}]*\}", "", config.properties.get("properties", ""))
        for name in re.findall(r"AzureCommunicationServices\w+|ChatAccessToken\w+|ChatIdentityStore\w*", always):
            yield f"setting {name}: must be set only with communication"


def history_is_optional(templates: dict[str, Template]) -> Iterator[str]:
    """What people write is stored only where the operator has not switched it off."""
    source = templates["main.bicep"].source
    if "module messages 'modules/history.bicep' = if (history) {" not in source:
        yield "module `messages`: must be deployed only with history"
    (module,) = [module for module in templates["main.bicep"].modules if module.symbol == "api"]
    if module.params["historyContainer"] != "history ? messages!.outputs.container : ''":
        yield "setting ChatHistory: must be set only with history"
    for config in _all(templates, f"{SITE}/config"):
        always = re.sub(r"empty\(historyContainer\) \? \{\} : \{[^{}]*\}", "", config.properties.get("properties", ""))
        if "ChatHistory" in always:
            yield "setting ChatHistory: must be set only with history"


def retention(templates: dict[str, Template]) -> Iterator[str]:
    """Messages are deleted by age. The lists of removed messages outlast what they hide by two days."""
    policies = [(template, policy) for template in templates.values() for policy in template.resource(f"{STORAGE}/managementPolicies")]
    if len(policies) != 1:
        yield "an account has one lifecycle policy, and the history needs it"
    for template, policy in policies:
        rules = re.sub(r"\s+", " ", policy.properties.get("properties.policy.rules", ""))
        for text in RETENTION_RULE:
            if text not in rules:
                yield f"lifecycle policy: {text} is missing"
        deleted = dict(re.findall(r"prefixes: \[(.+?)\], days: (.+?) \}", template.variables.get("rules", "")))
        if deleted != RETENTION:
            yield f"lifecycle policy: must delete {RETENTION}"
        if [container.properties["name"] for container in template.resource(f"{STORAGE}/blobServices/containers")] != ["containerName"]:
            yield "lifecycle policy: the prefixes must begin with the name of the container"


def sign_in(templates: dict[str, Template]) -> Iterator[str]:
    found = [config for config in _all(templates, "Microsoft.Web/sites/config") if config.properties["name"] == "'authsettingsV2'"]
    if len(found) != 1:
        yield "App Service Authentication must be configured, once"
    for config in found:
        yield from _compare(config, SIGN_IN)
    for template in templates.values():
        for name, value in objects(template.variables.get("providers", "{}")).items():
            if "SecretSettingName" in name and value not in ("secretSetting", "'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'"):
                yield f"{name} must name a setting"
        for name in ("secretSetting", "tokenStoreSetting"):
            if name in template.variables and template.variables[name].strip("'") not in app_settings(templates):
                yield f"{name} must name a setting of the function app"


def role_assignments(templates: dict[str, Template]) -> Iterator[str]:
    for template in templates.values():
        ids = {name: re.findall(r"\w+", value) for name, value in template.variables.items() if value.startswith("[")}
        ids |= {name: [value.strip("'")] for name, value in template.variables.items() if name not in ids}
        for assignment in template.resource("Microsoft.Authorization/roleAssignments"):
            # A loop over roles has their names before the object of the declaration.
            where = template.source.index(f"resource {assignment.symbol} ")
            declared = template.source[where : template.source.index("\n}", where)]
            named = [member for name, members in ids.items() if re.search(rf"\b{name}\b", declared) for member in members]
            assigned = [role for name in named for role in ids.get(name, [name])]
            if not assigned:
                yield f"`{assignment.symbol}`: assigns no known role"
            for role in assigned:
                if assignment.properties.get("scope") not in ROLES.get(role, []):
                    yield f"`{assignment.symbol}`: must not assign {role} on {assignment.properties.get('scope', 'the resource group')}"


def app_settings(templates: dict[str, Template]) -> dict[str, str]:
    """The settings of the function app with their value expressions."""
    configs = _all(templates, "Microsoft.Web/sites/config")
    written = [config.properties["properties"] for config in configs if config.properties["name"] == "'appsettings'"]
    return {name: value for expression in written for name, value in objects(expression).items()}


def settings(templates: dict[str, Template]) -> Iterator[str]:
    found = app_settings(templates)
    for name in sorted(found.keys() & FORBIDDEN_SETTINGS):
        yield f"setting {name}: must not be set"
    if found.get("ChatAllowAnonymous") != "'false'":
        yield "setting ChatAllowAnonymous: must be 'false'"
    for name, value in found.items():
        if not KEY_NAME.search(name):
            continue
        # Not a secret, because `DisableLocalAuth` is required above.
        if name == "APPLICATIONINSIGHTS_CONNECTION_STRING" and value == "insightsConnection":
            continue
        if not value.startswith("'@Microsoft.KeyVault(SecretUri=$"):
            yield f"setting {name}: a secret must be a Key Vault reference"


def secrets_in_source(templates: dict[str, Template]) -> Iterator[str]:
    for name, template in templates.items():
        code = re.sub(r"^\s*//.*$", "", template.source, flags=re.MULTILINE)
        for found in [*KEY_FUNCTION.findall(code), *KEY_TEXT.findall(code)]:
            yield f"{name}: reads a key: {found}"
        if "@secure()" in code:
            yield f"{name}: takes a secret as a parameter"
        if "'*'" in template.strings:
            yield f"{name}: '*' allows all origins"


def outputs(templates: dict[str, Template]) -> Iterator[str]:
    for name, template in templates.items():
        for output, value in template.outputs.items():
            if (name, output) == ("modules/monitoring.bicep", "insightsConnection"):
                continue
            if KEY_NAME.search(output) or re.search(r"connection|secret|\bkeys?\b", value, re.IGNORECASE):
                yield f"{name}: output {output} may contain a secret: outputs of deployments are readable"
