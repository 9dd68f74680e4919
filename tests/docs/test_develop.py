"""docs/develop.md: `func start`, the emulator, the doctor and VS Code's tasks, and the options of the binaries."""

import json
import re

import pytest

from markdown_pages import PAGES, ROOT

DEVELOP = PAGES["docs/develop.md"]
FUNC_START = DEVELOP["Develop with `func start`"].blocks[0]
DOCTOR = DEVELOP["Doctor"].blocks[0]
CURL = PAGES["README.md"]["Try it with curl"].blocks

OPTIONS = {"chat": "The whole chat", "chat emulator": "SignalR emulator", "azure-signalr-emulator": "SignalR emulator", "chat doctor": "Doctor"}


@pytest.fixture
def binaries(sandbox):
    """A sandbox whose PATH has the built binaries."""
    sandbox.variables["PATH"] = f"{ROOT}/target/debug:{sandbox.variables['PATH']}"
    return sandbox


@pytest.mark.runs(FUNC_START)
def test_func_start_finds_a_handler_that_works_with_the_emulator(sandbox, tmp_path):
    settings, build, emulator, func = FUNC_START.commands
    sandbox.run(settings, build)
    sandbox.start(emulator)
    assert func.text == "func start"

    # As the host starts it: in the root folder, with the settings and a port.
    values = json.loads(sandbox.run("cat local.settings.json"))["Values"]
    executable = json.loads((ROOT / "host.json").read_text())["customHandler"]["description"]["defaultExecutablePath"]
    assert values["ChatHistory"] == "off"
    # With a history, as the page says, and as `make run` has one.
    sandbox.variables |= values | {"ChatHistory": str(tmp_path / "history"), "FUNCTIONS_CUSTOMHANDLER_PORT": "7071"}
    sandbox.start(f"./{executable}", ready="listening")
    for block in CURL[:2]:
        sandbox.compare(block, sandbox.run(*block.commands))


@pytest.mark.runs(DOCTOR)
def test_the_doctor_prints_what_the_page_shows_and_its_fix_works(sandbox):
    settings, build, *_ = FUNC_START.commands
    sandbox.run(settings, build)
    printed = sandbox.run(*DOCTOR.commands, code=78)
    sandbox.compare(DOCTOR, printed)
    sandbox.start(re.search(r"^ +fix: (.+)$", printed, re.MULTILINE)[1])
    assert "No problem found" in sandbox.run(*DOCTOR.commands)


@pytest.mark.runs("chat emulator", "chat doctor", "chat --version")
def test_the_binaries_have_these_commands(binaries):
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert binaries.run("chat --version") == f"chat {version}\n"
    assert "No problem found" in binaries.run("chat doctor")
    emulator = binaries.start("chat emulator")
    assert "http://localhost:8888\n" in emulator.printed
    assert emulator.interrupt() == 0


@pytest.mark.parametrize(("binary", "heading"), OPTIONS.items())
def test_the_table_has_the_options_of_the_help(binaries, binary, heading):
    help_text = binaries.run(f"{binary} --help")
    offered = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", help_text, re.MULTILINE)) - {"--help", "--version"}
    documented = {option for row in DEVELOP[heading].rows for option in re.findall(r"`(--[a-z-]+)`", row[0])} - {"--help", "--version"}
    assert documented == offered


def test_a_handler_without_a_host_says_what_to_run_and_exits_with_64(binaries):
    for text in ("handler 2>&1", "handler --page-port 0 2>&1"):
        printed = binaries.run(text, code=64)
        assert "chat" in printed and len(printed.strip().splitlines()) == 1, printed


def test_the_tasks_of_vs_code_run_the_same_commands():
    tasks = {task["label"]: task for task in json.loads((ROOT / ".vscode/tasks.json").read_text())["tasks"]}
    launch = json.loads((ROOT / ".vscode/launch.json").read_text())["configurations"]
    _, build, emulator, func = (command.text for command in FUNC_START.commands)
    assert tasks["SignalR emulator"]["command"] == emulator
    assert f"func {tasks['func: host start']['command']}" == func.replace("start", "host start")
    assert tasks[tasks["func: host start"]["dependsOn"]]["command"] == build
    assert tasks["package for Azure"]["command"] == "make package"
    rows = "\n".join(row[0] for row in DEVELOP["VS Code"].rows)
    for name in ("SignalR emulator", "func: host start", "package for Azure", *(configuration["name"] for configuration in launch)):
        assert f"*{name}*" in rows
    assert "*package for Azure*" in (ROOT / "docs/deploy.md").read_text()
