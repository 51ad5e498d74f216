"""What tells whether the standard library's loop serves a server that is adopted."""

from __future__ import annotations

import selectors
import threading
from typing import Any

from adopting import ANY_PORT, Quiet, Shout, ask
from probes import PATIENCE, wait_until
from serverstrategy import adopt
from serverstrategy.running_loop import serves_elsewhere, serves_here
from serverstrategy.strategies import Threaded


def start(server: Any) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    assert ask(server) == b"HI\n"
    return thread


def test_a_loop_in_another_thread_is_found_for_its_own_server_only() -> None:
    with Quiet(ANY_PORT, Shout) as server, Quiet(ANY_PORT, Shout) as idle:
        thread = start(server)
        assert serves_elsewhere(server)
        assert not serves_elsewhere(idle)
        assert not serves_here(server)
        server.shutdown()
        thread.join(PATIENCE)
        assert not serves_elsewhere(server)


def test_a_loop_in_this_thread_is_found() -> None:
    found = []

    class Looks(Quiet):
        def service_actions(self) -> None:
            found.append((serves_here(self), serves_here(idle)))

    with Looks(ANY_PORT, Shout) as server, Quiet(ANY_PORT, Shout) as idle:
        thread = start(server)
        server.shutdown()
        thread.join(PATIENCE)
    assert set(found) == {(True, False)}


def test_a_loop_of_the_applications_own_is_none() -> None:
    with Quiet(ANY_PORT, Shout) as server, selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        assert not serves_elsewhere(server)


def test_shutdown_waits_for_the_loop_that_served_when_the_server_was_adopted() -> None:
    with Quiet(ANY_PORT, Shout) as server:
        thread = start(server)
        adopt(server, Threaded())
        server.shutdown()
        assert wait_until(lambda: not thread.is_alive(), 0.5)
        thread = start(server)  # in our loop
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_serving_thread_is_known_once_its_loop_has_asked() -> None:
    with Quiet(ANY_PORT, Shout) as server:
        thread = start(server)
        adopt(server, Threaded())
        assert wait_until(lambda: server._serverstrategy.serving.thread == thread.ident)
        server.shutdown()
        thread.join(PATIENCE)
