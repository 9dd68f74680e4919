"""docs/architecture.md: the table of crates agrees with their manifests."""

import re
import tomllib

from markdown_pages import PAGES, ROOT

ROWS = {row[0].strip("`").rstrip("/"): set(re.findall(r"`([\w-]+)`", row[2])) for row in PAGES["docs/architecture.md"]["Crates"].rows}
MANIFESTS = {"src": ROOT / "Cargo.toml"} | {f"crates/{path.parent.name}": path for path in ROOT.glob("crates/*/Cargo.toml")}


def local_dependencies(path, table: str) -> set[str]:
    dependencies = tomllib.loads(path.read_text()).get(table, {})
    return {name for name, value in dependencies.items() if isinstance(value, dict) and "path" in value}


def test_the_table_has_every_crate_with_its_dependencies_in_this_repository():
    assert ROWS == {folder: local_dependencies(path, "dependencies") for folder, path in MANIFESTS.items()}


def test_nothing_depends_on_chat():
    for path in MANIFESTS.values():
        assert "chat" not in local_dependencies(path, "dependencies") | local_dependencies(path, "dev-dependencies"), path


def test_clients_emulators_and_the_conformance_suite_share_no_code_of_a_protocol():
    dependencies = {folder: local_dependencies(path, "dependencies") for folder, path in MANIFESTS.items()}
    for emulator in ("crates/azure-signalr-emulator", "crates/azure-communication-emulator"):
        assert dependencies[emulator] <= {"http-server", "log-writer"}, emulator
    for other in ("crates/http-server", "crates/log-writer", "crates/azure-signalr-conformance"):
        assert not dependencies[other], other
    for client in ("crates/azure-signalr", "crates/azure-communication"):
        assert "http-server" not in dependencies[client], client
