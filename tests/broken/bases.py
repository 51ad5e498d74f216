"""Plain strategies that keep the contract, for the broken and the slow ones to build upon."""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import Any

from serverstrategy.strategy import Server, Strategy


class Threads(Strategy):
    """A thread for each connection, three at the same time."""

    multithread = True
    limit = 3

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def ready(self, server: Server) -> bool:
        return len(server.in_flight) < self.limit

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        self.start(self.run_and_leave, server, request, client_address)

    def run_and_leave(self, server: Server, request: Any, client_address: Any) -> None:
        # A `run` without `complete_request` is to break what it is about, and not to lose places.
        try:
            self.run(server, request, client_address)
        finally:
            server.in_flight.remove(request)

    def start(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        thread.start()
        self.threads.append(thread)

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        server.complete_request(request, client_address)

    def drain(self, server: Server, timeout: float | None) -> bool:
        ended = server.in_flight.wait_for_none(timeout)
        if ended:
            self.join()
        return ended

    def join(self) -> None:
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join()
        self.threads.clear()


class Pool(Threads):
    """Threads that take one connection after the other, started with the first one."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        while len(self.threads) < self.limit:
            self.start(self.work)
        self.jobs.put((server, request, client_address))

    def work(self) -> None:
        while job := self.jobs.get():
            try:
                self.handle(*job)
            finally:
                server, request, _ = job
                server.in_flight.remove(request)

    def handle(self, server: Any, request: Any, client_address: Any) -> None:
        server.complete_request(request, client_address)

    def join(self) -> None:
        for _ in self.threads:
            self.jobs.put(None)
        super().join()


class Forks(Strategy):
    """A process for each connection, three at the same time, each with a thread that reaps it."""

    multiprocess = True
    limit = 3

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def ready(self, server: Server) -> bool:
        return len(server.in_flight) < self.limit

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self.become_child(server)
                self.run(server, request, client_address)
            finally:
                os._exit(0)
        server.in_flight.hand_to_child(request, pid)
        server.close_request(request)
        thread = threading.Thread(target=self.reap, args=(server, request, client_address, pid))
        thread.start()
        self.threads.append(thread)

    def become_child(self, server: Server) -> None:
        server.become_child()

    def run(self, server: Any, request: Any, client_address: Any) -> None:
        server.complete_request(request, client_address)

    def reap(self, server: Server, request: Any, client_address: Any, pid: int) -> None:
        os.waitpid(pid, 0)
        server.end_child(request, client_address)

    def drain(self, server: Server, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self.threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return server.in_flight.wait_for_none(0.0)
