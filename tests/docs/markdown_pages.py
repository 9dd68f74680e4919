"""Parses the Markdown pages of the repository: headings, links, tables, inline code, and commands with their expected outputs.

A command is in a fenced `sh` block, or between backticks in a sentence or a table. A fence with `text` or `json` directly after an `sh`
block is the expected output of that block.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Inline code that starts with one of these words and has more is a command. A single word is a name.
PROGRAMS = {"az", "azd", "cargo", "chat", "cp", "curl", "docker", "func", "git", "make", "node", "npm", "npx", "pip", "python3", "rm", "unzip"}

OUTPUTS = {"text", "json"}

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("*.md", "docs/*.md", "docs/states/*.md", "content/*.md", "benches/*.md", "crates/*/*.md", ".github/*.md", ".github/ISSUE_TEMPLATE/*.yml")


@dataclass(frozen=True)
class Command:
    """One command, without the comment at its end."""

    text: str
    page: str
    line: int

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Block:
    """A fenced `sh` block, and the output shown for it, if any."""

    commands: tuple[Command, ...]
    output: str | None


@dataclass
class Section:
    """A heading, and the blocks and table rows up to the next one."""

    heading: str
    blocks: list[Block] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


@dataclass
class Page:
    """One page. `fences` has the languages of the code blocks, `code` the inline code, both with line numbers."""

    path: str
    sections: list[Section] = field(default_factory=list)
    fences: list[tuple[str, int]] = field(default_factory=list)
    code: list[tuple[str, int]] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)

    def __getitem__(self, heading: str) -> Section:
        (section,) = [section for section in self.sections if section.heading == heading]
        return section

    def between(self, first: str, end: str) -> list[Section]:
        """The sections from one heading up to another, which is not included."""
        return self.sections[self.sections.index(self[first]) : self.sections.index(self[end])]

    def commands(self) -> Iterator[Command]:
        for section in self.sections:
            for block in section.blocks:
                yield from block.commands
        yield from self.mentions()

    def mentions(self) -> Iterator[Command]:
        """The commands in inline code."""
        for code, line in self.code:
            program, _, rest = code.partition(" ")
            if program in PROGRAMS and rest:
                yield Command(code, self.path, line)

    def _add(self, token: Token, previous: Token, line: int) -> None:
        section = self.sections[-1]
        match token.type:
            case "fence" | "code_block":
                self.fences.append((token.info, line))
                if token.info == "sh":
                    section.blocks.append(Block(tuple(split(token.content, self.path, line + 1)), None))
                elif token.info in OUTPUTS and previous.type == "fence" and previous.info == "sh":
                    section.blocks[-1] = Block(section.blocks[-1].commands, token.content)
            case "inline":
                if previous.type == "heading_open":
                    self.sections.append(Section(token.content))
                elif previous.type == "td_open":
                    section.rows[-1].append(token.content)
                self._add_inline(token.children, line)
            case "tr_open" if previous.type != "thead_open":
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
    """Parses a page by its path in the repository. Of an issue form, which is YAML with Markdown in it, only the inline code is read."""
    page = Page(path, [Section("")])
    text = (ROOT / path).read_text()
    if path.endswith(".yml"):
        page.code = [(code, number) for number, line in enumerate(text.splitlines(), 1) for code in re.findall(r"`([^`]+)`", line)]
        return page
    line, previous = 0, Token("start", "", 0)
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.map:
            line = token.map[0] + 1
        page._add(token, previous, line)
        previous = token
    return page


def split(code: str, page: str, line: int) -> Iterator[Command]:
    """Splits a block into commands: each has as many lines as the shell needs for a complete command."""
    start, pending = line, ""
    for number, text in enumerate(code.splitlines(keepends=True), line):
        if not pending:
            start = number
        pending += text
        if _is_complete(pending):
            if bare := _without_comment(pending.strip()):
                yield Command(bare, page, start)
            pending = ""
    assert not pending, f"{page}:{start}: incomplete command: {pending}"


def _is_complete(text: str) -> bool:
    # An incomplete command is a syntax error, except a here-document (a warning) and a continued line.
    read = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    return read.returncode == 0 and not read.stderr and not text.endswith("\\\n")


def _without_comment(text: str) -> str:
    bare = re.sub(r"(^|\s+)# [^'\"\n]*$", "", text)
    return bare if _is_complete(bare) else text


PAGES = {path: read(path) for path in (str(file.relative_to(ROOT)) for source in SOURCES for file in sorted(ROOT.glob(source)))}
