"""What a server asks of a strategy when it is given one: whether it can run here, and datagrams."""

from __future__ import annotations

import os
import socketserver
from collections.abc import Callable
from typing import Any

import pytest

from adopting import ANY_PORT, Shout
from serverstrategy import Strategy, TCPServer, UDPServer, adopt, with_strategy
from serverstrategy.strategies import Fallback, Forking, Limit, Prefork, Synchronous, Threaded


class StreamsOnly(Strategy):
    datagrams = False


class Forgetful(Strategy):
    """A layer of the user's own, which passes on no attribute."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner


def build(cls: Any, strategy: Strategy) -> Any:
    return cls(ANY_PORT, Shout, strategy=strategy)


def assign(cls: Any, strategy: Strategy) -> Any:
    server = cls(ANY_PORT, Shout)
    try:
        server.strategy = strategy
    except BaseException:
        assert type(server.strategy) is Strategy, "it keeps the one that it had"
        server.server_close()
        raise
    return server


def give(cls: Any, strategy: Strategy) -> Any:
    server = getattr(socketserver, cls.__name__)(ANY_PORT, Shout)
    before = type(server)
    try:
        return adopt(server, strategy)
    except BaseException:
        assert type(server) is before
        assert "_serverstrategy" not in vars(server)
        server.server_close()
        raise


def derive(cls: Any, strategy: Strategy) -> Any:
    return with_strategy(getattr(socketserver, cls.__name__), lambda: strategy)(ANY_PORT, Shout)


Door = Callable[[Any, Strategy], Any]
each_door = pytest.mark.parametrize("door", [build, assign, give, derive])


@each_door
@pytest.mark.parametrize(
    "make",
    [
        Forking,
        lambda: Prefork(2),
        lambda: Limit(2, Forking()),
        lambda: Forgetful(Forking()),
        lambda: Fallback(Forgetful(Prefork(2)), Forking()),
    ],
)
def test_a_strategy_that_cannot_run_here_is_refused_with_the_reason(
    door: Door, make: Callable[[], Strategy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")
    strategy = make()
    with pytest.raises(OSError, match=r"needs os\.fork, which this platform does no") as raised:
        door(TCPServer, strategy)
    assert str(raised.value).startswith(f"{strategy!r} cannot run here: ")
    monkeypatch.undo()
    door(TCPServer, make()).server_close()


@each_door
@pytest.mark.parametrize(
    "make",
    [
        StreamsOnly,
        lambda: Limit(2, StreamsOnly()),
        lambda: Prefork(2, StreamsOnly()),
        lambda: Fallback(StreamsOnly(), Synchronous()),
        lambda: Forgetful(StreamsOnly()),
    ],
)
def test_a_strategy_that_cannot_handle_datagrams_is_refused(
    door: Door, make: Callable[[], Strategy]
) -> None:
    with pytest.raises(ValueError, match="cannot handle datagrams, which UDPServer receives"):
        door(UDPServer, make())
    door(TCPServer, make()).server_close()
    door(UDPServer, Limit(2, Threaded())).server_close()


def test_what_is_refused_can_serve_another_server() -> None:
    strategy = StreamsOnly()
    with pytest.raises(ValueError, match="datagrams"):
        build(UDPServer, strategy)
    build(TCPServer, strategy).server_close()


def test_a_nest_says_what_its_inner_strategy_says_of_datagrams() -> None:
    for nest in (Limit(1, StreamsOnly()), Prefork(1, StreamsOnly()), Fallback(StreamsOnly())):
        assert not nest.datagrams
    for nest in (Limit(1, Threaded()), Prefork(1, Threaded()), Fallback(Threaded())):
        assert nest.datagrams
