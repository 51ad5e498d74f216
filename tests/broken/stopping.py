"""Strategies that each break one clause: when accepting ends, and when the work has."""

from __future__ import annotations

import os
import select
import threading
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from .bases import Forks, Threads


class StopsAfterOne(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        select.select([server, *stop.filenos()], [], [])
        server.accept_one()


class StopsAfterFifty(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set() and len(self.threads) < 50:
            select.select([server, *stop.filenos()], [], [], 0.05)
            server.accept_one()


class StopsAfterAnIdleSecond(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set() and select.select([server, *stop.filenos()], [], [], 1.0)[0]:
            server.accept_one()


class StopsWhenFull(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set() and self.ready(server):
            select.select([server, *stop.filenos()], [], [], 0.05)
            server.accept_one()


class AcceptsElsewhere(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        threading.Thread(target=server.accept_until_stopped, args=(stop,), daemon=True).start()


class Deaf(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while True:
            if select.select([server], [], [], 0.05)[0]:
                server.accept_one()


class HearsAfterTheNext(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set():
            select.select([server], [], [])
            server.accept_one()


class HearsAfterItsOwn(Strategy):
    """Hears the stop while it handles a connection, but not while it waits for one."""

    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set():
            select.select([server], [], [])
            server.accept_one()


class HearsWhenEmpty(Threads):
    """Deaf from the moment on at which it was full."""

    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        full = False
        while full or not stop.is_set():
            if select.select([server], [], [], 0.05)[0]:
                server.accept_one()
            full = full or not self.ready(server)


class DeafWhileFull(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not (stop.is_set() and self.ready(server)):
            if select.select([server], [], [], 0.05)[0]:
                server.accept_one()


class ObeysTheWhole(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.accept_until_stopped(stop._parent or stop)


class ObeysTheServer(Threads):
    def serve(self, server: Any, stop: StopSignal) -> None:
        server.mark_serving()
        while not server._serverstrategy.serving.is_stopping():
            if select.select([server], [], [], 0.05)[0]:
                server.accept_one()


class JoinsInServe(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        super().serve(server, stop)
        self.join()

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            server.handle_error(request, client_address)
        server.shutdown_request(request)


class ChildrenCannotAsk(Forks):
    def serve(self, server: Server, stop: StopSignal) -> None:
        self.stop = stop
        super().serve(server, stop)

    def become_child(self, server: Server) -> None:
        super().become_child(server)
        for fd in self.stop.filenos():
            os.close(fd)


CLAUSES: dict[str, list[type[Strategy]]] = {
    "serve_lasts_until_the_stop": [
        StopsAfterOne,
        StopsAfterFifty,
        StopsAfterAnIdleSecond,
        StopsWhenFull,
        AcceptsElsewhere,
    ],
    "serve_hears_the_stop": [
        Deaf,
        HearsAfterTheNext,
        HearsAfterItsOwn,
        HearsWhenEmpty,
        DeafWhileFull,
    ],
    "serve_obeys_the_signal_it_was_given": [
        ObeysTheWhole,
        ObeysTheServer,
    ],
    "a_handler_may_shut_down": [
        JoinsInServe,
        ChildrenCannotAsk,
    ],
}
