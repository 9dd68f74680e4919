"""benches/README.md: its tables and claims agree with the reports of `make bench`, which is not run because it takes minutes."""

import re

from markdown_pages import ROOT

REPORTS = {name: (ROOT / f"benches/{name}/report.rs").read_text() for name in ("handler", "emulator")}
TEXT = (ROOT / "benches/README.md").read_text()


def test_the_runs_shown_have_the_tables_of_the_reports(sandbox):
    for name, tables in (("handler", 4), ("emulator", 5)):
        _, _, after = TEXT.partition(f"## A run of the {name}\n")
        run, _, _ = after.partition("\n## ")
        headings = re.findall(r"^### (.+)$", run, re.MULTILINE)
        rows = [line for line in run.splitlines() if line.startswith("| |")]
        assert len(headings) == len(rows) == tables
        columns = [column.strip() for row in rows for column in row.strip("| ").split("|")]
        for printed in [*headings, *columns]:
            assert printed in REPORTS[name]


def test_the_claims_are_the_limits_of_the_reports():
    limits = {limit for report in REPORTS.values() for limit in re.findall(r"const \w+_(\w+): f64 = (\d+)\.0;", report)}
    claims = re.findall(r"(?:under|at most) (\d+) (ms|MiB|KiB)", TEXT)
    assert {(unit.upper(), figure) for figure, unit in claims} == limits


def test_make_bench_is_the_script(sandbox):
    assert sandbox.run("make --dry-run bench") == ".ci/bench\n"
