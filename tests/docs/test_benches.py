"""docs/performance.md and benches/README.md agree with the benchmarks, which are not run because they take minutes."""

import csv
import re

from markdown_pages import PAGES, ROOT

REPORTS = {name: (ROOT / f"benches/{name}/report.rs").read_text() for name in ("handler", "emulator")}
METHOD = (ROOT / "benches/README.md").read_text()
RESULTS = (ROOT / "docs/performance.md").read_text()


def shown(heading: str) -> str:
    """The text below a heading of docs/performance.md."""
    _, _, after = RESULTS.partition(f"\n## {heading}\n")
    return after.partition("\n## ")[0]


def test_the_run_of_the_handler_has_the_tables_of_its_report():
    run = shown("The handler")
    headings = re.findall(r"^### (.+)$", run, re.MULTILINE)
    rows = [line for line in run.splitlines() if line.startswith("| |")]
    assert len(headings) == len(rows) == 4
    columns = [column.strip() for row in rows for column in row.strip("| ").split("|")]
    for printed in [*headings, *columns]:
        assert printed in REPORTS["handler"]


def test_the_claims_are_the_limits_of_the_report():
    limits = set(re.findall(r"const \w+_(\w+): f64 = (\d+)\.0;", REPORTS["handler"]))
    for text in (METHOD, RESULTS):
        claims = re.findall(r"(?:under|at most) (\d+) (ms|MiB|KiB)", text)
        assert {(unit.upper(), figure) for figure, unit in claims} == limits


def test_the_run_of_the_emulator_has_the_goals_of_its_report():
    goals = re.findall(r"Goal::At\w+\(([\d.]+)\)", REPORTS["emulator"])
    assert re.findall(r"\| [≤≥] ([\d.]+) (?:× floor|KiB|ms) \|", shown("The emulator")) == goals


def test_the_instructions_of_the_emulator_are_the_committed_ones():
    lines = (ROOT / "benches/instructions.txt").read_text().splitlines()[1:]
    committed = dict(line.removeprefix("emulator, ").rsplit(": ", 1) for line in lines if line.startswith("emulator, "))
    rows = PAGES["docs/performance.md"]["The emulator"].rows
    assert {name: figure.replace(",", "") for name, figure in (row for row in rows if len(row) == 2)} == committed


def test_each_chart_is_shown_and_has_the_lines_of_its_table():
    with (ROOT / "docs/performance.csv").open() as file:
        points = list(csv.DictReader(file))
    shown_charts = re.findall(r"\]\(performance-(\w+)\.svg\)", RESULTS)
    assert shown_charts == list(dict.fromkeys(point["chart"] for point in points))
    for chart in shown_charts:
        picture = (ROOT / f"docs/performance-{chart}.svg").read_text()
        assert all(f">{line}</text>" in picture for line in {point["line"] for point in points if point["chart"] == chart})


def test_make_bench_is_the_script(sandbox):
    assert sandbox.run("make --dry-run bench") == ".ci/bench\n"
