"""Strategies that each break one clause: what becomes of an error."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from .bases import Forks, Pool, Threads


class Swallows(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        with contextlib.suppress(Exception):
            server.finish_request(request, client_address)
        server.shutdown_request(request)


class SwallowsWhatIsNoException(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            server.handle_error(request, client_address)
        server.shutdown_request(request)


class SwallowsConnectionErrors(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                server.finish_request(request, client_address)
        except BaseException:  # noqa: BLE001
            server.handle_error(request, client_address)
        server.shutdown_request(request)


class ReportsEachErrorOnce(Threads):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[type] = set()

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except BaseException as error:  # noqa: BLE001
            if type(error) not in self.seen:
                self.seen.add(type(error))
                server.handle_error(request, client_address)
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


class ReportsExitsTooLate(Threads):
    def run(self, server: Any, request: Any, client_address: Any) -> None:
        failed = False
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            server.handle_error(request, client_address)
        except BaseException:  # noqa: BLE001
            failed = True
        if failed:
            server.handle_error(request, client_address)
        server.shutdown_request(request)


class MortalByCtrlC(Pool):
    def work(self) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            super().work()

    def handle(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001
            server.handle_error(request, client_address)
        finally:
            server.shutdown_request(request)


class Mortal(Pool):
    """Threads that are never replaced."""

    def handle(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            server.handle_error(request, client_address)
        finally:
            server.shutdown_request(request)


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
        except Exception:  # noqa: BLE001
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


class QueuesBeforeTheStart(Pool):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.jobs.put((server, request, client_address))
        if len(self.threads) < self.limit:
            self.start(self.work)


class MortalCrowd(Mortal):
    limit = 50


CLAUSES: dict[str, list[type[Strategy]]] = {
    "errors_are_reported": [
        Swallows,
        SwallowsWhatIsNoException,
        SwallowsConnectionErrors,
        ReportsEachErrorOnce,
        PrintsInAChild,
        DiesOfAnError,
    ],
    "errors_are_reported_where_they_are_caught": [
        ReportsTooLate,
        ReportsExitsTooLate,
        ReportsInAnotherThread,
    ],
    "base_exceptions_cost_one_connection": [Mortal, MortalByCtrlC, MortalCrowd, KeepsThePlace],
    "a_failed_start_gives_the_connection_back": [
        CountsBeforeTheStart,
        QueuesBeforeTheStart,
        SwallowsTheStart,
        KeepsACopyOnFailure,
    ],
}
