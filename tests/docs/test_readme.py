"""README.md: its length, and its commands as a newcomer types them."""

import re
import signal

import pytest

from markdown_pages import PAGES, ROOT

README = PAGES["README.md"]
RUN = README["Run it"].blocks[0]
CURL = README["Try it with curl"].blocks

MAX_WORDS = 1200


@pytest.mark.runs(RUN)
def test_the_whole_chat_starts_shows_its_page_and_ends_with_ctrl_c(sandbox):
    chat = sandbox.start(*RUN.commands)
    sandbox.compare(RUN, chat.printed)
    page = re.search(r"^ready: open (\S+)", chat.printed, re.MULTILINE)[1]
    assert "<title>Serverless chat</title>" in sandbox.run(f"curl -s {page}")

    # make ends by the signal itself, or with 0 if `chat` ends before the signal has reached make. It would print an error if `chat` had failed.
    assert chat.interrupt() in (0, -signal.SIGINT)
    assert "Error" not in chat.printed
    assert sandbox.run(f"curl -s {page} || echo gone") == "gone\n"


@pytest.mark.runs(*CURL)
def test_curl_is_answered_as_shown(sandbox):
    sandbox.start(*RUN.commands)
    for block in CURL:
        sandbox.compare(block, sandbox.run(*block.commands))


def test_the_readme_is_short_and_links_every_page_of_the_docs():
    assert len((ROOT / "README.md").read_text().split()) <= MAX_WORDS
    linked = {link.partition("#")[0] for link, _ in README.links}
    assert {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")} <= linked
