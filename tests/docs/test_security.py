"""docs/security.md: each promise names tests, and they exist."""

import re
import subprocess

import pytest

from markdown_pages import PAGES, ROOT

ROWS = [row for section in PAGES["docs/security.md"].sections for row in section.rows]

# A test is a function in Rust or Python, a row of a macro that makes tests, and a title in JavaScript and TypeScript.
TEST = re.compile(r"""\bfn (\w+)|^    (\w+) =\s|^\s*(?:async )?def (test_\w+)|\b(?:test|it)(?:\.each\(.*?\))?\(\s*["'`](.+?)["'`],""", re.MULTILINE | re.DOTALL)


def names_of_tests() -> set[str]:
    files = subprocess.run(["git", "ls-files", "-z", "*.rs", "*.py", "*.mjs", "*.ts"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [ROOT / name for name in files.stdout.split("\0") if name]
    return {name for path in paths for match in TEST.findall(path.read_text()) for name in match if name}


NAMES = names_of_tests()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_promise_stands_beside_tests_that_exist(row):
    tests = re.findall(r"`([^`]+)`", row[-1])
    assert tests, "no test is named"
    assert not set(tests) - NAMES
