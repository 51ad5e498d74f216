"""A server that is dropped without `server_close`, as the tests of many programs do it."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
import weakref

import pytest

from probes import wait_until
from serverstrategy import BaseRequestHandler, TCPServer
from serverstrategy.strategies import parse

# Less than Threaded keeps a thread that is free.
PATIENCE = 5.0


class Quick(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"done")


@pytest.mark.parametrize("expression", ["Synchronous()", "ThreadPool(2)", "Threaded()"])
def test_it_goes_with_its_idle_threads_and_without_a_warning(expression: str) -> None:
    before = set(threading.enumerate())
    server = TCPServer(("127.0.0.1", 0), Quick, strategy=parse(expression))
    with socket.create_connection(server.server_address) as client:
        server.handle_request()
        assert client.recv(10) == b"done"
    threads = set(threading.enumerate()) - before
    dropped = weakref.ref(server)
    server.socket.close()
    del server

    def is_gone() -> bool:
        gc.collect()
        return dropped() is None and not any(thread.is_alive() for thread in threads)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert wait_until(is_gone, PATIENCE)
    assert [str(each.message) for each in caught] == []
