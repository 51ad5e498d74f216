"""Worker processes that accept for themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from serverstrategy.ownership import nest
from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy
from serverstrategy.waiter import Waiter

from ._arguments import at_least, cpu_count, seconds, why_no_fork
from ._charge import Charge
from ._children import Children
from ._layer import Layer
from ._plan import check_hooks, check_room, refuse_bounds
from ._scoreboard import Scoreboard
from ._supervisor import Supervisor
from ._worker_status import workers_status
from ._worker_view import as_view
from .sizing import Sizing, as_sizing
from .synchronous import Synchronous
from .worker import Worker

_logger = logging.getLogger("serverstrategy")

# How many workers there is room for, beyond twice as many as there are to be at first.
_ROOM = 200
_ROOM_IN_A_NEST = 16


class Prefork(Layer):
    """Forks a number of workers ahead, each of which accepts and handles by itself.

    For work that needs more than one processor, at any rate. A worker that dies is replaced; when
    this process is killed, its workers are gone within a second. `handle_request` does not start
    workers: it handles in this process, in the way of `inner`.

    Args:
        workers: how many processes, or a `Sizing`, such as `Adaptive`, that decides it. By default
            the number of processors. Can be assigned while the server serves.
        inner: the strategy that each worker runs. By default `Synchronous()`.
        max_requests: a worker that has accepted about so many connections is replaced; None: never
            for that. Its successor is up before it stops.
        max_requests_jitter: how many more than that, at most, by lot for each worker.
        max_memory: a worker that has more bytes of resident memory after a connection than these
            is replaced in the same way. Memory that workers share counts for each.
        timeout: a worker of which a connection, or the start, takes longer than these seconds is
            ended and replaced; None: none is. A `Prefork` inside that has none of its own has this
            one. See `docs/operating-prefork.md`.
        max_restarts: how many workers may die before they have accepted for a second, during
            `restart_window`; one more, and `serve_forever` raises. None: any number.
        restart_window: for how many seconds such a death counts.
        reload_step: how many workers are replaced at the same time.
        on_worker_start: called in each worker, before it accepts. What it raises ends the worker.
        on_worker_exit: called in the parent with a worker that has ended and its exit status,
            negative: the number of a signal. What it raises is logged.
        on_worker_timeout: called in the parent with a worker that is to be ended because of
            `timeout`. What it raises is logged.

    Raises:
        TypeError, ValueError: a count is no int, or too small; `inner` is no strategy; a hook
            cannot be called; `max_requests` or `max_memory` is given, but not to the innermost
            `Prefork`, whose workers have the connections.
    """

    def __init__(
        self,
        workers: int | Sizing | None = None,
        inner: Strategy | None = None,
        *,
        max_requests: int | None = None,
        max_requests_jitter: int = 0,
        max_memory: int | None = None,
        timeout: float | None = None,
        max_restarts: int | None = 10,
        restart_window: float = 60.0,
        reload_step: int = 1,
        on_worker_start: Callable[[Worker], object] | None = None,
        on_worker_exit: Callable[[Worker, int], object] | None = None,
        on_worker_timeout: Callable[[Worker], object] | None = None,
    ) -> None:
        self._workers = cpu_count() if workers is None else workers
        self._sizing = as_sizing(self._workers)
        self.max_requests = at_least(1, max_requests, "max_requests", or_none=True)
        self.max_requests_jitter = at_least(0, max_requests_jitter, "max_requests_jitter")
        self.max_memory = at_least(1, max_memory, "max_memory", or_none=True)
        self.max_restarts = at_least(0, max_restarts, "max_restarts", or_none=True)
        self.reload_step = at_least(1, reload_step, "reload_step")
        self.timeout = seconds(timeout, "timeout", or_none=True)
        self.restart_window = seconds(restart_window, "restart_window")
        check_hooks(on_worker_start, on_worker_exit, on_worker_timeout)
        super().__init__(Synchronous() if inner is None else inner)
        if self._inside():
            refuse_bounds(self.inner, max_requests=max_requests, max_memory=max_memory)
        self.on_worker_start = on_worker_start
        self.on_worker_exit = on_worker_exit
        self.on_worker_timeout = on_worker_timeout
        self._children = Children()
        self._charges: dict[int, Charge] = {}
        self._supervisor: Supervisor | None = None
        self._board: Scoreboard | None = None
        self._outer_board: Scoreboard | None = None
        self._outer_timeout: float | None = None
        self._waiter: Waiter | None = None
        self._is_worker = False
        self._said = False

    @property
    def workers(self) -> int | Sizing:
        """How many workers there are to be, or what decides it.

        Can be assigned, also while the server serves, and in a signal handler.

        Raises:
            TypeError, ValueError: it is neither an int of at least 1 nor a `Sizing`, or more than
                the scoreboard of the server that serves has room for.
        """
        return self._workers

    @workers.setter
    def workers(self, workers: int | Sizing) -> None:
        sizing = as_sizing(workers)
        if self._waiter is not None and self._board is not None:
            check_room(sizing, self._board)
        self._workers, self._sizing = workers, sizing
        if self._supervisor is not None:
            self._supervisor.size_changed()
        self._ring()

    @property
    def sizing(self) -> Sizing:
        """What decides how many workers there are to be."""
        return self._sizing

    @property
    def hang_timeout(self) -> float | None:
        """The `timeout`, in seconds; without one, that of the `Prefork` in which this one runs."""
        return self._outer_timeout if self.timeout is None else self.timeout

    def reload(self) -> None:
        """Have each worker replaced by a new one, which is up before the old one stops accepting.

        Returns at once. From any thread, signal handler or worker of this server. Without effect
        while nobody serves.
        """
        if self._board is not None:
            self._board.next_generation()
            self._ring()

    @property
    def multiprocess(self) -> bool:  # type: ignore[override]
        """Whether handlers may run in several processes: they always do."""
        return True

    @property
    def unsupported(self) -> str | None:  # type: ignore[override]
        """Why not here: the platform has no fork, or cannot run `inner`."""
        return why_no_fork("Prefork") or super().unsupported

    def serve(self, server: Server, stop: StopSignal) -> None:
        """Start the workers, and keep as many as there are to be, until `stop`.

        Raises:
            OSError: no file descriptor is left to begin with.
            ValueError: there are to be more workers than the scoreboard has room for, which is
                that of the last time while its workers still drain.
            WorkerStartError: the first workers fail.
            CrashLoopError: too many die young.
        """
        # Threads that `handle_request` may have started do not survive a fork.
        self.inner.drain(server, server.grace_period)
        if self._outer_board is not None:
            self._board = self._outer_board
        elif self._board is None or not self._charges:  # else some of the last time still drain
            self._board = Scoreboard(self._capacities())
        check_room(self._sizing, self._board)
        workers = self._charges, self._children
        supervisor = self._supervisor = Supervisor(self, *workers, server, stop, self._board)
        waiter = self._waiter = Waiter()
        try:
            with waiter:
                supervisor.run(waiter)
        finally:
            self._waiter = None
            waiter.close()
            supervisor.stop()

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        """Have `inner` handle the connection in this process: a worker's, or `handle_request`'s."""
        if not (self._is_worker or self._said):
            self._said = True
            _logger.warning(
                "handle_request() handles in this process: only serve_forever() starts workers"
            )
        super().process_request(server, request, client_address)

    def drain(self, server: Server, timeout: float | None) -> bool:
        """Wait for the workers, and end those that take longer than `timeout` seconds."""
        supervisor = self._supervisor
        ended = supervisor is None or supervisor.drain(timeout)
        return super().drain(server, timeout) and ended

    def status(self, server: Server) -> dict[str, Any]:
        """Add what the workers do, from the scoreboard: the same in each process of the server.

        Returns:
            "workers": for each, "pid"; "number", its place from 0; "state": starting, waiting,
            busy, closing or retiring; "generation", how often all had been replaced before it;
            "age" and "since" in seconds, since it was forked, and since a connection last began or
            ended; how many connections it has "accepted", with how many "errors", and how many are
            "in_flight"; "inner", the status of the strategy inside.
        """
        view = as_view(server)
        board = self._board if view is None else view.board
        workers = [] if board is None else workers_status(board, self.inner)
        if workers or view is not None:
            return {"strategy": repr(self), "workers": workers}
        return super().status(server) | {"workers": workers}

    def become_worker(self, board: Scoreboard | None) -> None:
        """Be the copy of a worker, in which a `Prefork` inside uses `board` and the timeout."""
        self._is_worker = True
        for part in self._inside():
            part._outer_board = board
            part._outer_timeout = self.hang_timeout

    def cut_inside(self) -> None:
        """See `Plan.cut_inside`."""
        for part in self._inside():
            if part._supervisor is not None:
                part._supervisor.drain(0.0)

    def _inside(self) -> list[Prefork]:
        return [part for part in nest(self.inner) if isinstance(part, Prefork)]

    def _capacities(self) -> tuple[int, ...]:
        """How many workers there may be, and how many in each `Prefork` inside, and so on."""
        parts = [self, *self._inside()]
        room = _ROOM if len(parts) == 1 else _ROOM_IN_A_NEST
        return tuple(2 * part.sizing.most + room for part in parts)

    def _ring(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            waiter.wake()
