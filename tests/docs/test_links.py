"""Links inside the repository lead somewhere, and what is written like a path is there. Links to other sites are not followed."""

import re
import subprocess
from pathlib import PurePosixPath
from posixpath import normpath

import pytest

from pages import PAGES, ROOT

# Named in the pages, and made by whoever follows them.
MADE = {
    "authentication.json",  # step 6 of docs/deploy.md
    "handler.exe",  # a build on Windows
    "local.settings.json",  # a copy of its example
    "target",  # cargo
    "target/package/handler.zip",  # make package
}

# What is between backticks is a path if it ends like one or starts with a folder of the repository; `a/b` alone is much else too.
FILE = re.compile(r"[\w.@-]+(/[\w.@-]+)*\.(bicep|css|exe|html|json|md|mjs|py|rs|sh|toml|ts|vue|ya?ml|zip)")
FOLDER = re.compile(r"[\w.@-]+(/[\w.@-]+)*/")
WITHIN = re.compile(r"[\w.@-]+(/[\w.@-]+)+")


def files_and_folders() -> set[str]:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [PurePosixPath(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]
    return {str(path) for file in files for path in (file, *file.parents)}


THERE = files_and_folders()
NAMES = {PurePosixPath(path).name for path in THERE}


def anchors(path: str) -> set[str]:
    """What GitHub calls the headings of a page: small letters, hyphens for spaces, no other signs."""
    return {re.sub(r"[^\w\- ]", "", section.heading.lower()).replace(" ", "-") for section in PAGES[path].sections}


def named(page: str, path: str) -> set[str]:
    """What a path on a page may mean: from the root, or from the page's own folder."""
    return {normpath(path), normpath(f"{PurePosixPath(page).parent}/{path}")}


def is_path(code: str) -> bool:
    if code.startswith("/") or ":" in code:
        return False
    return bool(FILE.fullmatch(code) or FOLDER.fullmatch(code) or (WITHIN.fullmatch(code) and code.partition("/")[0] in THERE))


LINKS = [(page.path, line, link) for page in PAGES.values() for link, line in page.links if not re.match(r"\w+:", link)]
PATHS = [(page.path, line, code) for page in PAGES.values() for code, line in page.code if is_path(code)]


@pytest.mark.parametrize(("page", "line", "link"), LINKS)
def test_a_link_leads_to_a_file_and_a_heading_in_it(page, line, link):
    path, _, anchor = link.partition("#")
    target = normpath(f"{PurePosixPath(page).parent}/{path}") if path else page
    assert target in THERE, f"{page}:{line}"
    assert not anchor or anchor in anchors(target), f"{page}:{line}: the headings are {sorted(anchors(target))}"


@pytest.mark.parametrize(("page", "line", "path"), PATHS)
def test_what_is_written_like_a_path_is_there(page, line, path):
    # A name alone may be that of a file in any folder, which the sentence then names.
    there = named(page, path) & (THERE | MADE) or ("/" not in path and path in NAMES)
    assert there, f"{page}:{line}: there is no {path}"


def test_links_and_paths_are_found():
    assert len(LINKS) > 5 and len(PATHS) > 30
