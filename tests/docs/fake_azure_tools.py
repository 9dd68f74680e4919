"""Fake `az`, `azd` and `func`: they record their arguments, and print fixed answers to the queries of the docs."""

import shlex
from pathlib import Path

ACCOUNT = "mychatpage"
PAGE = f"https://{ACCOUNT}.z6.web.core.windows.net"
HOST = "mychathost"
COMMUNICATION = "my-chat-communication.europe.communication.azure.com"
API = "my-chat-api-a1b2.westeurope-01.azurewebsites.net"
CLIENT = "11111111-2222-3333-4444-555555555555"

# Output by the value of `--query`. Any other query is an error.
ANSWERS = {
    "appId": CLIENT,
    "hostName": COMMUNICATION,
    "primaryEndpoints.blob": f"https://{HOST}.blob.core.windows.net/",
    "defaultHostName || properties.defaultHostName": API,
    "id": "/subscriptions/s/it",
    "password": "a secret",
    "primaryEndpoints.web": f"{PAGE}/",
    "properties.etag": '"0x8D"',
    "principalId": "the-identity-of-the-app",
    "tenantId": "the-tenant",
}

SCRIPT = """#!/bin/sh
echo "$(basename "$0") $*" >>{calls}
case " $* " in
{answers}
*" --query "*) echo "no answer for: $*" >&2; exit 1 ;;
esac
"""


class FakeAzureTools:
    """Creates `az`, `azd` and `func` in a folder, which has to be the first of PATH."""

    def __init__(self, folder: Path):
        self._calls = folder / "calls"
        self._calls.touch()
        answers = [f"*{shlex.quote(f' --query {query} ')}*) echo {shlex.quote(answer)} ;;" for query, answer in ANSWERS.items()]
        script = SCRIPT.format(calls=shlex.quote(str(self._calls)), answers="\n".join(answers))
        for tool in ("az", "azd", "func"):
            path = folder / tool
            path.write_text(script)
            path.chmod(0o755)

    def calls(self, beginning: str) -> list[str]:
        """Returns the calls with this beginning, without it."""
        return [call.removeprefix(beginning).strip() for call in self._calls.read_text().splitlines() if call.startswith(beginning)]
