"""Lists the commands of the docs that cannot run in these tests, by their beginning, each with the reason.

Most of the Azure commands are still run by `test_deploy.py` with fake tools, so that a shell parses them.
"""

AZURE = "changes resources in Azure"
READS_AZURE = "reads from resources in Azure"
AZD = "azd needs a subscription, and creates resources in it"
FUNC = "Azure Functions Core Tools are not installed; the contract tests do what its host does"
DOTNET = "the official emulator needs .NET"
OTEL = "builds everything again; tests/contract runs such a build with a collector"
SUITE = "runs these tests itself"
FORMER = "a command of earlier versions"

REASONS = {
    "make test": SUITE,
    "make check": "is part of `make test`",
    "make e2e": "is part of `make test`",
    "make docs": SUITE,
    "make bench": "takes minutes, and needs an idle machine",
    "make soak": "takes minutes",
    "make deny": "installs cargo-deny from the network",
    "make package FEATURES=otel": OTEL,
    "cargo run --features otel": OTEL,
    "cargo doc --open": "opens a browser",
    "cargo test -p": "is part of `make test`",
    "npm --prefix content test": "is part of `make test`",
    "cargo build &&": FORMER,
    "cargo run --bin handler": FORMER,
    "func start": FUNC,
    "func azure functionapp publish": FUNC,
    "(cd target/publish && func azure functionapp publish": FUNC,
    "azd auth login": AZD,
    "azd deploy": AZD,
    "azd down": AZD,
    "azd env new": AZD,
    "azd env set": AZD,
    "azd provision": AZD,
    "azd up": AZD,
    "az login": "signs a person in",
    "az ad app delete": AZURE,
    "az ad sp create": AZURE,
    "az communication create": AZURE,
    "az functionapp config appsettings set": AZURE,
    "az functionapp cors add": AZURE,
    "az functionapp create": AZURE,
    "az functionapp deployment source config-zip": AZURE,
    "az functionapp identity assign": AZURE,
    "az group create": AZURE,
    "az group delete": AZURE,
    "az resource update": AZURE,
    "az rest --method delete": AZURE,
    "az rest --method patch": AZURE,
    "az rest --method put": AZURE,
    "az role assignment create": AZURE,
    "az signalr cors update": AZURE,
    "az signalr create": AZURE,
    "az storage account blob-service-properties update": AZURE,
    "az storage account create": AZURE,
    "az storage account management-policy create": AZURE,
    "az storage blob delete": AZURE,
    "az storage blob delete-batch": AZURE,
    "az storage blob download": AZURE,
    "az storage blob download-batch": READS_AZURE,
    "az storage container-rm create": AZURE,
    'for role in "SignalR REST API Owner" "SignalR App Server"; do\n  az role assignment create': AZURE,
    "cargo run -p azure-signalr-conformance -- --timeout 20": "calls a service in Azure",
    "dotnet tool install": DOTNET,
    "asrs-emulator start": DOTNET,
    "export AzureSignalRConnectionString=$(az signalr key list": READS_AZURE,
    "client=$(az ad app create": READS_AZURE,
    "etag=$(az storage blob show": READS_AZURE,
    "az functionapp list-flexconsumption-runtimes": READS_AZURE,
    "az signalr show": READS_AZURE,
    "acsHost=$(az communication show": READS_AZURE,
    "apiUrl=https://$(az functionapp show": READS_AZURE,
    "container=$(az storage account show": READS_AZURE,
    "principal=$(az functionapp identity show": READS_AZURE,
    "resource=$(az communication show": READS_AZURE,
    "service=$(az signalr show": READS_AZURE,
    "site=$(az storage account show": READS_AZURE,
    "tenant=$(az account show": READS_AZURE,
    "npm --prefix tests/e2e run screenshots": "takes the pictures of these documents anew",
    'curl -si -X OPTIONS "https://$signalr.service.signalr.net/': "checks the CORS of a service in Azure",
    'curl -si "$apiUrl/.auth/login/aad?': "redirects to Entra; the local sign-in shows a page instead",
}


def reason(text: str) -> str | None:
    """Returns the reason why a command cannot run here, or nothing if it can."""
    return next((reason for beginning, reason in REASONS.items() if begins(text, beginning)), None)


def begins(text: str, beginning: str) -> bool:
    """Tells whether a command begins with these words; `az ad` is not the beginning of `az adb`."""
    return text.startswith(beginning) and (text == beginning or not (beginning[-1].isalnum() and text[len(beginning)].isalnum()))
