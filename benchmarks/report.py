"""What was measured under one load, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from .results import Result, Spread

NONE = "-"


def written(spread: Spread | None, digits: int = 2) -> str:
    """A ratio with its quartiles."""
    if spread is None:
        return NONE
    low, middle, high = (f"{each:,.{digits}f}" for each in (spread.low, spread.median, spread.high))
    return f"{middle} ({low} to {high})"


def head(result: Result) -> tuple[str, ...]:
    """The names of the columns."""
    main, *_ = result.load.figures
    ratio = f"{main.name.partition(',')[0]} ÷ control's"
    return ("server", ratio, *(figure.name for figure in result.load.figures))


def rows(result: Result) -> list[tuple[str, ...]]:
    """A line for each server that was measured."""
    figures = result.load.figures
    lines = []
    for name in result.samples:
        cells = []
        for figure in figures:
            values = result.values(figure, name)
            cells.append(NONE if values is None else figure.write(values.median))
        lines.append((name, written(result.ratio(figures[0], name, result.load.control)), *cells))
    return lines


def reasons(result: Result) -> list[str]:
    """A line for each server that was not measured, or not to the end."""
    return [
        *(f"{name} is left out: {why}" for name, why in result.left_out.items()),
        *(f"{name} failed: {why}" for name, why in result.failures.items()),
    ]


def as_table(result: Result) -> Table:
    """A table for the terminal."""
    title = f"{result.load.name}: {result.load.summary} (control: {result.load.control})"
    table = Table(*head(result), title=title)
    for column in table.columns[1:]:
        column.justify = "right"
        column.no_wrap = True
    for line in rows(result):
        table.add_row(*line)
    return table


def markdown(titles: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table for a page, whose first columns, so many, begin at the left."""
    marks = ["---"] * left + ["---:"] * (len(titles) - left)
    return "\n".join("| " + " | ".join(each) + " |" for each in (titles, marks, *lines))


def as_markdown(result: Result) -> str:
    """What there is to say of the load, for a page."""
    about = f"{_sentence(result.load.summary)} The control is `{result.load.control}`."
    parts = [f"### {result.load.name}", about]
    if result.samples:
        parts.append(markdown(head(result), rows(result)))
    parts += [f"- {line}" for line in reasons(result)]
    return "\n\n".join(parts)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
