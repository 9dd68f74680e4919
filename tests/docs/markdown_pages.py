"""Reads a page: its headings, links, tables, the code in its sentences, and its commands with the outputs shown right after them.

A command stands in a fenced `sh` block, or between backticks in a sentence or a table. What is fenced as `text` or `json` directly after
an `sh` block is what that block prints.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Between backticks, what starts with one of these and goes on is a command. A single word is a name.
PROGRAMS = {"az", "azd", "cargo", "cp", "curl", "docker", "func", "git", "handler", "make", "node", "npm", "npx", "pip", "python3", "rm", "unzip"}

OUTPUTS = {"text", "json"}

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("*.md", "docs/*.md", "content/*.md", "benches/*.md", "crates/*/*.md", ".github/*.md", ".github/ISSUE_TEMPLATE/*.yml")


@dataclass(frozen=True)
class Command:
    """What is typed or pasted at once, without the comment at its end."""

    text: str
    page: str
    line: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Block:
    """A fenced `sh` block, and what is shown as its output, if anything is."""

    commands: tuple[Command, ...]
    output: str | None


@dataclass
class Section:
    """A heading and what stands under it until the next one."""

    heading: str
    blocks: list[Block] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


@dataclass
class Page:
    """What is on a page. `fences` are the languages of its code blocks, `code` is what stands between backticks; both with their lines."""

    path: str
    sections: list[Section] = field(default_factory=list)
    fences: list[tuple[str, int]] = field(default_factory=list)
    code: list[tuple[str, int]] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)

    def __getitem__(self, heading: str) -> Section:
        (section,) = [section for section in self.sections if section.heading == heading]
        return section

    def between(self, first: str, end: str) -> list[Section]:
        """The sections from one heading to before another."""
        return self.sections[self.sections.index(self[first]) : self.sections.index(self[end])]

    def commands(self) -> Iterator[Command]:
        for section in self.sections:
            for block in section.blocks:
                yield from block.commands
        yield from self.mentions()

    def mentions(self) -> Iterator[Command]:
        """The commands between backticks."""
        for code, line in self.code:
            program, _, rest = code.partition(" ")
            if program in PROGRAMS and rest:
                yield Command(code, self.path, line)

    def _add(self, token: Token, before: Token, line: int) -> None:
        section = self.sections[-1]
        match token.type:
            case "fence" | "code_block":
                self.fences.append((token.info, line))
                if token.info == "sh":
                    section.blocks.append(Block(tuple(split(token.content, self.path, line + 1)), None))
                elif token.info in OUTPUTS and before.type == "fence" and before.info == "sh":
                    section.blocks[-1] = Block(section.blocks[-1].commands, token.content)
            case "inline":
                if before.type == "heading_open":
                    self.sections.append(Section(token.content))
                elif before.type == "td_open":
                    section.rows[-1].append(token.content)
                self._add_inline(token.children, line)
            case "tr_open" if before.type != "thead_open":
                section.rows.append([])
            case "html_block":
                self.links += [(link, line) for link in re.findall(r'(?:src|srcset|href)="([^"]+)"', token.content)]

    def _add_inline(self, tokens: list[Token], line: int) -> None:
        for token in tokens:
            match token.type:
                case "code_inline":
                    self.code.append((token.content, line))
                case "link_open":
                    self.links.append((token.attrs["href"], line))
                case "image":
                    self.links.append((token.attrs["src"], line))
                case "softbreak":
                    line += 1


def read(path: str) -> Page:
    """A page, by its path in the repository. Of a form, which is YAML with Markdown in it, only the code is read."""
    page = Page(path, [Section("")])
    text = (ROOT / path).read_text()
    if path.endswith(".yml"):
        page.code = [(code, number) for number, line in enumerate(text.splitlines(), 1) for code in re.findall(r"`([^`]+)`", line)]
        return page
    line, before = 0, Token("start", "", 0)
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.map:
            line = token.map[0] + 1
        page._add(token, before, line)
        before = token
    return page


def split(code: str, page: str, line: int) -> Iterator[Command]:
    """The commands of a block: each is as many lines as the shell needs to make sense of it."""
    begun, pending = line, ""
    for number, text in enumerate(code.splitlines(keepends=True), line):
        if not pending:
            begun = number
        pending += text
        if _is_whole(pending):
            if bare := _without_comment(pending.strip()):
                yield Command(bare, page, begun)
            pending = ""
    assert not pending, f"{page}:{begun}: the shell waits for more: {pending}"


def _is_whole(text: str) -> bool:
    # What ends too early is an error, but for a document in a command (`<<`), which is a warning, and a line that goes on.
    read = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    return read.returncode == 0 and not read.stderr and not text.endswith("\\\n")


def _without_comment(text: str) -> str:
    bare = re.sub(r"(^|\s+)# [^'\"\n]*$", "", text)
    return bare if _is_whole(bare) else text


PAGES = {path: read(path) for path in (str(file.relative_to(ROOT)) for source in SOURCES for file in sorted(ROOT.glob(source)))}
