"""The report: a table for each workload, and how to read it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .comparison import Plan, Result, WorkloadResults
from .measures import Measures
from .options import available_cpus
from .tree import COUNTS_REAPED_CHILDREN, memory_kind

NOTHING = "-"
MEBIBYTE = 1 << 20
NARROWEST_NAMES = 14  # characters: the longest word of the usual ones, "ThreadPool(8))"

HOW_TO_READ = (
    "Read CPU µs/conn first: it is the server's alone, while conn/s and latency (from connect to "
    "the whole reply) are what the server and the load generator, which share this machine, "
    "manage together. Memory, processes and threads are the most that was seen, errors the sum, "
    "the other figures medians of the rounds."
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures.

    Attributes:
        header: its title, of two lines: what, and the unit.
        figure: the figure, or None where there is none.
        form: the figure as text.
        best: picks the figure to set off, where one is better than another.
    """

    header: str
    figure: Callable[[Measures], float | None]
    form: Callable[[float], str]
    best: Callable[[Sequence[float]], float] | None = None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _whole(figure: float) -> str:
    return f"{figure:,.0f}"


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:.2f}" if milliseconds < 10 else f"{milliseconds:,.1f}"


COLUMNS = (
    Column("conn/s", lambda one: one.rate, _whole, max),
    Column("p50\nms", lambda one: one.p50, _milliseconds, min),
    Column("p99\nms", lambda one: one.p99, _milliseconds, min),
    Column("CPU µs\n/conn", lambda one: one.cpu and one.cpu * 1e6, _whole, min),
    Column(
        f"{memory_kind()}\nMiB",
        lambda one: one.footprint.memory / MEBIBYTE,
        lambda figure: f"{figure:,.1f}",
        min,
    ),
    Column("procs", lambda one: one.footprint.processes, _whole),
    Column("threads", lambda one: one.footprint.threads, _whole),
    Column("errors", lambda one: one.errors.total(), _whole),
)


def show(console: Console, results: WorkloadResults) -> None:
    """Print the table of one workload, and under it what went wrong."""
    workload = results.workload
    console.print(Text.assemble((workload.name, "bold"), f": {workload.summary}"), soft_wrap=True)
    table = table_of(results.results)
    if console.is_terminal:
        # A pipe has no width; a table folded to fit one would only be harder to read and to cut.
        _make_narrow(table, console)
    _print_whole(console, table)
    for result in results.results:
        if remark := remark_on(result):
            console.print(Text(remark, "red"), soft_wrap=True)
    console.print()


def _make_narrow(table: Table, console: Console) -> None:
    """Fit a table to the console: by narrower gaps, then by folding the names; never a figure."""
    if _width(table, console) > console.width:
        table.padding = (0, 0)
        over = _width(table, console) - console.width
        if over > 0:
            names = table.columns[0]
            longest = max(cell_len(str(name)) for name in names.cells)
            names.max_width = max(NARROWEST_NAMES, longest - over)


def _width(table: Table, console: Console) -> int:
    unlimited = console.options.update(max_width=10_000)
    return Measurement.get(console, unlimited, table).maximum


def _print_whole(console: Console, table: Table) -> None:
    """Print a table that may be wider than the console, which `print` alone would cut."""
    before = console.width
    console.width = max(_width(table, console), before)
    try:
        console.print(table)
    finally:
        console.width = before


def table_of(results: Sequence[Result]) -> Table:
    """The results of one workload as a table, one row a strategy."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("strategy", overflow="fold", vertical="top")
    for column in COLUMNS:
        table.add_column(column.header, justify="right", no_wrap=True)
    measured = [result.together() for result in results]
    best = [_best(column, measured) for column in COLUMNS]
    for result, measures in zip(results, measured, strict=True):
        cells = [
            _cell(column, measures, figure) for column, figure in zip(COLUMNS, best, strict=True)
        ]
        if measures is None:
            cells[0] = Text("failed", "red")
        table.add_row(Text(result.expression), *cells)
    return table


def remark_on(result: Result) -> str | None:
    """What went wrong with a strategy, in one line, or None if nothing did."""
    if result.failure is not None:
        return f"{result.expression} failed: {result.failure}"
    measures = result.together()
    if measures is None or not measures.errors:
        return None
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in measures.errors.most_common())
    return f"{result.expression} had errors: {kinds}"


def explanation(plan: Plan, seconds: float) -> Sequence[str]:
    """How to read the tables, and what they were made from.

    Args:
        plan: what was done.
        seconds: that it took.
    """
    lines = [HOW_TO_READ]
    if not COUNTS_REAPED_CHILDREN:
        lines.append("This system does not tell the CPU time of ended children: Forking uses more.")
    lines.append(
        f"Took {seconds:.1f} s: {_count(plan.rounds, 'round')} of {plan.duration:g} s, "
        f"{_count(plan.concurrency, 'connection')} at a time, "
        f"Python {platform.python_version()}, {_count(available_cpus(), 'CPU')}."
    )
    return lines


def _best(column: Column, measured: Sequence[Measures | None]) -> float | None:
    if column.best is None:
        return None
    figures = [column.figure(measures) for measures in measured if measures is not None]
    known = [figure for figure in figures if figure is not None]
    return column.best(known) if len(known) > 1 else None


def _cell(column: Column, measures: Measures | None, best: float | None) -> Text:
    figure = column.figure(measures) if measures is not None else None
    if figure is None:
        return Text(NOTHING, "dim")
    is_errors = column is COLUMNS[-1]
    style = "red" if is_errors and figure else "bold green" if figure == best else ""
    return Text(column.form(figure), style)
