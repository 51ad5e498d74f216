"""Builds a strategy from text, such as that of a flag or of an environment variable."""

from __future__ import annotations

from serverstrategy.strategy import Strategy

from .forking import Forking
from .prefork import Prefork
from .synchronous import Synchronous
from .thread_pool import ThreadPool
from .threaded import Threaded

_STRATEGIES: dict[str, type[Strategy]] = {
    each.__name__: each for each in (Synchronous, Threaded, ThreadPool, Forking, Prefork)
}


def parse(text: str) -> Strategy:
    """Build the strategy that `text` describes: `parse(repr(strategy))` builds its like.

    The text is read, not evaluated: it can hold names of strategies, ints, None, keywords and
    nested strategies, and nothing else. A bare name means the defaults: `"Threaded"` is
    `Threaded()`.

    Raises:
        TypeError: `text` is no str.
        ValueError: it cannot be read, or a strategy refuses its arguments; the message names the
            part that is wrong.
        OSError: the platform cannot run the strategy.
    """
    import ast  # here, because it costs more to import than the rest of this package

    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {text!r}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ValueError(f"{text!r} cannot be read: {reason}; {_known()}") from None
    value = _build(tree.body)
    if not isinstance(value, Strategy):
        raise ValueError(f"{text!r} is no strategy; {_known()}")  # noqa: TRY004 - it is a str
    return value


def _build(node: object) -> object:
    import ast

    match node:
        case ast.Constant(value=int() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
            return -value
        case ast.Name(id=name):
            return _call(name, [], {})
        case ast.Call(func=ast.Name(id=name), args=positional, keywords=keywords):
            named = {}
            for keyword in keywords:
                if keyword.arg is None:
                    raise ValueError(f"'**' cannot be read in the arguments of {name}")
                named[keyword.arg] = _build(keyword.value)
            return _call(name, [_build(each) for each in positional], named)
        case ast.AST():
            raise ValueError(
                f"{ast.unparse(node)!r} cannot be read here: write a strategy, an int or None; "
                + _known()
            )
    raise AssertionError(node)


def _call(name: str, positional: list[object], named: dict[str, object]) -> Strategy:
    strategy = _STRATEGIES.get(name)
    if strategy is None:
        raise ValueError(f"there is no strategy {name!r}{_did_you_mean(name)}; {_known()}")
    try:
        return strategy(*positional, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None


def _did_you_mean(name: str) -> str:
    import difflib

    by_lower = {known.lower(): known for known in _STRATEGIES}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


def _known() -> str:
    return f"the strategies are {', '.join(_STRATEGIES)}"
