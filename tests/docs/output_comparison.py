"""Compares what a command prints with what the docs show of it."""

import re


def assert_prints(shown: str, printed: str) -> None:
    """In what is shown, `…` stands for anything within a line; alone on a line, for any lines. Ends of lines do not count."""
    pattern = "".join(_pattern(line) for line in shown.strip().splitlines())
    tidy = "".join(f"{line.rstrip()}\n" for line in printed.strip().splitlines())
    assert re.fullmatch(pattern, tidy), f"shown:\n{shown}\nprinted:\n{tidy}"


def _pattern(line: str) -> str:
    if line.strip() == "…":
        return r"(?:.*\n)*?"
    return ".*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"\n"
