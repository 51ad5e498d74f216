"""What a `process_request` is taken for, by the byte code of every version of Python."""

from __future__ import annotations

import socketserver
import threading
from typing import Any

import pytest

from adopting import ANY_PORT, Quiet, QuietThreading, Shout, ask, serving
from serverstrategy import with_strategy
from serverstrategy.strategies import Synchronous, Threaded


class Counting(QuietThreading):
    handed_on = 0


class Star(Counting):
    def process_request(self, *arguments: Any) -> None:
        self.handed_on += 1
        super().process_request(*arguments)


class Keywords(Counting):
    def process_request(self, request: Any, client_address: Any) -> None:
        self.handed_on += 1
        super().process_request(request=request, client_address=client_address)


class LongSuper(Counting):
    def process_request(self, request: Any, client_address: Any) -> None:
        self.handed_on += 1
        super(LongSuper, self).process_request(request, client_address)  # noqa: UP008


class Alias(Counting):
    def process_request(self, request: Any, client_address: Any) -> None:
        self.handed_on += 1
        go_on = super().process_request
        go_on(request, client_address)


class Nested(Counting):
    def process_request(self, request: Any, client_address: Any) -> None:
        def go_on() -> None:
            super(Nested, self).process_request(request, client_address)

        self.handed_on += 1
        go_on()


class ByNameStar(Counting):
    def process_request(self, *arguments: Any) -> None:
        self.handed_on += 1
        socketserver.ThreadingMixIn.process_request(self, *arguments)


class ByNameOfTheServer(Quiet):
    handed_on = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.handed_on += 1
        socketserver.TCPServer.process_request(self, request, client_address)


class FinishesStar(Quiet):
    handed_on = 0

    def process_request(self, *arguments: Any) -> None:
        self.handed_on += 1
        self.finish_request(*arguments)
        self.shutdown_request(arguments[0])


GOING_ON = [Star, Keywords, LongSuper, Alias, Nested, ByNameStar, ByNameOfTheServer, FinishesStar]


class HandingOn(Quiet):
    """Gives the handler to a thread of its own, among others by names that were used before."""

    def process_request(self, request: Any, client_address: Any) -> None:
        arguments = (request, client_address)
        threading.Thread(target=self.finish_request, args=arguments, daemon=True).start()


@pytest.mark.parametrize("make_strategy", [Synchronous, Threaded])
@pytest.mark.parametrize("cls", GOING_ON)
def test_what_goes_on_is_kept(cls: Any, make_strategy: Any) -> None:
    with with_strategy(cls, make_strategy)(ANY_PORT, Shout) as server, serving(server):
        assert [ask(server) for _ in range(3)] == [b"HI\n"] * 3
        assert server.handed_on == 3


def test_a_thread_of_its_own_gives_way() -> None:
    threads: list[Any] = []

    class Noting(Shout):
        def handle(self) -> None:
            threads.append(threading.current_thread())
            super().handle()

    with with_strategy(HandingOn, Synchronous)(ANY_PORT, Noting) as server:
        serving_thread = threading.Thread(target=server.serve_forever)
        serving_thread.start()
        assert ask(server) == b"HI\n"
        server.shutdown()
        serving_thread.join()
        assert threads == [serving_thread]
