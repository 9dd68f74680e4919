"""The fixture `sandbox`, and the check that a test runs the commands that its mark names."""

from collections.abc import Iterable, Iterator

import pytest

import skipped_commands
from markdown_pages import ROOT, Block
from sandbox import Sandbox


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "runs(*blocks or commands): the blocks and commands of the docs that a test runs")


def marked_commands(marks: Iterable[pytest.Mark]) -> set[str]:
    """Returns the commands that these marks name: of a block, all that can run here."""
    commands = set()
    for marked in (argument for mark in marks for argument in mark.args):
        commands |= {command.text for command in marked.commands} if isinstance(marked, Block) else {marked}
    return {text for text in commands if not skipped_commands.reason(text)}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A new sandbox for the test."""
    sandbox = Sandbox(ROOT)
    yield sandbox
    sandbox.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fails a test that did not run a command of its mark, or did not compare an output that the docs show."""
    outcome = yield
    if marks := list(item.iter_markers("runs")):
        sandbox = item.funcargs["sandbox"]
        assert marked_commands(marks) <= sandbox.ran, "the mark names commands that did not run"
        with_output = {marked for mark in marks for marked in mark.args if isinstance(marked, Block) and marked.output}
        assert with_output <= sandbox.compared, "the docs show outputs that were not compared"
    return outcome
