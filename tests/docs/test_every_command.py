"""Checks that every command of the docs is run by a test, or listed in `skipped_commands.py` with a reason."""

import importlib
from pathlib import Path

import pytest

import skipped_commands
from conftest import marked_commands
from markdown_pages import PAGES

COMMANDS = [command for page in PAGES.values() for command in page.commands()]


def commands_of_tests() -> set[str]:
    modules = [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    marks = [mark for module in modules for test in vars(module).values() for mark in getattr(test, "pytestmark", [])]
    return marked_commands(mark for mark in marks if mark.name == "runs")


def is_beginning_of_another(text: str) -> bool:
    """Tells whether a sentence only names a command that appears elsewhere with its arguments."""
    return any(skipped_commands.begins(command.text, text) and command.text != text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_it_is_run_or_has_a_reason(command):
    text = command.text
    decided = text in commands_of_tests() or skipped_commands.reason(text) or is_beginning_of_another(text)
    assert decided, f"{command}\nrun it in a test, or give a reason in skipped_commands.py"


def test_no_reason_is_left_over():
    texts = [command.text for command in COMMANDS]
    left_over = [beginning for beginning in skipped_commands.REASONS if not any(skipped_commands.begins(text, beginning) for text in texts)]
    assert not left_over


def test_tests_run_only_what_is_documented():
    assert commands_of_tests() <= {command.text for command in COMMANDS}


def test_commands_are_fenced_as_such():
    """A command in another kind of fence would not be found."""
    fences = {(info, page.path, line) for page in PAGES.values() for info, line in page.fences}
    assert {info for info, _, _ in fences} <= {"sh", "text", "json", "js", "kusto", "rust", "no_run"}, fences
