"""What a strategy is handed passes for the server, but for what is of its own time."""

from __future__ import annotations

import gc
import socket
import socketserver
import weakref
from typing import Any

import pytest

from serverstrategy import BaseRequestHandler, Strategy, TCPServer, adopt
from serverstrategy.strategies import Synchronous


class Tells(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(type(self.server).__name__.encode())
        self.server.seen = id(self.server)  # type: ignore[attr-defined]


class Named(TCPServer):
    """A server with something of its own."""

    limit = 3


class Keeps(Strategy):
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.servers: list[Any] = []

    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        self.servers.append(server)
        super().process_request(server, request, client_address)


def handle_one(server: Any) -> bytes:
    with socket.create_connection(server.server_address) as client:
        server.handle_request()
        return client.recv(100)


@pytest.fixture
def server() -> Any:
    with Named(("127.0.0.1", 0), Tells, strategy=Keeps()) as server:
        handle_one(server)
        yield server


@pytest.fixture
def view(server: Any) -> Any:
    return server.strategy.servers[0]


def test_it_is_an_instance_of_the_servers_class(server: Any, view: Any) -> None:
    assert isinstance(view, Named)
    assert isinstance(view, TCPServer)
    assert not isinstance(view, socketserver.UDPServer)
    assert repr(view) == repr(server)


def test_it_is_an_instance_of_the_class_that_an_adopted_server_has_now() -> None:
    strategy = Keeps()
    with adopt(socketserver.TCPServer(("127.0.0.1", 0), Tells), strategy) as server:
        handle_one(server)
        assert isinstance(strategy.servers[0], socketserver.TCPServer)
        assert strategy.servers[0].__class__ is type(server)


def test_attributes_are_the_servers(server: Any, view: Any) -> None:
    assert view.limit == 3
    view.limit = 4
    view.more = "more"
    assert (server.limit, server.more) == (4, "more")
    del view.limit
    assert server.limit == 3
    assert vars(view) is vars(server)
    assert dir(view) == dir(server)
    with pytest.raises(AttributeError, match="'Named' object has no attribute 'nothing'"):
        view.nothing  # noqa: B018 - it raises


def test_in_flight_is_its_own(server: Any, view: Any) -> None:
    assert view.in_flight is not server.in_flight
    assert len(view.in_flight) == 0


def test_it_is_equal_to_the_server(server: Any, view: Any) -> None:
    assert view == server
    assert server == view
    assert hash(view) == hash(server)
    assert {server: 1}[view] == 1
    strategy = Keeps()
    with Named(("127.0.0.1", 0), Tells, strategy=strategy) as other:
        assert view != other
        handle_one(other)
        assert view != strategy.servers[0]


def test_a_strategy_may_keep_something_for_each_server(server: Any, view: Any) -> None:
    strategy = server.strategy
    kept = weakref.WeakKeyDictionary({view: "kept"})
    strategy.servers.clear()
    del view
    gc.collect()
    handle_one(server)
    assert kept[strategy.servers[0]] == "kept"
    server.strategy = Synchronous()
    server.strategy = strategy
    handle_one(server)
    assert strategy.servers[1] == strategy.servers[0]


def test_a_handler_has_the_server_itself(server: Any) -> None:
    assert server.seen == id(server)


def test_a_closed_server_is_not_kept() -> None:
    strategy = Synchronous()
    server = Named(("127.0.0.1", 0), Tells, strategy=strategy)
    gone = weakref.ref(server)
    handle_one(server)
    server.server_close()
    gc.disable()
    try:
        del server
        assert gone() is None
    finally:
        gc.enable()
