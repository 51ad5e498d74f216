"""Strategies that each break one clause: what a strategy passes on to those that it nests."""

from __future__ import annotations

from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategies import ThreadPool
from serverstrategy.strategy import Server, Strategy


class Nest(Strategy):
    multithread = True

    def __init__(self) -> None:
        self.inner = ThreadPool(3)

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.inner.process_request(server, request, client_address)

    def serve(self, server: Server, stop: StopSignal) -> None:
        self.inner.serve(server, stop)

    def ready(self, server: Server) -> bool:
        return self.inner.ready(server)

    def drain(self, server: Server, timeout: float | None) -> bool:
        return self.inner.drain(server, timeout)


class NestWithoutDrain(Nest):
    def drain(self, server: Server, timeout: float | None) -> bool:
        return server.in_flight.wait_for_none(timeout)


class NestWithoutReady(Nest):
    def ready(self, server: Server) -> bool:
        return True


class NestWithoutServe(Nest):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.accept_until_stopped(stop)


class NestOfOneForAll(NestWithoutDrain):
    """Its inner one was built before, as the default of a parameter is."""

    def __init__(self, inner: Strategy = ThreadPool(3)) -> None:  # noqa: B008
        self.inner = inner


CLAUSES: dict[str, list[type[Strategy]]] = {
    "nests_pass_on_all_questions": [
        NestWithoutDrain,
        NestWithoutReady,
        NestWithoutServe,
        NestOfOneForAll,
    ],
}
