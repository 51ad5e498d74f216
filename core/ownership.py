"""Which strategy may serve which server: one that can, and one server at a time."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Iterator

from .strategy import Strategy

_SERVES = "_serverstrategy_serves"


def check_strategy(strategy: object) -> Strategy:
    """Return `strategy` if it is one.

    Raises:
        TypeError: it is something else, such as the class instead of an object of it.
    """
    if isinstance(strategy, Strategy):
        return strategy
    if isinstance(strategy, type) and issubclass(strategy, Strategy):
        name = strategy.__name__
        raise TypeError(f"a strategy is an object: write {name}(), not {name}")
    raise TypeError(f"a strategy is an object of a subclass of Strategy, not {strategy!r}")


def nest(strategy: object) -> Iterator[Strategy]:
    """The strategy itself, its `inner`, and so on inwards."""
    while isinstance(strategy, Strategy):
        yield strategy
        strategy = getattr(strategy, "inner", None)


def why_unsupported(strategy: Strategy) -> str | None:
    """Why this platform cannot run `strategy`, or what it nests; None if it can."""
    reasons = (part.unsupported for part in nest(strategy))
    return next((reason for reason in reasons if reason is not None), None)


def claim(strategy: Strategy, server: object) -> None:
    """Note that `strategy`, and what it nests, serves `server`.

    Raises:
        OSError: the platform cannot run it.
        ValueError: it cannot handle the datagrams of `server`, or serves another server that is
            not closed yet.
    """
    _check_fit(strategy, server)
    for part in nest(strategy):
        other = _served_by(part)
        if other is not None and other is not server:
            raise ValueError(
                f"{part!r} serves {other!r} already, and one strategy object serves one server at "
                "a time: build another, or close that server first"
            )
    for part in nest(strategy):
        # A strategy may be a frozen dataclass.
        object.__setattr__(part, _SERVES, weakref.ref(server))


def release(strategy: Strategy, server: object) -> None:
    """Let `strategy`, and what it nests, serve another server."""
    for part in nest(strategy):
        if _served_by(part) is server:
            object.__setattr__(part, _SERVES, None)


def _check_fit(strategy: Strategy, server: object) -> None:
    reason = why_unsupported(strategy)
    if reason is not None:
        raise OSError(f"{strategy!r} cannot run here: {reason}")
    if getattr(server, "socket_type", None) != socket.SOCK_DGRAM:
        return
    for part in nest(strategy):
        if not part.datagrams:
            raise ValueError(
                f"{part!r} cannot handle datagrams, which {type(server).__name__} receives"
            )


def _served_by(strategy: Strategy) -> object | None:
    # A reference that is weak: a server that nobody closed does not keep its strategy for ever.
    reference = vars(strategy).get(_SERVES)
    return None if reference is None else reference()
