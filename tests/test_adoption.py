"""`adopt` and `with_strategy`: what changes, what goes on, and what is refused."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
import time
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

import serverstrategy
from adopting import ANY_PORT, Quiet, QuietThreading, Shout, ask, serving
from probes import PATIENCE, wait_until
from serverstrategy import Strategy, adopt, with_strategy
from serverstrategy.strategies import Forking, Prefork, Synchronous, Threaded, ThreadPool
from shapes import SHAPES

MIX_INS = (socketserver.ThreadingMixIn, socketserver.ForkingMixIn)

# What changes


@pytest.mark.parametrize(
    ("strategy", "true"),
    [
        (Synchronous(), ()),
        (Threaded(), MIX_INS[:1]),
        (ThreadPool(2), MIX_INS[:1]),
        (Forking(), MIX_INS[1:]),
        (Prefork(2), MIX_INS[1:]),
        (Prefork(2, ThreadPool(2)), MIX_INS),
    ],
    ids=repr,
)
@pytest.mark.parametrize("shape", ["Plain", "Threading", "ForkingShape", "MixInLast"])
def test_isinstance_of_a_mix_in_tells_the_truth(
    strategy: Strategy, true: tuple[type, ...], shape: str
) -> None:
    with SHAPES[shape](ANY_PORT, Shout) as server:
        assert adopt(server, strategy) is server
        assert isinstance(server, SHAPES[shape])
        assert tuple(cls for cls in MIX_INS if isinstance(server, cls)) == true
        assert server.strategy is strategy


def test_wsgi_flags_of_a_class_tell_the_truth() -> None:
    class WSGI(SHAPES["Plain"]):  # type: ignore[name-defined,misc]
        multithread = True
        multiprocess = False

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.seen_in_constructor = self.multithread, self.multiprocess

    with with_strategy(WSGI, Prefork)(ANY_PORT, Shout) as server:
        assert server.seen_in_constructor == (False, True)
    with adopt(WSGI(ANY_PORT, Shout), Threaded()) as server:
        assert (server.multithread, server.multiprocess) == (True, False)
    with adopt(SHAPES["Plain"](ANY_PORT, Shout), Threaded()) as server:
        assert not hasattr(server, "multithread")


def test_the_class_keeps_its_name() -> None:
    with adopt(Quiet(ANY_PORT, Shout), Threaded()) as server:
        cls = type(server)
        assert (cls.__name__, cls.__module__, cls.__qualname__) == ("Quiet", "adopting", "Quiet")
        assert cls is not Quiet
    assert with_strategy(Quiet, Threaded).__name__ == "Quiet"


def test_a_strategy_can_be_replaced_and_its_truth_with_it() -> None:
    with adopt(QuietThreading(ANY_PORT, Shout), Threaded()) as server:
        adopt(server, Synchronous())
        assert not isinstance(server, socketserver.ThreadingMixIn)
        adopt(server, ThreadPool(2))
        assert isinstance(server, socketserver.ThreadingMixIn)
        with serving(server):
            assert ask(server) == b"HI\n"


def test_each_server_of_a_class_has_a_strategy_of_its_own() -> None:
    cls = with_strategy(Quiet, partial(ThreadPool, 2))
    with cls(ANY_PORT, Shout) as one, cls(ANY_PORT, Shout) as other:
        assert repr(one.strategy) == repr(other.strategy) == "ThreadPool(2)"
        assert one.strategy is not other.strategy


def test_a_class_may_be_derived_further_with_a_mix_in() -> None:
    class Derived(socketserver.ThreadingMixIn, with_strategy(Quiet, Synchronous)):  # type: ignore[misc]
        pass

    with Derived(ANY_PORT, Shout) as server:
        assert not isinstance(server, socketserver.ThreadingMixIn)
        with serving(server):
            assert ask(server) == b"HI\n"
        assert server.in_flight.others() == []


def test_a_class_of_ours_can_be_given_a_strategy_too() -> None:
    cls = with_strategy(serverstrategy.TCPServer, partial(ThreadPool, 2))
    with cls(ANY_PORT, Shout) as server:
        assert repr(server.strategy) == "ThreadPool(2)"
        adopt(server, Synchronous())
        assert repr(server.strategy) == "Synchronous()"
    with cls(ANY_PORT, Shout, strategy=Threaded(3)) as server:
        assert repr(server.strategy) == "Threaded(3)"


def test_a_mix_in_over_a_class_of_ours_gives_way_to_a_strategy() -> None:
    class Mixed(socketserver.ThreadingMixIn, serverstrategy.TCPServer):
        pass

    with Mixed(ANY_PORT, Shout, strategy=Synchronous()) as server, serving(server):
        assert not isinstance(server, socketserver.ThreadingMixIn)
        assert ask(server) == b"HI\n"
    with Mixed(ANY_PORT, Shout) as server:
        with serving(server):
            assert isinstance(server, socketserver.ThreadingMixIn)
            assert ask(server) == b"HI\n"
        server.strategy = Synchronous()
        assert not isinstance(server, socketserver.ThreadingMixIn)


def test_a_class_that_notes_its_subclasses_hears_of_those_of_the_program_only() -> None:
    noted: list[str] = []

    class Noting:
        def __init_subclass__(cls, *, note: str, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            noted.append(note)

    class Noted(Noting, Quiet, note="first"):
        pass

    class Derived(with_strategy(Noted, Synchronous), note="second"):  # type: ignore[misc]
        def __init_subclass__(cls, **kwargs: Any) -> None:
            noted.append("wrong")

    with Derived(ANY_PORT, Shout) as server, serving(adopt(server, Threaded())):
        assert ask(server) == b"HI\n"
    with adopt(Noted(ANY_PORT, Shout), Threaded()) as server:
        adopt(server, Synchronous())
    assert noted == ["first", "second"]


def test_what_a_process_request_does_besides_is_still_done() -> None:
    with adopt(SHAPES["ByName"](ANY_PORT, Shout), ThreadPool(1)) as server, serving(server):
        assert [ask(server) for _ in range(3)] == [b"HI\n"] * 3
        assert server.handed_on == 3


# While it serves


def test_a_server_that_serves_already_goes_on_with_the_strategy() -> None:
    server = QuietThreading(ANY_PORT, Shout)
    with server, serving(server):
        assert ask(server) == b"HI\n"
        adopt(server, ThreadPool(1))
        assert ask(server) == b"HI\n"
        adopt(server, Threaded())
        assert ask(server) == b"HI\n"
        assert repr(server.strategy) == "Threaded()"
    assert server.fileno() == -1


@pytest.mark.parametrize("hook", ["handle_error", "verify_request", "service_actions"])
def test_a_hook_that_is_replaced_on_the_instance_is_honoured(hook: str) -> None:
    with adopt(QuietThreading(ANY_PORT, Shout), ThreadPool(1)) as server, serving(server):
        assert ask(server) == b"HI\n"
        mock = Mock(return_value=True)
        setattr(server, hook, mock)
        if hook != "service_actions":  # which is called although nothing happens
            ask(server, b"fail\n")
        assert wait_until(lambda: mock.called)
        delattr(server, hook)
        mock.reset_mock()
        assert ask(server, b"fail\n") == b""
        assert not mock.called or hook == "service_actions"


def test_one_select_over_several_servers() -> None:
    servers = [adopt(QuietThreading(ANY_PORT, Shout), ThreadPool(1)) for _ in range(3)]
    answers: list[bytes] = []

    def clients() -> None:
        answers.extend(ask(server) for server in servers * 2)

    thread = threading.Thread(target=clients)
    thread.start()
    for _ in range(6):
        ready, _, _ = select.select(servers, [], [], PATIENCE)
        ready[0].handle_request()
    thread.join()
    assert answers == [b"HI\n"] * 6
    for server in servers:
        server.server_close()


def test_a_loop_of_its_own_does_not_spin_while_there_is_no_room() -> None:
    with (
        adopt(QuietThreading(ANY_PORT, Shout), ThreadPool(1)) as server,
        socket.create_connection(server.server_address, PATIENCE) as first,
    ):
        server._handle_request_noblock()
        with socket.create_connection(server.server_address, PATIENCE) as second:
            freed = threading.Thread(target=lambda: first.sendall(b"first\n"))
            freed.start()
            server._handle_request_noblock()  # waits for the room that comes
            second.sendall(b"second\n")
            assert second.recv(100) == b"SECOND\n"
            freed.join()


def test_what_an_instance_puts_around_the_service_actions_of_its_class_is_called_once() -> None:
    class Own(Quiet):
        def service_actions(self) -> None:
            super().service_actions()

    with adopt(Own(ANY_PORT, Shout), Synchronous()) as server:
        mock = Mock(wraps=server.service_actions)
        server.service_actions = mock
        server.service_actions()
        mock.assert_called_once_with()


def test_a_parent_keeps_nothing_open_that_comes_with_the_address_of_a_child() -> None:
    with (
        adopt(SHAPES["AddressHoldsSocket"](ANY_PORT, Shout), Forking()) as server,
        socket.create_connection(server.server_address, PATIENCE) as client,
    ):
        server.handle_request()
        with pytest.raises(BlockingIOError):
            server.held.recv(1, socket.MSG_DONTWAIT)
        server.held.settimeout(PATIENCE)
        client.sendall(b"hi\n")
        assert client.recv(100) == b"HI\n"
        assert server.held.recv(1) == b""  # although nobody has reaped the child
        assert len(server.in_flight) == 1
        assert wait_until(lambda: server.service_actions() or not server.in_flight)


@pytest.mark.parametrize("first", ["shutdown", "server_close"])
def test_both_ends_may_come_in_any_order(first: str) -> None:
    server = adopt(QuietThreading(ANY_PORT, Shout), Threaded())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert ask(server) == b"HI\n"
    getattr(server, first)()
    server.shutdown()
    server.server_close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_shutdown_of_what_nobody_serves_returns() -> None:
    with adopt(QuietThreading(ANY_PORT, Shout), Threaded()) as server:
        socketserver.TCPServer.shutdown(server)


@pytest.mark.parametrize("make_strategy", [Synchronous, Threaded, partial(Prefork, 2)])
def test_closing_in_handle_timeout_does_not_wait_for_itself(make_strategy: Any) -> None:
    class OnlySoLong(Quiet):
        timeout = 0.01

        def handle_timeout(self) -> None:
            self.server_close()

    server = adopt(OnlySoLong(ANY_PORT, Shout), make_strategy())
    started = time.monotonic()
    server.handle_request()
    assert time.monotonic() - started < PATIENCE
    assert server.fileno() == -1


# What is refused


def test_a_class_cannot_be_adopted() -> None:
    with pytest.raises(TypeError, match=r"use with_strategy\(\)"):
        adopt(Quiet, Threaded())  # type: ignore[type-var]


def test_something_else_cannot_be_adopted() -> None:
    with pytest.raises(TypeError, match="built on socketserver"):
        adopt(object(), Threaded())  # type: ignore[type-var]


def test_a_server_without_a_descriptor_cannot_be_adopted() -> None:
    server = socketserver.BaseServer(ANY_PORT, Shout)
    with pytest.raises(TypeError, match="no fileno"):
        adopt(server, Threaded())


def test_a_closed_server_cannot_be_adopted() -> None:
    server = Quiet(ANY_PORT, Shout)
    server.server_close()
    with pytest.raises(ValueError, match="is closed"):
        adopt(server, Threaded())


def test_a_strategy_that_serves_another_server_is_refused_and_nothing_changes() -> None:
    strategy = Threaded()
    with (
        serverstrategy.TCPServer(ANY_PORT, Shout, strategy=strategy),
        Quiet(ANY_PORT, Shout) as server,
    ):
        with pytest.raises(ValueError, match="one server at a time"):
            adopt(server, strategy)
        assert type(server) is Quiet
        assert ask_by_handle_request(server) == b"HI\n"


def ask_by_handle_request(server: Any) -> bytes:
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(ask(server)))
    client.start()
    server.handle_request()
    client.join()
    return answers[0]


def test_something_else_is_no_strategy() -> None:
    with Quiet(ANY_PORT, Shout) as server, pytest.raises(TypeError, match="write"):
        adopt(server, Threaded)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"write lambda: Threaded\(\)"):
        with_strategy(Quiet, Threaded())  # type: ignore[arg-type]


def test_a_server_is_no_class() -> None:
    with Quiet(ANY_PORT, Shout) as server, pytest.raises(TypeError, match=r"use adopt\(\)"):
        with_strategy(server, Threaded)  # type: ignore[arg-type]


def test_a_thread_that_is_a_loop_of_its_own_cannot_be_given_a_strategy() -> None:
    class Recipe(QuietThreading):
        def process_request_thread(self) -> None:  # type: ignore[override]
            """Take connections from a queue, for ever."""

    with pytest.raises(TypeError, match="does not take a request and a client_address"):
        with_strategy(Recipe, Threaded)
    with Recipe(ANY_PORT, Shout) as server:
        with pytest.raises(TypeError, match="Recipe cannot be given a strategy"):
            adopt(server, Threaded())
        assert type(server) is Recipe


# How long it waits


@pytest.mark.parametrize(
    ("shape", "attributes", "expected"),
    [
        ("Plain", {}, 30.0),
        ("Threading", {}, 30.0),
        ("Threading", {"daemon_threads": True}, 1.0),
        ("Threading", {"block_on_close": False}, 1.0),
        ("ForkingShape", {"block_on_close": False}, 1.0),
        ("Threading", {"daemon_threads": True, "grace_period": None}, None),
    ],
)
def test_the_grace_period_is_short_where_the_class_does_not_want_to_wait(
    shape: str, attributes: dict[str, Any], expected: float | None
) -> None:
    with adopt(SHAPES[shape](ANY_PORT, Shout), Threaded()) as server:
        for name, value in attributes.items():
            setattr(server, name, value)
        assert server.grace_period == expected
    cls: Any = type("Attributes", (SHAPES[shape],), attributes)
    with with_strategy(cls, Threaded)(ANY_PORT, Shout) as server:
        assert server.grace_period == expected


@pytest.mark.parametrize("name", ["ThreadingTCPServer", "ForkingTCPServer"])
def test_the_classes_of_the_standard_library_that_mix_in_are_adopted_as_others_are(
    name: str,
) -> None:
    cls: Any = type("Derived", (getattr(socketserver, name),), {"block_on_close": False})
    with adopt(cls(ANY_PORT, Shout), Threaded()) as server:
        assert server.grace_period == 1.0
