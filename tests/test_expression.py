"""The repr of what was built by composition, whatever its constructor takes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from serverstrategy.expression import expression


class Plain:
    """No constructor of its own."""


class Several:
    def __init__(self, a: int, b: int = 2, /, c: int = 3, *, d: int = 4, e: int) -> None:
        self.a, self.b, self.c, self.d, self.e = a, b, c, d, e


class More:
    def __init__(self, a: int = 1, *more: int, d: int = 4, **by_name: int) -> None:
        self.a, self.more, self.d, self.by_name = a, more, d, by_name


@dataclass(repr=False)
class Data:
    a: int
    b: list[int] = field(default_factory=list)
    c: int = 3


def passing_on(function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)

    return wrapper


class Wrapped:
    @passing_on
    def __init__(self, a: int, b: int = 2) -> None:
        self.a, self.b = a, b


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (Plain(), "Plain()"),
        (Several(1, e=5), "Several(1, e=5)"),
        (Several(1, 2, 0, d=0, e=5), "Several(1, c=0, d=0, e=5)"),
        (Several(0, 0, 0, e=0), "Several(0, 0, 0, e=0)"),
        (More(), "More()"),
        (More(1, 2, 3), "More(1, 2, 3)"),
        (More(d=0, f=6), "More(d=0, f=6)"),
        (Data(1), "Data(1, [])"),
        (Data(1, [2], 0), "Data(1, [2], 0)"),
        (Wrapped(1), "Wrapped(1)"),
        (Wrapped(1, 0), "Wrapped(1, 0)"),
        (SimpleNamespace(a=1), "SimpleNamespace(...)"),
    ],
)
def test_it_shows_the_arguments_that_differ(built: Any, text: str) -> None:
    assert expression(built) == text


def test_each_argument_must_be_kept() -> None:
    built = Wrapped(1)
    del built.a
    with pytest.raises(AttributeError, match="'a'"):
        expression(built)
