"""Builds a strategy from text, such as that of a flag or of an environment variable."""

from __future__ import annotations

from serverstrategy.strategy import Strategy

from .fallback import Fallback
from .forking import Forking
from .limit import Limit
from .per_client import PerClient
from .prefork import Prefork
from .synchronous import Synchronous
from .thread_pool import ThreadPool
from .threaded import Threaded

_STRATEGIES: dict[str, type[Strategy]] = {
    each.__name__: each
    for each in (
        Synchronous,
        Threaded,
        ThreadPool,
        Forking,
        Prefork,
        Limit,
        PerClient,
        Fallback,
    )
}


def parse(text: str) -> Strategy:
    """Build the strategy that `text` describes: `parse(repr(strategy))` builds its like.

    The text is read, not evaluated: it can hold names of strategies, ints, strings, None, keywords
    and nested strategies, and nothing else. A bare name means the defaults: `"Threaded"` is
    `Threaded()`. Whether the platform can run it is asked later, by the server that is given it.

    Raises:
        TypeError: `text` is no str.
        ValueError: it cannot be read, or a strategy refuses its arguments; the message names the
            part that is wrong.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {text!r}")
    try:
        value = _build(_read(text))
    except (RecursionError, MemoryError):
        raise ValueError(f"the text is nested too deeply to be read; {_known()}") from None
    if not isinstance(value, Strategy):
        raise ValueError(f"{text!r} is no strategy; {_known()}")  # noqa: TRY004 - it is a str
    return value


def _read(text: str) -> object:
    import ast  # here, because it costs more to import than the rest of this package

    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte, a lone surrogate
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ValueError(f"{text!r} cannot be read: {reason}; {_known()}") from None


def _build(node: object) -> object:
    import ast

    match node:
        case ast.Constant(value=int() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
            return -value
        case ast.Name(id=name):
            return _call(_find(name), [], {})
        case ast.Call(func=ast.Name(id=name), args=positional, keywords=keywords):
            strategy = _find(name)
            named: dict[str, object] = {}
            for keyword in keywords:
                if keyword.arg is None:
                    raise ValueError(f"'**' cannot be read in the arguments of {name}")
                if keyword.arg in named:
                    raise ValueError(f"{name} is given {keyword.arg!r} twice")
                named[keyword.arg] = _build(keyword.value)
            return _call(strategy, [_build(each) for each in positional], named)
        case ast.AST():
            raise ValueError(
                f"{ast.unparse(node)!r} cannot be read here: write a strategy, an int, a string "
                f"or None; {_known()}"
            )
    raise AssertionError(node)


def _find(name: str) -> type[Strategy]:
    strategy = _STRATEGIES.get(name)
    if strategy is None:
        raise ValueError(f"there is no strategy {name!r}{_did_you_mean(name)}; {_known()}")
    return strategy


def _call(strategy: type[Strategy], positional: list[object], named: dict[str, object]) -> Strategy:
    try:
        return strategy(*positional, **named)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{strategy.__name__}: {error}") from None


def _did_you_mean(name: str) -> str:
    import difflib

    by_lower = {known.lower(): known for known in _STRATEGIES}
    close = [known for known in by_lower if known.startswith(name.lower())]
    close += difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


def _known() -> str:
    return f"the strategies are {', '.join(_STRATEGIES)}"
