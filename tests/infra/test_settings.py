"""The settings of the function app and the settings that the handler reads are the same, except for the lists here."""

import json
import re

from safety_rules import app_settings

# Read by App Service, the Functions host and Application Insights.
PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AUTH_PROVIDER_SECRET",
    "AUTH_TOKEN_STORE_SAS_URL",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
}

# Read by the handler, and intentionally not set by the deployment, with the reason.
NOT_SET = {
    "AzureAd__Audience": "App Service authentication validates the tokens",
    "AzureAd__ClientId": "the same",
    "AzureAd__Instance": "the same",
    "AzureAd__TenantId": "the same",
    "AzureCommunicationServicesConnectionString": "it contains a key",
    "AzureCommunicationServicesConnectionString__rootCertificates": "the certificate of the service is publicly trusted",
    "AzureFunctionsJobHost__extensions__http__routePrefix": "host.json sets it",
    "AzureSignalRConnectionString": "it contains a key",
    "AzureSignalRConnectionString__clientSecret": "it is a key; a managed identity needs none",
    "AzureSignalRConnectionString__rootCertificates": "the certificate of the service is publicly trusted",
    "AzureSignalRConnectionString__tenantId": "a managed identity belongs to the tenant of the app",
    "ChatHistoryPrivate": "the default is to keep private messages where there is a history",
    "ChatHistory__clientId": "the default is the identity for SignalR",
    "ChatHistory__rootCertificates": "the certificate of the service is publicly trusted",
    "ChatIdentityStoreKey": "no longer supported; the handler names its replacement",
    "ChatIdentityStore__clientId": "the default is the identity for SignalR",
    "ChatIdentityStore__rootCertificates": "the certificate of the service is publicly trusted",
    "ChatMessageRate": "the default suits a deployment",
    "FUNCTIONS_CUSTOMHANDLER_PORT": "the host sets it",
    "FUNCTIONS_CUSTOMHANDLER_WORKER_ID": "the host sets it",
    "FUNCTIONS_HTTPWORKER_PORT": "older hosts set it",
    "IDENTITY_ENDPOINT": "App Service sets it",
    "IDENTITY_HEADER": "App Service sets it",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "logs go to Application Insights",
    "OTEL_EXPORTER_OTLP_HEADERS": "it usually contains a key",
    "OTEL_SERVICE_NAME": "the default is the name of the app",
    "WEBSITE_AUTH_ENABLED": "App Service sets it",
    "WEBSITE_SITE_NAME": "App Service sets it",
}

# A setting in src/config/, or the suffix of an `AzureSignalRConnectionString` setting.
NAME = re.compile(r'"((?:AzureAd|AzureSignalR|AzureCommunication|AzureFunctions|Chat|[A-Z]+_|__)\w*)"')


def names_read(root) -> set[str]:
    """The settings that the handler reads."""
    sources = [path.read_text().partition("#[cfg(test)]")[0] for path in sorted((root / "src/config").glob("*.rs"))]
    code = "\n".join(sources)
    return {f"AzureSignalRConnectionString{name}" if name.startswith("__") else name for name in NAME.findall(code)}


def test_every_setting_is_read(root, infra):
    assert app_settings(infra).keys() - PLATFORM - names_read(root) == set()


def test_every_setting_the_handler_reads_is_set_or_listed(root, infra):
    assert names_read(root) - app_settings(infra).keys() - NOT_SET.keys() == set()
    assert app_settings(infra).keys() & NOT_SET.keys() == set()


def test_the_handler_and_the_host_have_the_same_routes(root):
    functions = [json.loads(path.read_text()) for path in sorted(root.glob("*/function.json"))]
    forwarded = {binding["route"].lower() for function in functions for binding in function["bindings"] if "route" in binding}
    served = {route.lower() for route in re.findall(r'at\("([^"]+)"\)', (root / "src/app.rs").read_text())}
    assert len(functions) == len(forwarded) == 11
    assert forwarded == served


def test_the_host_starts_the_handler_that_azd_deploys(root):
    host = json.loads((root / "host.json").read_text())
    assert host["customHandler"]["description"]["defaultExecutablePath"] == "handler"
    assert "extensionBundle" not in host
