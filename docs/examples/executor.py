"""A strategy over any `concurrent.futures.Executor` that runs its tasks in this process."""

from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from serverstrategy import Server, Strategy


class OnExecutor(Strategy):
    """Hands each connection to an executor, which is made for the first one."""

    multithread = True

    def __init__(self, max_workers: int) -> None:
        self.max_workers = max_workers
        self._executor: Executor | None = None

    def make_executor(self) -> Executor:
        return ThreadPoolExecutor(self.max_workers)

    def ready(self, server: Server) -> bool:
        return len(server.in_flight) < self.max_workers

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        if self._executor is None:
            self._executor = self.make_executor()
        self._executor.submit(self._complete, server, request, client_address)

    def _complete(self, server: Server, request: Any, client_address: Any) -> None:
        # `submit` queues a task before it starts a thread for it. If that fails, the server gets
        # the connection back, but the next thread still finds the task.
        if request in server.in_flight:
            server.complete_request(request, client_address)

    def drain(self, server: Server, timeout: float | None) -> bool:
        ended = server.in_flight.wait_for_none(timeout)
        if ended and self._executor is not None and not server.in_flight.is_here():
            self._executor.shutdown()  # waits for its threads, which have nothing left to do
            self._executor = None
        return ended
