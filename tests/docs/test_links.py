"""Checks that links inside the repository and paths in inline code exist. Links to other sites are not followed."""

import re
import subprocess
from pathlib import PurePosixPath
from posixpath import normpath

import pytest

from markdown_pages import PAGES, ROOT

# Files that are named in the pages, and created by following them.
CREATED = {
    "authentication.json",  # step 6 of docs/deploy.md
    "handler.exe",  # a build on Windows
    "local.settings.json",  # a copy of its example
    "name-key.json",  # in the identity store
    "people/HASH",  # in the container of the history, as the next five
    "removed",
    "removed/NAME.jsonl",
    "rooms",
    "rooms/NAME",
    "rooms/everyone",
    "target",  # cargo
    "target/package/handler.zip",  # make package
}

# Inline code is a path if it ends like one, or starts with a folder of the repository. `a/b` alone can be something else.
FILE = re.compile(r"[\w.@-]+(/[\w.@-]+)*\.(bicep|css|exe|html|json|md|mjs|py|rs|sh|toml|ts|vue|ya?ml|zip)")
FOLDER = re.compile(r"[\w.@-]+(/[\w.@-]+)*/")
WITHIN = re.compile(r"[\w.@-]+(/[\w.@-]+)+")


def files_and_folders() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [PurePosixPath(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]
    return {str(path) for file in files for path in (file, *file.parents)}


EXISTING = files_and_folders()
NAMES = {PurePosixPath(path).name for path in EXISTING}


def anchors(path: str) -> set[str]:
    """The anchors that GitHub makes of the headings of a page: lower case, hyphens for spaces, no other punctuation."""
    return {re.sub(r"[^\w\- ]", "", section.heading.lower()).replace(" ", "-") for section in PAGES[path].sections}


def meanings(page: str, path: str) -> set[str]:
    """The meanings of a path on a page: from the root, or from the page's own folder."""
    return {normpath(path), normpath(f"{PurePosixPath(page).parent}/{path}")}


def is_path(code: str) -> bool:
    if code.startswith("/") or ":" in code:
        return False
    return bool(FILE.fullmatch(code) or FOLDER.fullmatch(code) or (WITHIN.fullmatch(code) and code.partition("/")[0] in EXISTING))


LINKS = [(page.path, line, link) for page in PAGES.values() for link, line in page.links if not re.match(r"\w+:", link)]
PATHS = [(page.path, line, code) for page in PAGES.values() for code, line in page.code if is_path(code)]


@pytest.mark.parametrize(("page", "line", "link"), LINKS)
def test_a_link_target_exists(page, line, link):
    path, _, anchor = link.partition("#")
    target = normpath(f"{PurePosixPath(page).parent}/{path}") if path else page
    assert target in EXISTING, f"{page}:{line}"
    assert not anchor or anchor in anchors(target), f"{page}:{line}: the headings are {sorted(anchors(target))}"


@pytest.mark.parametrize(("page", "line", "path"), PATHS)
def test_a_path_in_inline_code_exists(page, line, path):
    # A name alone can be a file in any folder.
    there = meanings(page, path) & (EXISTING | CREATED) or ("/" not in path and path in NAMES)
    assert there, f"{page}:{line}: there is no {path}"


def test_links_and_paths_are_found():
    assert len(LINKS) > 5 and len(PATHS) > 30
