"""The names of what is measured: which module serves each, and what it needs."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

OVERRIDDEN = "overridden "
"""Before a strategy's expression: its server has each hook overridden by one that passes on."""

SLIM = "slim "
"""Before a strategy's expression: the handler is a `BaseRequestHandler`."""


class Kind(NamedTuple):
    """Servers of one sort.

    Attributes:
        module: that of `benchmarks.subjects` that serves them.
        needs: the package that must be installed, if any.
    """

    module: str
    needs: str | None = None


KINDS = {
    "bare": Kind("bare"),
    "socketserver": Kind("standard"),
    "http": Kind("standard"),
    "ThreadPoolExecutor": Kind("standard"),
    "asyncio": Kind("loops"),
    "uvloop": Kind("loops", "uvloop"),
    "tornado": Kind("loops", "tornado"),
    "gevent": Kind("greenlets", "gevent"),
    "wsgiref": Kind("web"),
    "waitress": Kind("web", "waitress"),
    "cheroot": Kind("web", "cheroot"),
    "gunicorn": Kind("web", "gunicorn"),
}
"""By the first word of the name. Any other name is an expression that builds a strategy."""

OURS = Kind("ours")


def kind_of(name: str) -> Kind:
    """The kind of the server of this name."""
    word = name.partition(" ")[0].partition("(")[0].partition(".")[0]
    return KINDS.get(word, OURS)


def expression_of(name: str) -> str:
    """The strategy's expression in the name of a server of ours."""
    return name.removeprefix(OVERRIDDEN).removeprefix(SLIM)


def number_in(name: str, default: int) -> int:
    """The first number between the parentheses of a name, as the 8 in `waitress(8)`."""
    inside = name.partition("(")[2].rstrip(")").partition(",")[0]
    return int(inside) if inside else default


def missing(name: str) -> str | None:
    """The package that the server of this name needs and that is not installed."""
    needs = kind_of(name).needs
    return needs if needs is not None and importlib.util.find_spec(needs) is None else None
