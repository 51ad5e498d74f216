"""A table of text for a terminal: aligned columns, wrapped to fit."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

GAP = "  "
NARROWEST = 12  # characters; a column is not made narrower, even if the table gets too wide


def columns(rows: Sequence[Sequence[str]], width: int) -> str:
    """Lay out a table, with a line feed after each line.

    Args:
        rows: the cells, row by row; all rows are of the same length.
        width: how many characters a line may have. What is too wide is wrapped.
    """
    widths = _fit([max(map(len, column)) for column in zip(*rows, strict=True)], width)
    lines: list[str] = []
    for row in rows:
        cells = [textwrap.wrap(cell, size) for cell, size in zip(row, widths, strict=True)]
        for parts in zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(size) for part, size in zip(parts, widths, strict=True))
            lines.append(GAP.join(padded).rstrip() + "\n")
    return "".join(lines)


def _fit(wanted: list[int], width: int) -> list[int]:
    """The widths of the columns: the widest gives way first."""
    widths = [max(1, each) for each in wanted]
    room = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths
