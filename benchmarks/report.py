"""What was measured, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median, quantiles

from .burst import CONNECTIONS, Burst

HEAD = ("server", "burst rate against the bare loop", "quartiles", "CPU µs a connection")


def rows(bursts: Mapping[str, Sequence[Burst]], control: str) -> list[tuple[str, ...]]:
    """A line for each server.

    Args:
        bursts: of each server, one a round.
        control: the name of the server to which the others are compared, round by round.
    """
    return [_row(name, own, bursts[control]) for name, own in bursts.items()]


def _row(name: str, own: Sequence[Burst], control: Sequence[Burst]) -> tuple[str, ...]:
    ratios = [theirs.seconds / each.seconds for each, theirs in zip(own, control, strict=True)]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    cpu = sum(each.cpu for each in own) / len(own) / CONNECTIONS * 1e6
    return name, f"{median(ratios):.2f}", f"{low:.2f} to {high:.2f}", f"{cpu:.0f}"


def as_markdown(lines: Sequence[tuple[str, ...]]) -> str:
    """A table for a page."""
    marks = ["---", *["---:"] * (len(HEAD) - 1)]
    return "\n".join("| " + " | ".join(each) + " |" for each in (HEAD, marks, *lines))
