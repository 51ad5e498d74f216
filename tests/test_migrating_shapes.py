"""What docs/migrating.md says of classes in all shapes, and of servers that serve already."""

from __future__ import annotations

import socketserver
import threading
from typing import Any

import pytest

from adopting import ANY_PORT, Shout, ask, serving
from migrating import connect, in_thread, join, late, read, shows
from probes import PATIENCE, probing, wait_until
from serverstrategy import adopt, with_strategy
from serverstrategy.strategies import Prefork, Synchronous, Threaded, ThreadPool
from shapes import SHAPES

# What a class does, by the classes of `shapes` that do it.
BY_SHAPE = {
    "overrides `process_request` and calls `super()` or the mix-in by name": [
        "SlotInProcess",
        "ByName",
    ],
    "runs the handler in `process_request`, by `finish_request`": ["FinishesByItself"],
    "gives the connection to threads or processes of its own in `process_request`": [
        "OwnThreads",
        "OwnThreadsFinish",
        "OwnPool",
    ],
    "takes a slot in `verify_request` or `process_request`, and gives it back around "
    "`super().process_request_thread`": ["SlotInVerify", "SlotInProcess"],
    "has a loop of its own, by `handle_request` or `_handle_request_noblock`": [
        "OwnLoop",
        "OwnSelect",
    ],
    "calls `socketserver.BaseServer.serve_forever` or `shutdown` by the name of the class": [
        "LoopByName",
        "ByName",
    ],
    "reads or sets `_BaseServer__shutdown_request`": ["CarefulNoblock", "FlagSetter"],
    "has no `socket`, or a `get_request` that takes connections from elsewhere": [
        "NoSocket",
        "AcceptsElsewhere",
    ],
    "closes in its own `serve_forever`, or twice, or closes only the socket": [
        "ClosesInLoop",
        "ClosesAndGoesOn",
        "ByName",
    ],
    "mixes in `ThreadingMixIn` after the server class, where it has no effect": ["MixInLast"],
}


@shows("shapes", *BY_SHAPE)
@pytest.mark.parametrize("shape", sorted({name for names in BY_SHAPE.values() for name in names}))
@pytest.mark.parametrize("strategy", ["ThreadPool(4)", "Forking()"])
def test_a_class_of_this_shape_gets_the_strategy(shape: str, strategy: str) -> None:
    """`test_shapes.py` goes through every strategy, and both ways."""
    with probing(strategy, shape=shape, poll=0.5) as probe:
        for _ in range(5):
            in_child = probe.ask("pid") != str(probe.pid)
            assert in_child == (strategy == "Forking()")
        if shape != "FinishesByItself":  # whose handler is in a thread of its own
            assert probe.ask("thread") == ("main" if in_child else "another")
        probe.stop()


@shows("shapes", "gives the connection to threads or processes of its own in `process_request`")
def test_threads_of_its_own_give_way_to_the_strategy() -> None:
    with SHAPES["OwnThreads"](ANY_PORT, Shout) as server:
        adopt(server, Synchronous())
        before = threading.active_count()
        seen: list[int] = []

        class Count(Shout):
            def handle(self) -> None:
                seen.append(threading.active_count())
                super().handle()

        server.RequestHandlerClass = Count
        with serving(server):
            assert ask(server) == b"HI\n"
        assert seen == [before + 1]  # the one that serves


@shows(
    "shapes",
    "overrides `process_request` and calls `super()` or the mix-in by name",
    "runs the handler in `process_request`, by `finish_request`",
)
@pytest.mark.parametrize("kind", ["super", "finish"])
def test_process_request_runs_where_it_should(kind: str) -> None:
    threads: list[int] = []

    class Goes(socketserver.TCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            threads.append(threading.get_ident())
            super().process_request(request, client_address)

    class Finishes(socketserver.TCPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            threads.append(threading.get_ident())
            self.finish_request(request, client_address)
            self.shutdown_request(request)

    with (Goes if kind == "super" else Finishes)(ANY_PORT, Shout) as server:
        adopt(server, ThreadPool(1))
        serve = in_thread(server.serve_forever)
        assert [ask(server) for _ in range(3)] == [b"HI\n"] * 3
        server.shutdown()
        join(serve)
    assert len(threads) == 3
    assert (set(threads) == {serve.ident}) == (kind == "super")


@shows("shapes", "reads or sets `_BaseServer__shutdown_request`")
def test_the_private_flag_tells_of_the_stop() -> None:
    with adopt(socketserver.TCPServer(ANY_PORT, Shout), Threaded()) as server:
        flags: Any = server
        assert not flags._BaseServer__shutdown_request
        server.shutdown()
        assert flags._BaseServer__shutdown_request
        server.serve_forever()
        flags._BaseServer__shutdown_request = True
        server.serve_forever()


@shows("shapes", "closes in its own `serve_forever`, or twice, or closes only the socket")
@pytest.mark.parametrize("shape", ["ClosesInLoop", "ByName"])
def test_what_is_in_flight_is_waited_for_however_it_closes(shape: str) -> None:
    handler = late()
    server = with_strategy(SHAPES[shape], Threaded)(ANY_PORT, handler)
    serve = in_thread(server.serve_forever)
    with connect(server) as client:
        assert handler.begun.wait(PATIENCE)
        closing = in_thread(server.server_close)
        assert not wait_until(lambda: not closing.is_alive(), 0.05)
        handler.go_on.set()
        assert read(client) == b"late"
    join(closing)
    join(serve)


@shows("shapes", "serves already, in another thread")
def test_a_server_that_serves_already_goes_on_in_its_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server: Any = socketserver.TCPServer(ANY_PORT, Shout)
    with server, serving(server):
        assert ask(server) == b"HI\n"
        strategy = Prefork(2, ThreadPool(1))
        adopt(server, strategy)
        assert ask(server) == b"HI\n"
        assert strategy._children.pids() == []
        assert "only serve_forever() starts workers" in caplog.text
    assert server.fileno() == -1
