"""Strategies that each break one clause: what becomes of each connection."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from .bases import Forks, Pool, Threads


class TwiceAtOnce(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.start(self.run, server, request, client_address)
        self.start(self.run, server, request, client_address)


class TwiceByACopy(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        if isinstance(request, socket.socket):
            server.complete_request(request.dup(), client_address)
        server.complete_request(request, client_address)


class TwiceInARow(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        server.complete_request(request, client_address)
        server.complete_request(request, client_address)


class AgainAfterAnError(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            server.complete_request(request, client_address)
        else:
            server.shutdown_request(request)


class EveryFifthNever(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        if len(self.threads) % 5 == 4:
            server.refuse_request(request, client_address)
        else:
            server.complete_request(request, client_address)


class LosesOne(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if len(self.threads) == 2:
            self.lost = request
            self.threads.append(threading.Thread())
        else:
            super().process_request(server, request, client_address)

    def join(self) -> None:
        self.threads.clear()


class NeverCloses(Threads):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        self.kept.append(request)
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            server.handle_error(request, client_address)


class ClosesOnSuccess(NeverCloses):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
            server.shutdown_request(request)
        except Exception:  # noqa: BLE001
            self.kept.append(request)
            server.handle_error(request, client_address)


class ParentKeepsIt(Forks):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.kept.append(request.dup())
        super().process_request(server, request, client_address)


class ClosesOnAnException(NeverCloses):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        self.kept.append(request)
        with contextlib.suppress(SystemExit):
            server.finish_request(request, client_address)
            server.shutdown_request(request)


class KeepsOneOfFive(Forks):
    kept: Any = None

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if len(self.threads) % 5 == 4:
            self.kept = request.dup()
        super().process_request(server, request, client_address)


class WaitsForACouple(Threads):
    """Starts its threads two by two."""

    first: Any = None

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if self.first is None:
            self.first = (server, request, client_address)
            return
        first, self.first = self.first, None
        self.start(self.run, *first)
        self.start(self.run, server, request, client_address)


class RefusesACrowd(Threads):
    limit = 20

    def ready(self, server: Server) -> bool:
        return True

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if len(server.in_flight) > self.limit:
            server.refuse_request(request, client_address)
        else:
            super().process_request(server, request, client_address)


class ClosesItsCopy(Threads):
    """As a parent does after a fork; but here there is only one."""

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        super().process_request(server, request, client_address)
        time.sleep(0.05)  # the thread has begun
        server.close_request(request)


class KeepsTheLastTwo(Threads):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.requests.append(request)
        with contextlib.suppress(OSError, IndexError):
            self.requests[-3].shutdown(socket.SHUT_RDWR)
        super().process_request(server, request, client_address)


class CutsAfterASecond(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        def cut() -> None:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

        super().process_request(server, request, client_address)
        timer = threading.Timer(1.0, cut)
        timer.start()
        self.threads.append(timer)


class ClosesAtOnce(Threads):
    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        super().process_request(server, request, client_address)
        server.shutdown_request(request)


class CutsAfterAMoment(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        def cut() -> None:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

        super().process_request(server, request, client_address)
        timer = threading.Timer(0.1, cut)
        timer.start()
        self.threads.append(timer)


class HandlesInServeOnly(Pool):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.jobs.put((server, request, client_address))

    def serve(self, server: Any, stop: StopSignal) -> None:
        for _ in range(self.limit):
            self.start(self.work)
        server.accept_until_stopped(stop)


class NeedsTheStop(Threads):
    stop: Any = None

    def serve(self, server: Any, stop: StopSignal) -> None:
        self.stop = stop
        server.accept_until_stopped(stop)

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if not self.stop.is_set():
            super().process_request(server, request, client_address)


class TakesSocketsOnly(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        request.setblocking(True)
        super().process_request(server, request, client_address)


class AnswersDatagramsTwice(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        if isinstance(request, tuple):
            server.complete_request(request, client_address)
        server.complete_request(request, client_address)


CLAUSES: dict[str, list[type[Strategy]]] = {
    "each_connection_is_handled_once": [
        TwiceAtOnce,
        TwiceByACopy,
        TwiceInARow,
        AgainAfterAnError,
        EveryFifthNever,
        LosesOne,
        RefusesACrowd,
        WaitsForACouple,
    ],
    "each_connection_is_closed": [
        NeverCloses,
        ClosesOnSuccess,
        ClosesOnAnException,
        ParentKeepsIt,
        KeepsOneOfFive,
    ],
    "connections_stay_open_while_handled": [
        ClosesAtOnce,
        ClosesItsCopy,
        CutsAfterAMoment,
        CutsAfterASecond,
        KeepsTheLastTwo,
    ],
    "handle_request_handles_one": [HandlesInServeOnly, NeedsTheStop],
    "datagrams_are_answered": [TakesSocketsOnly, AnswersDatagramsTwice],
}
