"""README.md: what it tells a newcomer to type, typed."""

import json
import re
import signal

import pytest

from pages import PAGES, ROOT

README = PAGES["README.md"]
RUN = README["Run it"].blocks[0]
FUNC_START = README["Develop with `func start`"].blocks[0]
BY_HAND = README["Ask it by hand"].blocks
DOCTOR = next(block for block in README["Develop with `func start`"].blocks if "doctor" in block.commands[0].text)


@pytest.mark.runs(RUN)
def test_the_whole_chat_starts_shows_its_page_and_ends_with_ctrl_c(machine):
    chat = machine.start(*RUN.commands)
    machine.compare(RUN, chat.printed)
    page = re.search(r"^ready: open (\S+)", chat.printed, re.MULTILINE)[1]
    assert "<title>Serverless chat</title>" in machine.run(f"curl -s {page}")

    # make ends by the signal itself, and would tell of an error if the handler had not ended well.
    assert chat.interrupt() == -signal.SIGINT
    assert "Error" not in chat.printed
    assert machine.run(f"curl -s {page} || echo gone") == "gone\n"


@pytest.mark.runs(*BY_HAND)
def test_what_is_asked_by_hand_is_answered_as_shown(machine):
    machine.start(*RUN.commands)
    for block in BY_HAND:
        machine.compare(block, machine.run(*block.commands))


@pytest.mark.runs(FUNC_START)
def test_what_func_start_finds_is_a_handler_that_works_with_the_emulator(machine):
    settings, build, emulator, func = FUNC_START.commands
    machine.run(settings, build)
    machine.start(emulator)
    assert func.text == "func start"

    # As the host would start it: from the root, with the settings and a port.
    values = json.loads(machine.run("cat local.settings.json"))["Values"]
    executable = json.loads((ROOT / "host.json").read_text())["customHandler"]["description"]["defaultExecutablePath"]
    machine.variables |= values | {"FUNCTIONS_CUSTOMHANDLER_PORT": "7071"}
    machine.start(f"./{executable}", ready="listening")
    for block in BY_HAND[:2]:
        machine.compare(block, machine.run(*block.commands))


@pytest.mark.runs(DOCTOR)
def test_the_doctor_finds_what_the_readme_shows_and_what_it_says_mends_it(machine):
    settings, build, *_ = FUNC_START.commands
    machine.run(settings, build)
    printed = machine.run(*DOCTOR.commands, code=78)
    machine.compare(DOCTOR, printed)
    machine.start(re.search(r"^ +mend: (.+)$", printed, re.MULTILINE)[1])
    assert "All is well" in machine.run(*DOCTOR.commands)


@pytest.mark.runs("handler emulator", "handler doctor", "handler --version")
def test_the_binary_is_called_as_its_table_says(machine):
    machine.variables["PATH"] = f"{ROOT}/target/debug:{machine.variables['PATH']}"
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert machine.run("handler --version") == f"handler {version}\n"
    assert "All is well" in machine.run("handler doctor")
    emulator = machine.start("handler emulator")
    assert "http://localhost:8888\n" in emulator.printed
    assert emulator.interrupt() == 0


def test_the_tasks_of_vs_code_do_what_the_commands_do():
    tasks = {task["label"]: task for task in json.loads((ROOT / ".vscode/tasks.json").read_text())["tasks"]}
    _, build, emulator, func = (command.text for command in FUNC_START.commands)
    assert tasks["SignalR emulator"]["command"] == emulator
    assert f"func {tasks['func: host start']['command']}" == func.replace("start", "host start")
    assert tasks[tasks["func: host start"]["dependsOn"]]["command"] == f"{build}/handler"
    assert tasks["package for Azure"]["command"] == "make package"
    for label in ("SignalR emulator", "func: host start"):
        assert f"*{label}*" in (ROOT / "README.md").read_text()
    assert "*package for Azure*" in (ROOT / "docs/deploy.md").read_text()
