"""benches/README.md: what it shows and claims is what `make bench` would print and hold itself to. A run takes minutes, so none is made."""

import re

from pages import ROOT

REPORT = (ROOT / "benches/handler/report.rs").read_text()
TEXT = (ROOT / "benches/README.md").read_text()


def test_the_run_shown_has_the_tables_of_the_report(machine):
    _, _, run = TEXT.partition("## A run\n")
    headings = re.findall(r"^### (.+)$", run, re.MULTILINE)
    rows = [line for line in run.splitlines() if line.startswith("| |")]
    assert len(headings) == 4 and len(rows) == 4
    for printed in [*headings, *rows]:
        assert printed in REPORT


def test_the_figures_claimed_are_those_the_report_judges_by():
    limits = dict(re.findall(r"const (\w+): f64 = (\d+)\.0;", REPORT))
    claims = re.findall(r"under (\d+) (ms|MiB)", TEXT)
    assert set(claims) == {(limits["START_MS"], "ms"), (limits["MEMORY_MIB"], "MiB")}


def test_make_bench_is_the_script(machine):
    assert machine.run("make --dry-run bench") == ".ci/bench\n"
