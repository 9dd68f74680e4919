"""The commands of the docs that cannot run here, by how they begin, and why. Whoever documents a new kind of command decides: it is run by
a test, or it gets a line here.

Most of them are still read by a shell in `test_deploy.py`, which calls stand-ins for the tools that are not here.
"""

AZURE = "changes things in Azure"
ASKS_AZURE = "asks Azure, and Azure alone knows"
AZD = "azd wants a subscription, and creates things in it"
FUNC = "Azure Functions Core Tools are not here; the tests of the contract do what its host does"

EMULATOR = "the official emulator wants .NET"

OTEL = "builds everything once more; tests/contract runs that build against a collector"

REASONS = {
    "make test": "runs these tests, among others",
    "make bench": "takes minutes, and wants a machine of its own",
    "make package FEATURES=otel": OTEL,
    "cargo run --features otel": OTEL,
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
    "az login": "signs in, which takes a person",
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
    "az storage account create": AZURE,
    "az storage blob delete": AZURE,
    "az storage blob download": AZURE,
    "az storage container-rm create": AZURE,
    'for role in "SignalR REST API Owner" "SignalR App Server"; do\n  az role assignment create': AZURE,
    "cargo run -p azure-signalr-conformance -- --timeout 20": "asks a service in Azure",
    "dotnet tool install": EMULATOR,
    "export AzureSignalRConnectionString=$(az signalr key list": ASKS_AZURE,
    "client=$(az ad app create": AZURE,
    "az functionapp list-flexconsumption-runtimes": ASKS_AZURE,
    "asrs-emulator start": EMULATOR,
    "az signalr show": ASKS_AZURE,
    "acsHost=$(az communication show": ASKS_AZURE,
    "apiUrl=https://$(az functionapp show": ASKS_AZURE,
    "container=$(az storage account show": ASKS_AZURE,
    "principal=$(az functionapp identity show": ASKS_AZURE,
    "resource=$(az communication show": ASKS_AZURE,
    "service=$(az signalr show": ASKS_AZURE,
    "site=$(az storage account show": ASKS_AZURE,
    "tenant=$(az account show": ASKS_AZURE,
    'curl -si -X OPTIONS "https://$signalr.service.signalr.net/': "the CORS of a service in Azure",
    'curl -si "$apiUrl/.auth/login/aad?': "the sign-in of Entra; the stand-in shows a page to choose a person from",
}


def reason(text: str) -> str | None:
    """Why a command cannot run here, or nothing if it can."""
    return next((reason for beginning, reason in REASONS.items() if begins(text, beginning)), None)


def begins(text: str, beginning: str) -> bool:
    """Whether a command begins so; `az ad` is not how `az adb` begins."""
    return text.startswith(beginning) and (text == beginning or not (beginning[-1].isalnum() and text[len(beginning)].isalnum()))
