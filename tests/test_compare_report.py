"""The tables, at the widths and on the outputs that people have."""

import io
import re
from collections import Counter

import pytest
from rich.console import Console

from serverstrategy.compare.comparison import Plan, Result, WorkloadResults
from serverstrategy.compare.measures import Measures
from serverstrategy.compare.report import explanation, show
from serverstrategy.compare.tree import Footprint, memory_kind
from serverstrategy.compare.workloads import WORKLOADS

LONG = "Prefork(128, ThreadPool(threads=256, waiting=1024))"
FIGURES = ("123,456", "1.23", "2,345.7", "12,346", "1,234.5", "129", "33,153")


def results(*, errors: Counter[str] | None = None) -> WorkloadResults:
    footprint = Footprint(int(1234.5 * (1 << 20)), 129, 33153)
    wide = Measures(123456.4, 0.00123, 2.3457, 0.012346, footprint, 9999, errors or Counter())
    small = Measures(93.2, 0.169, 0.1703, 0.000057, Footprint(11 << 20, 1, 1), 60, Counter())
    return WorkloadResults(
        WORKLOADS["echo"],
        [
            Result("Synchronous()", [small]),
            Result("Prefork(2, ThreadPool(8))", [small]),
            Result(LONG, [wide]),
            Result("Forking()", [], failure="cannot run here: [red] no fork"),
        ],
    )


def rendered(one: WorkloadResults, width: int, *, terminal: bool, color: bool = False) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
    )
    show(console, one)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_width_loses_a_figure(width: int, terminal: bool) -> None:
    text = rendered(results(errors=Counter(timeout=4321)), width, terminal=terminal)
    for figure in (*FIGURES, "4,321"):
        assert figure in text
    assert "…" not in text
    headers = text.replace("\n", " ").split()
    for header in ("conn/s", "p50", "p99", "CPU", "procs", "threads", "errors", "MiB"):
        assert header in headers


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_a_terminal(width: int) -> None:
    text = rendered(results(), width, terminal=True)
    table = text.split("Forking() failed")[0]
    assert max(len(line) for line in table.splitlines()) <= width


def test_usual_strategies_and_figures_do_not_fold_in_80_columns() -> None:
    usual = Measures(12345.0, 0.1712, 0.1744, 0.002345, Footprint(45 << 20, 41, 41), 9, Counter())
    expression = "Prefork(2, ThreadPool(8))"
    one = WorkloadResults(WORKLOADS["wait"], [Result(expression, [usual])])
    text = rendered(one, 80, terminal=True)
    assert expression in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_long_strategy_folds_on_a_terminal_and_not_in_a_pipe() -> None:
    assert LONG not in rendered(results(), 80, terminal=True)
    assert LONG in rendered(results(), 80, terminal=False)


def test_a_failed_strategy_is_a_row_and_its_reason_is_told_as_it_is() -> None:
    lines = rendered(results(), 120, terminal=False).splitlines()
    row = next(line for line in lines if line.startswith("Forking() "))
    assert row.split() == ["Forking()", "failed", *"-------"]
    assert "Forking() failed: cannot run here: [red] no fork" in lines


def test_errors_are_told_by_kind() -> None:
    text = rendered(results(errors=Counter(timeout=2, reset=1200)), 120, terminal=False)
    assert f"{LONG} had errors: reset 1,200, timeout 2" in text


def test_the_best_figures_are_set_off_only_where_there_is_colour() -> None:
    assert "\x1b[" not in rendered(results(), 120, terminal=False)
    text = rendered(results(), 120, terminal=True, color=True)
    assert "\x1b[1;32m123,456\x1b[0m" in text
    best = set(re.findall(r"\x1b\[1;32m *([\d.,]+)", text))
    assert best == {"123,456", "1.23", "170.3", "57", "11.0"}


def test_the_header_names_the_kind_of_memory() -> None:
    kind = memory_kind()
    assert kind in ("PSS", "RSS")
    assert kind in rendered(results(), 80, terminal=False).split()


def test_the_explanation_says_how_long_it_took() -> None:
    plan = Plan([], ["echo"], concurrency=16, duration=0.6, rounds=3, crunch_loops=1)
    assert (
        "Took 41.3 s: 3 rounds of 0.6 s, 16 connections at a time" in explanation(plan, 41.26)[-1]
    )
