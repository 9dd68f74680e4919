"""What GitHub and editors read: of the right form, pinned, and with no more rights than it needs."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))

# What a job may do beyond reading the code, and why: publish a release, sign in to Azure.
RIGHTS = {("release", "publish"): {"contents": "write"}, ("deploy", "deploy"): {"contents": "read", "id-token": "write"}}

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
def test_files_have_the_form_that_github_expects(schema, files):
    subprocess.run(["check-jsonschema", "--builtin-schema", schema, *files], check=True)


def test_workflows_have_no_known_weakness():
    subprocess.run(["zizmor", "--offline", "--persona=pedantic", "--quiet", *WORKFLOWS, ROOT / ".github/dependabot.yml"], check=True)


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it():
    lines = [line.strip() for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.search(r"uses: ([\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/workflows/[\w-]+\.yml)$", line), line
    # One version of each.
    pinned = {line.split("uses: ")[1] for line in lines}
    assert len(pinned) == len({pin.split("@")[0] for pin in pinned})


def test_no_job_may_do_more_than_it_needs_or_run_for_ever():
    for workflow, name, job in jobs():
        assert job["permissions"] == RIGHTS.get((workflow, name), {"contents": "read"}), f"{workflow}/{name}"
        assert "uses" in job or 0 < job["timeout-minutes"] <= 90, f"{workflow}/{name}"
    for path in WORKFLOWS:
        workflow = load(path)
        assert workflow["permissions"] == {}, path.name
        assert workflow["concurrency"]["group"], path.name


def test_no_workflow_knows_a_secret():
    for path in WORKFLOWS:
        assert "secrets." not in path.read_text(), path.name


def test_only_the_deployment_signs_in_and_only_from_a_protected_environment():
    signing_in = [(workflow, job) for workflow, _, job in jobs() for step in job.get("steps", []) if "Azure/login" in step.get("uses", "")]
    ((workflow, job),) = signing_in
    assert workflow == "deploy"
    assert job["environment"]["name"]


def test_scripts_in_workflows_are_clean_and_take_nothing_by_expression():
    scripts = [step["run"] for step in steps() if "run" in step]
    assert scripts
    for script in scripts:
        assert "${{" not in script, "pass it as an environment variable, or what it holds is run"
        subprocess.run(["shellcheck", "--shell=bash", "-"], input=script, text=True, check=True)


def test_workflows_call_only_targets_the_makefile_has(root):
    targets = {target for line in re.findall(r"^([a-z0-9 ]+):", (root / "Makefile").read_text(), re.MULTILINE) for target in line.split()}
    called = {target for step in steps() for target in re.findall(r"^make (\w+)$", step.get("run", ""), re.MULTILINE)}
    assert called == {"deny", "package", "test"}
    assert called <= targets


def test_the_hook_that_uploads_the_page_gets_all_it_asks_for(root):
    (upload,) = [step for step in steps() if step.get("run") == "infra/hooks/page.sh"]
    asked = re.search(r"for name in ([A-Z_ ]+);", (root / "infra/hooks/page.sh").read_text())[1]
    assert sorted(asked.split()) == sorted(upload["env"])


def test_the_dev_container_forwards_the_ports_of_make_run_unchanged(root):
    text = (root / ".devcontainer/devcontainer.json").read_text()
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    ports = [int(port) for port in re.findall(r"`http://localhost:(\d+)` \|", (root / "docs/develop.md").read_text())]
    assert container["forwardPorts"] == ports
    assert all(container["portsAttributes"][str(port)]["requireLocalPort"] for port in ports)
    assert "make run" in container["postAttachCommand"]


def test_dependabot_looks_at_every_manifest(root):
    told = load(root / ".github/dependabot.yml")["updates"]
    folders = {(update["package-ecosystem"], folder) for update in told for folder in update.get("directories", [update.get("directory")])}
    tracked = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
    manifests = {"package.json": "npm", "requirements.txt": "pip", "Cargo.lock": "cargo"}
    there = {(manifests[path.name], f"/{path.parent}".removesuffix("/.") or "/") for path in map(Path, tracked) if path.name in manifests}
    assert there <= folders


def test_the_workflow_also_builds_with_the_minimum_rust_version(root):
    job = load(root / ".github/workflows/check.yml")["jobs"]["minimum-rust-version"]
    script = job["steps"][-1]["run"]
    read = script.splitlines()[0].removeprefix("version=$(").removesuffix(")")
    version = subprocess.run(["bash", "-c", read], cwd=root, check=True, capture_output=True, text=True).stdout
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?\n", version)
    assert 'cargo "+$version" check --workspace --all-targets --locked' in script


def test_the_toolchain_is_stable_without_a_version_and_has_the_tools_of_the_checks(root):
    toolchain = tomllib.loads((root / "rust-toolchain.toml").read_text())["toolchain"]
    assert toolchain == {"channel": "stable", "components": ["clippy", "rustfmt"]}


def test_every_npm_package_is_locked_with_a_hash(root):
    for lock in [root / "content/package-lock.json", root / "tests/e2e/package-lock.json"]:
        locked = json.loads(lock.read_text())
        manifest = json.loads((lock.parent / "package.json").read_text())
        packages = locked["packages"]
        own = packages.pop("")
        for kind in ("dependencies", "devDependencies"):
            assert own.get(kind) == manifest.get(kind), lock
        assert packages
        assert all(package["integrity"].startswith("sha512-") for package in packages.values()), lock
        assert not any("resolved" in package for package in packages.values()), "a lock names no registry"
