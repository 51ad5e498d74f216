"""Keeps the workers that there are to be: has them started, replaced and ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server
from serverstrategy.waiter import Waiter, shortest

from ._charge import Charge
from ._children import Children
from ._growing_pause import GrowingPause
from ._hang import HangWatch, report_hung, report_stack
from ._plan import Plan
from ._restarts import CrashLoopError, Restarts, WorkerStartError
from ._scoreboard import Scoreboard
from ._staff import Staff
from ._worker import NO_THREAD
from .sizing import ask

_logger = logging.getLogger("serverstrategy")

_NOT_STARTED = "no worker could be started: %s"


class Supervisor:
    """Keeps the workers of one `Prefork`, from its `serve` to the end of its `drain`.

    A worker that is to be replaced (its generation is over, it asks for it) goes on until there
    are as many others ready as there are to be: its successor is up before it stops accepting.

    Args:
        plan: what is wanted.
        charges: each worker by its pid, those included that an earlier `serve` has left draining.
        children: where the workers are watched, as processes.
        server: for which they accept.
        stop: ends it.
        board: where they tell what they do.
    """

    def __init__(
        self,
        plan: Plan,
        charges: dict[int, Charge],
        children: Children,
        server: Server,
        stop: StopSignal,
        board: Scoreboard,
    ) -> None:
        self._plan = plan
        self._server = server
        self._stop = stop
        self._board = board
        self._staff = Staff(plan, charges, children, server, stop, board, self._note_end)
        self._hang_watch = HangWatch(plan.hang_timeout)
        self._restarts = Restarts(plan.max_restarts, plan.restart_window)
        self._shortage = GrowingPause()
        self._failure: Exception | None = None
        self._has_served = False
        self._is_marked = False
        self._is_full = False
        self._target = 0
        self._ask_at = 0.0
        self._all_drained = True
        self._telling = threading.Lock()

    def run(self, waiter: Waiter) -> None:
        """Keep the workers until the stop.

        Args:
            waiter: waits for what is to be done. Workers wake it.

        Raises:
            WorkerStartError: the first workers fail.
            CrashLoopError: too many die young.
        """
        for fd in self._stop.filenos():
            waiter.watch(fd)
        while not self._stop.is_set():
            if self._failure is not None:
                raise self._failure
            self._server.wait_with_watched(waiter, self._attend(waiter))

    def size_changed(self) -> None:
        """Ask at the next look how many workers there are to be."""
        self._ask_at = 0.0

    def stop(self) -> None:
        """Have all workers stop accepting."""
        self._staff.stop()

    def drain(self, timeout: float | None) -> bool:
        """Wait for the workers, and end those that take longer than `timeout` seconds.

        Returns:
            Whether all have ended by themselves, and with status 0 since the stop.
        """
        ended = self._staff.end(timeout, self._attend_draining) and self._all_drained
        self._all_drained = True  # it has been said, and who asks once more asks what is left
        since = self._server.drain_began
        if since is not None and self._telling.acquire(blocking=False):  # once, and never released
            self._server.note_fates(self._board.fates(since))
        return ended

    def _attend_draining(self) -> float | None:
        self._abort_hung()
        return shortest(self._hang_watch.tick(), self._attend_endings())

    # While it serves

    def _attend(self, waiter: Waiter) -> float | None:
        """Do what is due; return the seconds until the next time, None: when something happens."""
        self._abort_hung()
        dues = [self._level(waiter), self._plan.sizing.interval]
        dues.append(self._hang_watch.due([each.slot for each in self._staff.all()]))
        # Last, since there are more endings by now.
        dues.append(self._attend_endings())
        self._note_ready([each for each in self._staff.all() if each.is_ready()])
        return shortest(*dues)

    def _attend_endings(self) -> float | None:
        endings = [each.ending for each in self._staff.all()]
        return shortest(*[each.attend() for each in endings if each is not None])

    def _note_ready(self, ready: list[Charge]) -> None:
        if not ready:
            return
        # A fork is no success: what it made may be refused a thread.
        self._shortage.note_success(max(each.worker.started for each in ready))
        if not self._is_marked:
            self._is_marked = self._has_served = True
            self._server.mark_serving()

    def _abort_hung(self) -> None:
        for charge in self._staff.all():
            if not charge.is_hung and self._hang_watch.is_hung(charge.slot):
                report_hung(charge)
                self._call(self._plan.on_worker_timeout, charge.worker)
                charge.abort()

    def _level(self, waiter: Waiter) -> float | None:
        """Retire the workers that are too many or outdated, and start those that are missing."""
        target = self._find_target(self._staff.staying())
        # First, since the next of the outdated ones is replaced while this one finishes its work.
        self._retire_surplus(target)
        outdated = sum(map(self._is_outdated, self._staff.staying()))
        return self._start_missing(target + min(self._plan.reload_step, outdated), waiter)

    def _find_target(self, staying: list[Charge]) -> int:
        sizing = self._plan.sizing
        now = time.monotonic()
        if now >= self._ask_at:
            self._ask_at = now + (sizing.interval or 0.0)
            # Those that are up only until another one has gone, its successors, are none too many.
            workers = min(len(staying), self._target)
            spare = sum(self._board.is_spare(each.slot) for each in staying)
            self._target = ask(sizing, workers, min(workers, spare))
            if self._plan.sizing is not sizing:  # a signal handler, or a thread, has changed it
                self._ask_at = 0.0
        return self._target

    def _start_missing(self, wanted: int, waiter: Waiter) -> float | None:
        """Start them; return the seconds until the next attempt, None: when something happens."""
        if not self._has_served and any(each.is_hung for each in self._staff.all()):
            return None  # until it has ended, which is a failure
        while len(self._staff.staying()) < wanted and not self._stop.is_set():
            due = max(self._restarts.remaining(), self._shortage.remaining())
            if due > 0.0:
                return due
            try:
                if not self._staff.start(waiter.wake):
                    if not self._is_full:
                        _logger.warning(_NOT_STARTED, "until one ends the scoreboard has no room")
                    self._is_full = True
                    return None  # until one has ended
                self._is_full = False
            except OSError as error:
                self._shortage.note_failure(_NOT_STARTED, error)
        return None

    def _retire_surplus(self, target: int) -> None:
        staying = self._staff.staying()
        surplus = max(0, len(staying) - target)
        ready = sum(each.is_ready() for each in staying)
        # The outdated ones first, then those that have least to do, then the youngest.
        ranked = sorted(
            staying,
            key=lambda each: (
                not self._is_outdated(each),
                self._board.in_flight(each.slot),
                each.worker.age,
            ),
        )
        for charge in ranked[:surplus]:
            if charge.is_ready():
                if ready <= target:
                    continue
                ready -= 1
            charge.retire(self._server.grace_period)

    def _is_outdated(self, charge: Charge) -> bool:
        return charge.slot.generation != self._board.generation or bool(charge.slot.is_due)

    # When a worker has ended

    def _note_end(self, charge: Charge, status: int) -> None:
        report_stack(charge, status)
        self._call(self._plan.on_worker_exit, charge.worker, status)
        if self._stop.is_set():
            self._all_drained = self._all_drained and status == 0
        elif charge.ending is None or charge.is_hung:
            self._note_death(charge, status)

    def _note_death(self, charge: Charge, status: int) -> None:
        if self._failure is not None:
            return  # of several that have failed, the first one is told of
        if status == NO_THREAD and not charge.worker.has_started:
            self._shortage.note_failure(_NOT_STARTED, "there is no room for its thread")
            return
        how = f"was ended by signal {-status}" if status < 0 else f"exited with {status}"
        # Those that are ready now may not have been seen to be.
        has_served = self._has_served or any(each.is_ready() for each in self._staff.all())
        if not (has_served or charge.worker.has_started):
            text = f"\n{charge.slot.text}" if charge.slot.text else ""
            self._failure = WorkerStartError(f"worker {charge.pid} {how} at its start{text}")
            return
        # What it has raised it has logged by itself, but for what `sys.exit` was told.
        why = charge.slot.text.rstrip().rpartition("\n")[2]
        _logger.warning("worker %d %s: replacing it%s", charge.pid, how, f" ({why})" if why else "")
        try:
            self._restarts.note_death(charge.worker.served, how)
        except CrashLoopError as error:
            self._failure = error

    def _call(self, hook: Callable[..., object] | None, *arguments: Any) -> None:
        if hook is not None:
            try:
                hook(*arguments)
            except Exception:
                _logger.exception("a hook of Prefork failed")
