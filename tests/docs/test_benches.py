"""benches/README.md: what it shows and claims is what `make bench` would print and hold itself to. A run takes minutes, so none is made."""

import re

from pages import ROOT

REPORTS = {name: (ROOT / f"benches/{name}/report.rs").read_text() for name in ("handler", "emulator")}
TEXT = (ROOT / "benches/README.md").read_text()


def test_the_runs_shown_have_the_tables_of_the_reports(machine):
    for name, tables in (("handler", 4), ("emulator", 5)):
        _, _, after = TEXT.partition(f"## A run of the {name}\n")
        run, _, _ = after.partition("\n## ")
        headings = re.findall(r"^### (.+)$", run, re.MULTILINE)
        rows = [line for line in run.splitlines() if line.startswith("| |")]
        assert len(headings) == len(rows) == tables
        for printed in [*headings, *rows]:
            assert printed in REPORTS[name]


def test_the_figures_claimed_are_those_the_reports_judge_by():
    limits = {limit for report in REPORTS.values() for limit in re.findall(r"const \w+_(\w+): f64 = (\d+)\.0;", report)}
    claims = re.findall(r"(?:under|at most) (\d+) (ms|MiB|KiB)", TEXT)
    assert {(unit.upper(), figure) for figure, unit in claims} == limits


def test_make_bench_is_the_script(machine):
    assert machine.run("make --dry-run bench") == ".ci/bench\n"
