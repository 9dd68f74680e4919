"""A machine for each test, and the promise of a test to run what it says it runs."""

from collections.abc import Iterable, Iterator

import pytest

import elsewhere
from machine import Machine
from pages import ROOT, Block


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "runs(*blocks or commands): what of the pages a test runs")


def claimed(marks: Iterable[pytest.Mark]) -> set[str]:
    """The commands that a test with these marks says it runs: of a block, all that can run here."""
    commands = set()
    for what in (argument for mark in marks for argument in mark.args):
        commands |= {command.text for command in what.commands} if isinstance(what, Block) else {what}
    return {text for text in commands if not elsewhere.reason(text)}


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine of the test's own."""
    machine = Machine(ROOT)
    yield machine
    machine.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fails a test that did not run what it says it runs, or did not look at what the docs show of it."""
    outcome = yield
    if marks := list(item.iter_markers("runs")):
        machine = item.funcargs["machine"]
        assert claimed(marks) <= machine.ran, "the test says that it runs these"
        shown = {what for mark in marks for what in mark.args if isinstance(what, Block) and what.output}
        assert shown <= machine.compared, "these outputs are shown, and the test does not look"
    return outcome
