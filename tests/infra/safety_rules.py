"""What must hold for the deployment to be safe. Each rule is a sentence about the templates; `broken` tells which do not hold.

The rules say what has to be written, rather than what must not: a switch that is left out is as wrong as one that is off.
"""

import re
from collections.abc import Iterator

from bicep import Resource, Template, objects

STORAGE = "Microsoft.Storage/storageAccounts"
SIGNALR = "Microsoft.SignalRService/signalR"
COMMUNICATION = "Microsoft.Communication/communicationServices"
SITE = "Microsoft.Web/sites"

# Per kind of resource: what each of its declarations has to say.
REQUIRED = {
    STORAGE: {
        "properties.allowSharedKeyAccess": "false",
        "properties.allowBlobPublicAccess": "false",
        "properties.allowCrossTenantReplication": "false",
        "properties.supportsHttpsTrafficOnly": "true",
        "properties.minimumTlsVersion": "'TLS1_2'",
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
}

# What an identity may be, and on what: never a group or a subscription, and nothing that manages.
ROLES = {
    "420fcaa2-552c-430f-98ca-3264be4806c7": ["signalR"],
    "fd53cd77-2268-407a-8f46-7e7863d0f521": ["signalR"],
    "3913510d-42f4-4e42-8a64-420c390055eb": ["insights"],
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": ["host[i]"],
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": ["account::blobs::page", "identities"],
    "09976791-48a7-449e-bb21-39d1a415f350": ["communication"],
}

# Settings that undo the rest on Flex Consumption, or hold a key.
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
KEY_NAME = re.compile(r"key|secret|password|connection_?string$", re.IGNORECASE)


def broken(templates: dict[str, Template]) -> list[str]:
    """Every rule that does not hold, as a sentence."""
    rules = (switches, optional, sign_in, roles, settings, texts, outputs)
    return [problem for rule in rules for problem in rule(templates)]


def _all(templates: dict[str, Template], kind: str) -> list[Resource]:
    return [resource for template in templates.values() for resource in template.resource(kind)]


def _compare(resource: Resource, required: dict[str, str]) -> Iterator[str]:
    for path, value in required.items():
        if resource.properties.get(path) != value:
            yield f"{resource.kind} `{resource.symbol}`: {path} must be {value}"


def switches(templates: dict[str, Template]) -> Iterator[str]:
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


def optional(templates: dict[str, Template]) -> Iterator[str]:
    """What people can do with tokens for Azure Communication Services is billed, so that somebody has to want it."""
    main = templates["main.bicep"]
    if main.params.get("communication") != "false":
        yield "communication: must be off unless it is asked for"
    for path, template in templates.items():
        if not template.resource(COMMUNICATION):
            continue
        modules = [module.symbol for module in main.modules if module.path == path]
        if not modules:
            yield f"{path}: declares {COMMUNICATION} outside of a module"
        for module in modules:
            if not re.search(rf"^module {module} '{path}' = if \(communication\) \{{$", main.source, re.MULTILINE):
                yield f"module `{module}`: must be made only if communication is asked for"
    for config in _all(templates, f"{SITE}/config"):
        always = re.sub(r"empty\(communicationEndpoint\) \? \{\} : \{[^{}]*\}", "", config.properties.get("properties", ""))
        for name in re.findall(r"AzureCommunicationServices\w+|ChatAccessToken\w+|ChatIdentityStore\w*", always):
            yield f"setting {name}: must be there only if communication is asked for"


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


def roles(templates: dict[str, Template]) -> Iterator[str]:
    for template in templates.values():
        ids = {name: re.findall(r"\w+", value) for name, value in template.variables.items() if value.startswith("[")}
        ids |= {name: [value.strip("'")] for name, value in template.variables.items() if name not in ids}
        for assignment in template.resource("Microsoft.Authorization/roleAssignments"):
            # A loop over roles has their names in its head, before the declaration's own object.
            where = template.source.index(f"resource {assignment.symbol} ")
            declared = template.source[where : template.source.index("\n}", where)]
            named = [member for name, members in ids.items() if re.search(rf"\b{name}\b", declared) for member in members]
            given = [role for name in named for role in ids.get(name, [name])]
            if not given:
                yield f"`{assignment.symbol}`: gives no role by a name"
            for role in given:
                if assignment.properties.get("scope") not in ROLES.get(role, []):
                    yield f"`{assignment.symbol}`: may not give {role} on {assignment.properties.get('scope', 'the resource group')}"


def app_settings(templates: dict[str, Template]) -> dict[str, str]:
    """The settings of the function app, with the expressions of their values."""
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
        # An address, since `DisableLocalAuth` is required above.
        if name == "APPLICATIONINSIGHTS_CONNECTION_STRING" and value == "insightsConnection":
            continue
        if not value.startswith("'@Microsoft.KeyVault(SecretUri=$"):
            yield f"setting {name}: a secret is named by its address in Key Vault"


def texts(templates: dict[str, Template]) -> Iterator[str]:
    for name, template in templates.items():
        code = re.sub(r"^\s*//.*$", "", template.source, flags=re.MULTILINE)
        for found in [*KEY_FUNCTION.findall(code), *KEY_TEXT.findall(code)]:
            yield f"{name}: reads a key: {found}"
        if "@secure()" in code:
            yield f"{name}: takes a secret as a parameter"
        if "'*'" in template.strings:
            yield f"{name}: '*' lets everybody in"


def outputs(templates: dict[str, Template]) -> Iterator[str]:
    for name, template in templates.items():
        for output, value in template.outputs.items():
            if (name, output) == ("modules/monitoring.bicep", "insightsConnection"):
                continue
            if KEY_NAME.search(output) or re.search(r"connection|secret|\bkeys?\b", value, re.IGNORECASE):
                yield f"{name}: output {output} may hold a secret: deployments keep their outputs readable for years"
