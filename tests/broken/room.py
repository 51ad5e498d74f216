"""Strategies that each break one clause: how many connections are accepted, and when."""

from __future__ import annotations

import select
import threading
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy

from .bases import Pool, Threads


class Queues(Pool):
    def ready(self, server: Server) -> bool:
        return True


class QueuesMore(Queues):
    limit = 20


class CountsWhatItHandles(Pool):
    """Counts a connection when a thread takes it up, not when it was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = 0

    def ready(self, server: Server) -> bool:
        return self.busy <= self.limit

    def handle(self, server: Any, request: Any, client_address: Any) -> None:
        self.busy += 1
        super().handle(server, request, client_address)
        self.busy -= 1


class WaitsForTheHandler(Threads):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        super().process_request(server, request, client_address)
        self.threads[-1].join()


class BlocksOnASemaphore(Threads):
    def __init__(self) -> None:
        super().__init__()
        self.places = threading.Semaphore(3)

    def ready(self, server: Server) -> bool:
        return True

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.places.acquire()
        super().process_request(server, request, client_address)

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        super().run(server, request, client_address)
        self.places.release()


class WaitsForRoom(Threads):
    def ready(self, server: Server) -> bool:
        return True

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        server.in_flight.wait_until(lambda: len(server.in_flight) <= self.limit, None)
        super().process_request(server, request, client_address)


class WaitsASecondForRoom(BlocksOnASemaphore):
    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if not self.places.acquire(timeout=1.0):
            raise RuntimeError("no room")
        Threads.process_request(self, server, request, client_address)


class FailsWhenFull(Threads):
    def ready(self, server: Server) -> bool:
        return True

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if len(server.in_flight) > self.limit:
            raise RuntimeError("no room")
        super().process_request(server, request, client_address)


class KeepsThePlaceAfterAnError(Threads):
    lost = 0

    def ready(self, server: Server) -> bool:
        return len(server.in_flight) + self.lost < self.limit

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        try:
            server.finish_request(request, client_address)
        except Exception:  # noqa: BLE001
            self.lost += 1
            server.handle_error(request, client_address)
        finally:
            server.shutdown_request(request)
            server.in_flight.remove(request)


class OnceFullAlwaysFull(Threads):
    full = False

    def ready(self, server: Server) -> bool:
        self.full = self.full or not super().ready(server)
        return not self.full


class NeverCountsDown(Threads):
    def ready(self, server: Server) -> bool:
        return len(self.threads) < 8


class Spins(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set():
            server.accept_one()


class SpinsWhileFull(Threads):
    def serve(self, server: Server, stop: StopSignal) -> None:
        server.mark_serving()
        while not stop.is_set():
            select.select([server, *stop.filenos()], [], [])
            server.accept_one()


CLAUSES: dict[str, list[type[Strategy]]] = {
    "room_comes_before_the_accept": [Queues, QueuesMore, CountsWhatItHandles, FailsWhenFull],
    "process_request_does_not_wait_for_room": [
        BlocksOnASemaphore,
        WaitsForRoom,
        WaitsASecondForRoom,
        WaitsForTheHandler,
    ],
    "room_that_comes_back_is_used": [
        OnceFullAlwaysFull,
        NeverCountsDown,
        KeepsThePlaceAfterAnError,
    ],
    "waiting_costs_nothing": [Spins, SpinsWhileFull],
}
