"""Worker processes that accept for themselves."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

from serverstrategy.ownership import check_strategy, nest
from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server, Strategy
from serverstrategy.waiter import Waiter

from ._arguments import at_least, cpu_count, why_no_fork
from ._children import Children
from ._worker import work
from .synchronous import Synchronous

_logger = logging.getLogger("serverstrategy")

# A worker that ends this young, in seconds, has not served: its place waits before it is filled
# again, twice as long each time, so that a worker that cannot start does not become a fork bomb.
_YOUNG = 1.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

# What a worker may need to exit after it was told to cut what is left, in seconds.
_CUT_TIME = 1.0


class Prefork(Strategy):
    """Forks a number of workers ahead, each of which accepts and handles by itself.

    For work that needs more than one processor, at any rate. A worker that dies is replaced; when
    this process is killed, its workers are gone within a second. `handle_request` does not start
    workers: it handles in this process, in the way of `inner`.

    Args:
        workers: how many processes. By default the number of processors.
        inner: the strategy that each worker runs. By default `Synchronous()`.

    Raises:
        TypeError, ValueError: `workers` is no int of at least 1; `inner` is no strategy, or one
            that cannot work in a worker.
    """

    multiprocess = True

    def __init__(self, workers: int | None = None, inner: Strategy | None = None) -> None:
        at_least(1, workers, "workers", or_none=True)
        self.workers = cpu_count() if workers is None else workers
        self.inner = _check_inner(Synchronous() if inner is None else inner)
        self._children = Children()
        # By the worker's pid: those that accept, and those that were told to stop.
        self._signals: dict[int, StopSignal] = {}
        self._retired: dict[int, StopSignal] = {}
        self._pause = 0.0
        self._not_before = 0.0
        self._is_worker = False
        self._said = False
        self._all_drained = True

    @property
    def multithread(self) -> bool:  # type: ignore[override]
        """Whether the handlers of one worker may run in several threads."""
        return self.inner.multithread

    @property
    def datagrams(self) -> bool:  # type: ignore[override]
        """Whether `inner` can handle datagrams."""
        return self.inner.datagrams

    @property
    def unsupported(self) -> str | None:  # type: ignore[override]
        """Why not here: the platform has no fork, or cannot run `inner`."""
        return why_no_fork("Prefork") or self.inner.unsupported

    def serve(self, server: Server, stop: StopSignal) -> None:
        """Start the workers, and replace those that die, until `stop`.

        Raises:
            OSError: no file descriptor is left to begin with.
        """
        # Threads that `handle_request` may have started do not survive a fork.
        self.inner.drain(server, server.grace_period)
        waiter = Waiter()
        try:
            with waiter:
                self._supervise(server, stop, waiter)
        finally:
            waiter.close()
            self._retired |= self._signals
            self._signals = {}
            for signal in self._retired.values():
                signal.set()

    def _supervise(self, server: Server, stop: StopSignal, waiter: Waiter) -> None:
        self._all_drained = True
        self._pause = self._not_before = 0.0
        for fd in stop.filenos():
            waiter.watch(fd)
        while not stop.is_set():
            due = self._fill(server, stop, waiter)
            if self._signals:
                server.mark_serving()
            server.wait_with_watched(waiter, due)

    def ready(self, server: Server) -> bool:
        """Whether `inner` has room."""
        return self.inner.ready(server)

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        """Have `inner` handle the connection in this process: a worker's, or `handle_request`'s."""
        if not (self._is_worker or self._said):
            self._said = True
            _logger.warning(
                "handle_request() handles in this process: only serve_forever() starts workers"
            )
        self.inner.process_request(server, request, client_address)

    def drain(self, server: Server, timeout: float | None) -> bool:
        """Wait for the workers, and end those that take longer than `timeout` seconds."""
        ended = False
        try:
            ended = self._children.wait(timeout)
        finally:
            if not ended:
                self._cut()
        self._children.close()
        ended = ended and self._all_drained
        self._all_drained = True  # it has been said, and who asks once more asks what is left
        return self.inner.drain(server, timeout) and ended

    def _fill(self, server: Server, stop: StopSignal, waiter: Waiter) -> float | None:
        """Start the workers that are missing.

        Returns:
            Seconds after which to try again; None if all are there.
        """
        while len(self._signals) < self.workers and not stop.is_set():
            due = self._not_before - time.monotonic()
            if due > 0.0:
                return due
            try:
                self._start(server, stop, waiter)
            except OSError as error:
                _logger.warning("no worker could be started: %s", error)
                self._postpone()
        return None

    def _start(self, server: Server, stop: StopSignal, waiter: Waiter) -> None:
        signal = stop.child()

        def note(pid: int) -> None:
            self._signals[pid] = signal
            server.add_watched(self._children)

        try:
            self._children.fork(
                partial(self._work, server, signal, waiter),
                note,
                partial(self._end, server, stop, signal, time.monotonic()),
            )
        except OSError:
            signal.close()
            raise

    def _work(self, server: Server, signal: StopSignal, waiter: Waiter) -> int:
        waiter.close()
        self._is_worker = True
        return work(server, signal, self.inner)

    def _end(
        self,
        server: Server,
        stop: StopSignal,
        signal: StopSignal,
        started: float,
        pid: int,
        status: int,
    ) -> None:
        if not self._children.pids():
            server.remove_watched(self._children)
        signal.close()
        self._signals.pop(pid, None)
        self._retired.pop(pid, None)
        if stop.is_set():
            self._all_drained = self._all_drained and status == 0
            return
        how = f"was ended by signal {-status}" if status < 0 else f"exited with {status}"
        _logger.warning("worker %d %s: replacing it", pid, how)
        if time.monotonic() - started < _YOUNG:
            self._postpone()
        else:
            self._pause = 0.0

    def _postpone(self) -> None:
        self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self._pause))
        self._not_before = time.monotonic() + self._pause

    def _cut(self) -> None:
        """Have the workers that are left cut what they have in flight; kill who does not exit."""
        for signal in (*self._signals.values(), *self._retired.values()):
            signal.cut()
        if not self._children.wait(_CUT_TIME):
            for pid in self._children.pids():
                _logger.warning("closing: killed worker %d", pid)
            self._children.kill()
            self._children.wait(None)


def _check_inner(inner: Strategy) -> Strategy:
    check_strategy(inner)
    if any(isinstance(part, Prefork) for part in nest(inner)):
        raise ValueError(
            "Prefork inside Prefork cannot work: a worker accepts for itself, and a Prefork has "
            "others accept; give the outer one more workers"
        )
    return inner
