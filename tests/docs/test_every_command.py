"""No command of the docs is left alone: a test runs it, or `elsewhere.py` says why it cannot run here."""

import importlib
from pathlib import Path

import pytest

import elsewhere
from conftest import claimed
from pages import PAGES

COMMANDS = [command for page in PAGES.values() for command in page.commands()]


def run_by_tests() -> set[str]:
    modules = [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    marks = [mark for module in modules for test in vars(module).values() for mark in getattr(test, "pytestmark", [])]
    return claimed(mark for mark in marks if mark.name == "runs")


def begin_another(text: str) -> bool:
    """Whether a sentence only names a command that stands elsewhere with its arguments."""
    return any(elsewhere.begins(command.text, text) and command.text != text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_it_is_run_or_has_a_reason(command):
    text = command.text
    decided = text in run_by_tests() or elsewhere.reason(text) or begin_another(text)
    assert decided, f"{command}\nlet a test run it, or say in elsewhere.py why it cannot run here"


def test_no_reason_is_left_over():
    texts = [command.text for command in COMMANDS]
    left_over = [beginning for beginning in elsewhere.REASONS if not any(elsewhere.begins(text, beginning) for text in texts)]
    assert not left_over


def test_tests_run_only_what_is_documented():
    assert run_by_tests() <= {command.text for command in COMMANDS}


def test_commands_are_fenced_as_such():
    """Something else than these would hide a command."""
    fences = {(info, page.path, line) for page in PAGES.values() for info, line in page.fences}
    assert {info for info, _, _ in fences} <= {"sh", "text", "json", "js", "kusto", "rust", "no_run"}, fences
