"""Gives a server that was written for `socketserver`, or a class of them, a strategy."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from . import ownership, standard
from .adopted_class import adopted_class, check_names, is_threading, true_class
from .base_server import BaseServer
from .listener import fileno
from .mix_in_threads import MixInThreads
from .running_loop import serves_elsewhere, serves_here
from .servable import Servable
from .serving import UNKNOWN_THREAD
from .state import NAME, keep
from .strategy import Strategy

S = TypeVar("S", bound="socketserver.BaseServer | BaseServer")


def adopt(server: S, strategy: Strategy) -> S:
    """Give an existing server a strategy.

    From then on its `serve_forever`, `shutdown`, `server_close`, `handle_request` and
    `process_request` are those of `serverstrategy.TCPServer`, in the place of the standard
    library's and its mix-ins'. What its class overrides is still called as it was; `super()` there
    finds ours. See `replaced_methods` for the one exception: a `process_request` that starts
    threads or processes by itself.

    The object stays the same; its class becomes one that is derived from it. A server that serves
    already, in another thread, goes on in its loop, which handles by the strategy but cannot start
    worker processes.

    Args:
        server: an instance of any class that is built on `socketserver.BaseServer` or on ours.
        strategy: see `serverstrategy.strategies`.

    Returns:
        `server`.

    Raises:
        OSError: the platform cannot run `strategy`.
        TypeError: `server` is no such server, or of a class that cannot work with a strategy;
            `strategy` is none.
        ValueError: the server is closed, or `strategy` serves another one, or cannot handle the
            datagrams of this one.
    """
    _check_server(server)
    ownership.check_strategy(strategy)
    cls = true_class(type(server), strategy)
    check_names(type(server), vars(server))
    if isinstance(server, Servable):
        server.strategy = strategy
    else:
        _attach(server, strategy)
    try:
        # Past a __setattr__ of its own.
        object.__setattr__(server, "__class__", cls)
    except TypeError as error:  # a class with slots, say
        vars(server).pop(NAME, None)
        ownership.release(strategy, server)
        raise TypeError(f"{type(server).__name__} cannot be given a strategy: {error}") from None
    _note_running_loop(server)
    return server


def with_strategy(cls: type[S], make_strategy: Callable[[], Strategy]) -> type[S]:
    """Derive a class of servers with a strategy, for those who want a class, not a server.

    Args:
        cls: any class that is built on `socketserver.BaseServer` or on ours. Its constructor is
            called as it was.
        make_strategy: called for each server: one strategy object serves one server. A strategy's
            class will do, and `functools.partial(ThreadPool, 8)`.

    Raises:
        TypeError: `cls` is no such class, or one that cannot work with a strategy; `make_strategy`
            cannot be called.
    """
    if not isinstance(cls, type) or not issubclass(cls, standard.BaseServer | BaseServer):
        hint = ": for a server, use adopt()" if isinstance(cls, standard.BaseServer) else ""
        raise TypeError(f"with_strategy() takes a class built on socketserver, not {cls!r}{hint}")
    if isinstance(make_strategy, Strategy) or not callable(make_strategy):
        raise TypeError(
            "with_strategy() takes a function that makes a strategy, since each server needs one "
            f"of its own: write lambda: {make_strategy!r}"
        )

    def new(this: type, *args: Any, **kwargs: Any) -> Any:
        strategy = ownership.check_strategy(this.make_strategy())  # type: ignore[attr-defined]
        inherited: Any = super(derived, this).__new__
        true = true_class(this, strategy)
        plain = inherited is object.__new__
        server = inherited(true) if plain else inherited(true, *args, **kwargs)
        _attach(server, strategy)
        return server

    derived: Any = adopted_class(cls, make_strategy=staticmethod(make_strategy), __new__=new)
    return derived  # type: ignore[no-any-return]


def _check_server(server: object) -> None:
    if isinstance(server, type):
        name = server.__name__
        raise TypeError(f"adopt() takes a server: for a class such as {name}, use with_strategy()")
    if not isinstance(server, standard.BaseServer | BaseServer):
        raise TypeError(f"adopt() takes a server that is built on socketserver, not {server!r}")
    if not callable(getattr(server, "fileno", None)):
        raise TypeError(f"{server!r} cannot be given a strategy: it has no fileno() to wait for")
    if fileno(server) < 0:
        raise ValueError(f"{server!r} cannot be given a strategy: it is closed")


def _attach(server: Any, strategy: Strategy) -> None:
    keep(server, strategy)
    if is_threading(type(server)):
        before = vars(server).get("_threads")
        if before is None or type(before).__module__ == standard.MODULE:
            vars(server)["_threads"] = MixInThreads(before)


def _note_running_loop(server: Any) -> None:
    """Note that a thread is in the standard library's `serve_forever` of `server`, if one is."""
    serving = server._serverstrategy.serving
    if serves_here(server):
        serving.begin_elsewhere()
    elif threading.active_count() > 1 and serves_elsewhere(server):
        serving.begin_elsewhere(UNKNOWN_THREAD)
