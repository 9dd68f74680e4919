"""Tests of workflows, issue forms, Dependabot, the dev container, the toolchain file and the npm lock files."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))

# Permissions beyond `contents: read`: to publish a release, and to sign in to Azure.
PERMISSIONS = {("release", "publish"): {"contents": "write"}, ("deploy", "deploy"): {"contents": "read", "id-token": "write"}}

SCHEMAS = [
    ("vendor.github-workflows", WORKFLOWS),
    ("vendor.dependabot", [ROOT / ".github/dependabot.yml"]),
    ("vendor.github-issue-config", [ROOT / ".github/ISSUE_TEMPLATE/config.yml"]),
    ("vendor.github-issue-forms", [ROOT / ".github/ISSUE_TEMPLATE/bug.yml", ROOT / ".github/ISSUE_TEMPLATE/idea.yml"]),
]


def load(path: Path):
    return YAML(typ="safe").load(path.read_text())


def jobs():
    return [(path.stem, name, job) for path in WORKFLOWS for name, job in load(path)["jobs"].items()]


def steps():
    return [step for _, _, job in jobs() for step in job.get("steps", [])]


@pytest.mark.parametrize(("schema", "files"), SCHEMAS, ids=[schema for schema, _ in SCHEMAS])
def test_files_match_the_schemas_of_github(schema, files):
    subprocess.run(["check-jsonschema", "--builtin-schema", schema, *files], check=True)


def test_workflows_have_no_known_weakness():
    subprocess.run(["zizmor", "--offline", "--persona=pedantic", "--quiet", *WORKFLOWS, ROOT / ".github/dependabot.yml"], check=True)


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it():
    lines = [line.strip() for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.search(r"uses: ([\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/workflows/[\w-]+\.yml)$", line), line
    # One version of each action.
    pinned = {line.split("uses: ")[1] for line in lines}
    assert len(pinned) == len({pin.split("@")[0] for pin in pinned})


def test_jobs_have_minimal_permissions_and_a_timeout():
    for workflow, name, job in jobs():
        assert job["permissions"] == PERMISSIONS.get((workflow, name), {"contents": "read"}), f"{workflow}/{name}"
        assert "uses" in job or 0 < job["timeout-minutes"] <= 90, f"{workflow}/{name}"
    for path in WORKFLOWS:
        workflow = load(path)
        assert workflow["permissions"] == {}, path.name
        assert workflow["concurrency"]["group"], path.name


def test_no_workflow_uses_a_secret():
    for path in WORKFLOWS:
        assert "secrets." not in path.read_text(), path.name


def test_only_the_deployment_signs_in_to_azure_and_only_in_an_environment():
    signing_in = [(workflow, job) for workflow, _, job in jobs() for step in job.get("steps", []) if "Azure/login" in step.get("uses", "")]
    ((workflow, job),) = signing_in
    assert workflow == "deploy"
    assert job["environment"]["name"]


def test_shellcheck_accepts_the_scripts_in_workflows_and_they_contain_no_expressions():
    scripts = [step["run"] for step in steps() if "run" in step]
    assert scripts
    for script in scripts:
        assert "${{" not in script, "pass the value as an environment variable, to prevent script injection"
        subprocess.run(["shellcheck", "--shell=bash", "-"], input=script, text=True, check=True)


def test_workflows_call_existing_make_targets(root):
    targets = {target for line in re.findall(r"^([a-z0-9 ]+):", (root / "Makefile").read_text(), re.MULTILINE) for target in line.split()}
    called = {target for step in steps() for target in re.findall(r"^make (\w+)$", step.get("run", ""), re.MULTILINE)}
    assert called == {"deny", "package", "test"}
    assert called <= targets


def test_the_hook_that_uploads_the_page_gets_its_variables(root):
    (upload,) = [step for step in steps() if step.get("run") == "infra/hooks/page.sh"]
    required = re.search(r"for name in ([A-Z_ ]+);", (root / "infra/hooks/page.sh").read_text())[1]
    assert sorted(required.split()) == sorted(upload["env"])


def test_the_dev_container_forwards_the_ports_of_make_run(root):
    text = (root / ".devcontainer/devcontainer.json").read_text()
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    ports = [int(port) for port in re.findall(r"`http://localhost:(\d+)` \|", (root / "docs/develop.md").read_text())]
    assert container["forwardPorts"] == ports
    assert all(container["portsAttributes"][str(port)]["requireLocalPort"] for port in ports)
    assert "make run" in container["postAttachCommand"]


def test_dependabot_updates_every_manifest(root):
    updates = load(root / ".github/dependabot.yml")["updates"]
    folders = {(update["package-ecosystem"], folder) for update in updates for folder in update.get("directories", [update.get("directory")])}
    tracked = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
    manifests = {"package.json": "npm", "requirements.txt": "pip", "Cargo.lock": "cargo"}
    there = {(manifests[path.name], f"/{path.parent}".removesuffix("/.") or "/") for path in map(Path, tracked) if path.name in manifests}
    assert there <= folders


def test_the_workflow_also_builds_with_the_minimum_rust_version(root):
    script = load(root / ".github/workflows/check.yml")["jobs"]["minimum-rust-version"]["steps"][-1]["run"]
    read = script.splitlines()[0].removeprefix("version=$(").removesuffix(")")
    version = subprocess.run(["bash", "-c", read], cwd=root, check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?\n", version)
    assert 'cargo "+$version" check --workspace --all-targets --locked' in script


def test_the_toolchain_is_stable_without_a_version_and_has_the_tools_of_the_checks(root):
    toolchain = tomllib.loads((root / "rust-toolchain.toml").read_text())["toolchain"]
    assert toolchain == {"channel": "stable", "components": ["clippy", "rustfmt"]}


@pytest.mark.parametrize("folder", ["content", "tests/e2e"])
def test_npm_lock_files_match_their_manifest_and_have_integrity_hashes(root, folder):
    manifest = json.loads((root / folder / "package.json").read_text())
    packages = json.loads((root / folder / "package-lock.json").read_text())["packages"]
    locked = packages.pop("")
    for kind in ("dependencies", "devDependencies"):
        assert locked.get(kind, {}) == manifest.get(kind, {}), kind
        for name, version in manifest.get(kind, {}).items():
            assert packages[f"node_modules/{name}"]["version"] == version, name
    for name, package in packages.items():
        # Without `resolved`, npm uses the configured registry.
        assert "resolved" not in package, name
        assert package.get("inBundle") or package["integrity"].startswith("sha512-"), name
