"""Strategies that each break one clause: what becomes of a connection, and of its errors."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import sys
import threading
import traceback
from typing import Any

from bases import Forks, Threads
from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy


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
        except Exception:
            server.handle_error(request, client_address)


class ClosesOnSuccess(NeverCloses):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
            server.shutdown_request(request)
        except Exception:
            self.kept.append(request)
            server.handle_error(request, client_address)


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


class Swallows(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        with contextlib.suppress(Exception):
            server.finish_request(request, client_address)
        server.shutdown_request(request)


class PrintsInAChild(Forks):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            traceback.print_exc()
        server.shutdown_request(request)


class DiesOfAnError(Strategy):
    def process_request(self, server: Any, request: Any, client_address: Any) -> None:
        server.finish_request(request, client_address)
        server.shutdown_request(request)

    def serve(self, server: Any, stop: StopSignal) -> None:
        server.handle_error = lambda *_: sys.exit("an error")
        server.accept_until_stopped(stop)


class ReportsTooLate(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        failed = False
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            failed = True
        if failed:
            server.handle_error(request, client_address)
        server.shutdown_request(request)


class ReportsInAnotherThread(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            self.start(server.handle_error, request, client_address)
        server.shutdown_request(request)


class Mortal(Threads):
    """Three threads, which are never replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: queue.Queue[Any] = queue.Queue()

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        while len(self.threads) < self.limit:
            self.start(self.work)
        self.jobs.put((server, request, client_address))

    def work(self) -> None:
        while job := self.jobs.get():
            server, *rest = job
            self.handle(server, *rest)

    def handle(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:
            server.handle_error(request, client_address)
        finally:
            server.shutdown_request(request)

    def join(self) -> None:
        for _ in self.threads:
            self.jobs.put(None)
        super().join()


class Counts(Threads):
    """Counts its places itself."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = 0

    def ready(self, server: Server) -> bool:
        return self.busy < self.limit

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.busy += 1
        super().process_request(server, request, client_address)


class KeepsThePlace(Counts):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
            self.busy -= 1
        except Exception:
            self.busy -= 1
            server.handle_error(request, client_address)
        finally:
            server.shutdown_request(request)


class CountsBeforeTheStart(Counts):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        self.busy -= 1
        server.complete_request(request, client_address)


class SwallowsTheStart(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        with contextlib.suppress(RuntimeError):
            super().process_request(server, request, client_address)


class KeepsACopyOnFailure(Threads):
    def __init__(self) -> None:
        super().__init__()
        self.copies: list[Any] = []

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        copy = os.dup(request.fileno())
        self.copies.append(copy)
        super().process_request(server, request, client_address)
        self.copies.remove(copy)
        os.close(copy)


class HandlesInServeOnly(Mortal):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.jobs.put((server, request, client_address))

    def handle(self, server: Any, request: Any, client_address: Any) -> None:
        server.complete_request(request, client_address)

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
    "each_connection_is_handled_once": [TwiceAtOnce, TwiceByACopy, TwiceInARow, EveryFifthNever, LosesOne],
    "each_connection_is_closed": [NeverCloses, ClosesOnSuccess],
    "connections_stay_open_while_handled": [ClosesAtOnce, CutsAfterAMoment],
    "errors_are_reported": [Swallows, PrintsInAChild, DiesOfAnError],
    "errors_are_reported_where_they_are_caught": [ReportsTooLate, ReportsInAnotherThread],
    "base_exceptions_cost_one_connection": [Mortal, KeepsThePlace],
    "a_failed_start_gives_the_connection_back": [
        CountsBeforeTheStart,
        SwallowsTheStart,
        KeepsACopyOnFailure,
    ],
    "handle_request_handles_one": [HandlesInServeOnly, NeedsTheStop],
    "datagrams_are_answered": [TakesSocketsOnly, AnswersDatagramsTwice],
}
