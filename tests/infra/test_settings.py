"""The settings of the function app are those that something reads, and nothing that the handler reads was forgotten."""

import json
import re

from rules import app_settings

# Read by App Service, the Functions host and Application Insights.
PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AUTH_PROVIDER_SECRET",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
}

# Read by the handler, and left out of the deployment on purpose.
NOT_SET = {
    "AzureAd__Audience": "App Service authentication is in front, and checks tokens itself",
    "AzureAd__ClientId": "the same",
    "AzureAd__Instance": "the same",
    "AzureAd__TenantId": "the same",
    "AzureCommunicationServicesConnectionString": "it holds a key",
    "AzureCommunicationServicesConnectionString__rootCertificates": "the certificate there is of an authority that everybody trusts",
    "AzureFunctionsJobHost__extensions__http__routePrefix": "host.json says it",
    "AzureSignalRConnectionString": "it holds a key",
    "AzureSignalRConnectionString__clientSecret": "it is a key; a managed identity needs none",
    "AzureSignalRConnectionString__rootCertificates": "the service's certificate is of an authority that everybody trusts",
    "AzureSignalRConnectionString__tenantId": "a managed identity is of its own tenant",
    "ChatIdentityStore__clientId": "without it the identity is the one SignalR is called with",
    "ChatIdentityStore__rootCertificates": "the certificate there is of an authority that Mozilla trusts",
    "FUNCTIONS_CUSTOMHANDLER_PORT": "the host sets it",
    "FUNCTIONS_HTTPWORKER_PORT": "older hosts set it",
    "IDENTITY_ENDPOINT": "App Service sets it",
    "IDENTITY_HEADER": "App Service sets it",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "logs go to Application Insights, and the package exports nothing unless asked for",
    "OTEL_EXPORTER_OTLP_HEADERS": "it usually holds a key",
    "OTEL_SERVICE_NAME": "without it telemetry is in the name of the app",
    "WEBSITE_AUTH_ENABLED": "App Service sets it",
    "WEBSITE_SITE_NAME": "App Service sets it",
}

# How a name in src/config.rs looks, or the end of one of the service's. Other texts there are sentences, or lower case.
NAME = re.compile(r'"((?:AzureAd|AzureSignalR|AzureCommunication|AzureFunctions|Chat|[A-Z]+_|__)\w*)"')


def names_read(root) -> set[str]:
    """The names of variables that the handler reads, without those of its tests."""
    code, _, _ = (root / "src/config.rs").read_text().partition("#[cfg(test)]")
    return {f"AzureSignalRConnectionString{name}" if name.startswith("__") else name for name in NAME.findall(code)}


def test_every_setting_is_read_by_somebody(root, infra):
    assert app_settings(infra).keys() - PLATFORM - names_read(root) == set()


def test_every_setting_the_handler_reads_is_set_or_left_out_on_purpose(root, infra):
    assert names_read(root) - app_settings(infra).keys() - NOT_SET.keys() == set()
    assert app_settings(infra).keys() & NOT_SET.keys() == set()


def test_every_route_of_the_handler_is_one_the_host_forwards_and_the_other_way_round(root):
    functions = [json.loads(path.read_text()) for path in sorted(root.glob("*/function.json"))]
    forwarded = {binding["route"].lower() for function in functions for binding in function["bindings"] if "route" in binding}
    served = set(re.findall(r'at\("([^"]+)"\)', (root / "src/app.rs").read_text()))
    assert len(functions) == len(forwarded) == 4
    assert forwarded == served


def test_the_host_starts_what_azd_deploys(root):
    host = json.loads((root / "host.json").read_text())
    assert host["customHandler"]["description"]["defaultExecutablePath"] == "handler"
    assert "extensionBundle" not in host
