"""A module that takes the place of `socketserver`, with servers that have a strategy.

The standard library's own module stays as it is, and `serverstrategy` goes on using it; whoever
imports `socketserver` afterwards gets the other one.
"""

from __future__ import annotations

import socketserver as original
import sys
from collections.abc import Callable
from itertools import product
from types import ModuleType
from typing import Any

import serverstrategy
from serverstrategy.strategies import parse

SERVERS = ("BaseServer", "TCPServer", "UDPServer", "UnixStreamServer", "UnixDatagramServer")
BOUND_SERVERS = SERVERS[1:]

# What must not have been imported: it would go on with the standard library's classes.
_USERS = ("http.server", "logging.config", "wsgiref.simple_server", "xmlrpc.server", "pydoc")

Names = dict[str, Any]

# The strategies that servers were given, to tell a run in which none was.
made: list[str] = []


def install(way: str, plain: str, threading: str, forking: str, grace_period: float) -> None:
    """Have `import socketserver` find servers with a strategy.

    Args:
        way: one of `WAYS`.
        plain: the strategy of a server without a mix-in, as an expression.
        threading: the strategy of one with `ThreadingMixIn`.
        forking: the strategy of one with `ForkingMixIn`.
        grace_period: that of our own servers, in seconds.
    """
    too_early = [name for name in _USERS if name in sys.modules]
    if too_early:
        raise RuntimeError(f"imported before its socketserver was put in: {too_early}")
    serverstrategy.BaseServer.grace_period = grace_period
    names = WAYS[way](maker(plain), maker(threading), maker(forking))
    for mix_in, server in product(("Threading", "Forking"), BOUND_SERVERS):
        name = mix_in + server
        if hasattr(original, name):  # two of them only since Python 3.12
            names[name] = _like_original(name, (names[f"{mix_in}MixIn"], names[server]))
    module = ModuleType(original.__name__, original.__doc__)
    vars(module).update(vars(original) | names)
    sys.modules[original.__name__] = module


def maker(expression: str) -> Any:
    """A `make_strategy`, for the body of a class."""

    def make_strategy() -> serverstrategy.Strategy:
        made.append(expression)
        return parse(expression)

    return staticmethod(make_strategy)


def _own(plain: Any, threading: Any, forking: Any) -> Names:
    """Our servers; a mix-in is nothing but the choice of a strategy."""
    serverstrategy.BaseServer.make_strategy = plain
    names: Names = {name: getattr(serverstrategy, name) for name in SERVERS}
    settings = {"daemon_threads": False, "block_on_close": True}
    names["ThreadingMixIn"] = _mix_in("ThreadingMixIn", (), threading, **settings)
    settings = {"timeout": 300, "max_children": 40, "block_on_close": True}
    names["ForkingMixIn"] = _mix_in("ForkingMixIn", (), forking, **settings)
    return names


def _derived(plain: Any, threading: Any, forking: Any) -> Names:
    """The standard library's servers through `with_strategy`, and its mix-ins."""
    names: Names = {
        name: serverstrategy.with_strategy(getattr(original, name), plain.__func__)
        for name in SERVERS
    }
    return names | _true_mix_ins(threading, forking)


def _adopted(plain: Any, threading: Any, forking: Any) -> Names:
    """The standard library's servers and mix-ins; each object is adopted once it has a socket."""
    names: Names = {}
    for name in BOUND_SERVERS:
        server: Any = getattr(original, name)
        attributes = {"make_strategy": plain, "__init__": _adopting(server.__init__)}
        names[name] = _like_original(name, (server,), **attributes)
    return names | _true_mix_ins(threading, forking)


def _adopting(init: Callable[..., None]) -> Callable[..., None]:
    def __init__(server: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
        init(server, *args, **kwargs)
        serverstrategy.adopt(server, server.make_strategy())

    return __init__


def _true_mix_ins(threading: Any, forking: Any) -> Names:
    return {
        "ThreadingMixIn": _mix_in("ThreadingMixIn", (original.ThreadingMixIn,), threading),
        "ForkingMixIn": _mix_in("ForkingMixIn", (original.ForkingMixIn,), forking),
    }


def _mix_in(name: str, bases: tuple[type, ...], make_strategy: Any, **settings: Any) -> type:
    return _like_original(name, bases, make_strategy=make_strategy, **settings)


def _like_original(name: str, bases: tuple[type, ...], **attributes: Any) -> type:
    metaclass: Any = type(bases[-1]) if bases else type
    cls: type = metaclass(name, bases, attributes | {"__module__": original.__name__})
    return cls


WAYS: dict[str, Callable[[Any, Any, Any], Names]] = {
    "own": _own,
    "with_strategy": _derived,
    "adopt": _adopted,
}
"""How the servers get their strategies."""
