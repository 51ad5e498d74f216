"""Keeps the workers that there are to be: starts, replaces and ends them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from serverstrategy.stop_signal import StopSignal
from serverstrategy.strategy import Server
from serverstrategy.waiter import Waiter, shortest

from ._charge import STEP_TIME, Charge
from ._children import Children
from ._hang import HangWatch, report_hung, report_stack, write_stack_when_aborted
from ._plan import Plan
from ._recycling import Recycling
from ._restarts import CrashLoopError, Restarts, WorkerStartError
from ._scoreboard import Scoreboard
from ._worker import work

_logger = logging.getLogger("serverstrategy")


class Supervisor:
    """The workers of one `Prefork`, from its `serve` to the end of its `drain`.

    A worker that is to be replaced (its generation is over, it asks for it) goes on until there
    are as many others ready as there are to be: its successor is up before it stops accepting.

    Args:
        plan: what is wanted.
        children: where the workers are watched, as processes.
        server: for which they accept.
        stop: ends it.
        board: where they tell what they do.
    """

    def __init__(
        self, plan: Plan, children: Children, server: Server, stop: StopSignal, board: Scoreboard
    ) -> None:
        self._plan = plan
        self._children = children
        self._server = server
        self._stop = stop
        self._board = board
        self._charges: dict[int, Charge] = {}
        self._hang_watch = HangWatch(plan.timeout)
        self._restarts = Restarts(plan.max_restarts, plan.restart_window)
        self._failure: Exception | None = None
        self._has_served = False
        self._is_marked = False
        self._target = 0
        self._ask_at = 0.0
        self._all_drained = True

    def run(self, waiter: Waiter) -> None:
        """Start the workers, and keep them, until the stop.

        Args:
            waiter: waits for what is to be done. Workers wake it.

        Raises:
            WorkerStartError: the first workers fail.
            CrashLoopError: too many die young.
        """
        for fd in self._stop.filenos():
            waiter.watch(fd)
        while not self._stop.is_set():
            due = self._attend(waiter)
            if self._failure is not None:
                raise self._failure
            self._server.wait_with_watched(waiter, due)

    def size_changed(self) -> None:
        """Ask at the next look how many workers there are to be."""
        self._ask_at = 0.0

    def stop_all(self) -> None:
        """Have all workers stop accepting."""
        for charge in tuple(self._charges.values()):
            charge.stop()

    def drain(self, timeout: float | None) -> bool:
        """Wait for the workers, and end those that take longer than `timeout` seconds.

        Returns:
            Whether all have ended by themselves, and with status 0 since the stop.
        """
        ended = False
        try:
            ended = self._children.wait(timeout)
        finally:
            if not ended:
                self._end_all()
        self._children.close()
        ended = ended and self._all_drained
        self._all_drained = True  # it has been said, and who asks once more asks what is left
        return ended

    def _end_all(self) -> None:
        for step in (Charge.cut, Charge.terminate, Charge.kill):
            for charge in tuple(self._charges.values()):
                step(charge)
            if self._children.wait(None if step is Charge.kill else STEP_TIME):
                return

    # While it serves

    def _attend(self, waiter: Waiter) -> float | None:
        """Do what is due; return the seconds until the next time, None: when something happens."""
        self._abort_hung()
        dues = [each.ending.attend() for each in self._all() if each.ending is not None]
        dues += [self._level(waiter), self._hang_watch.interval, self._plan.sizing.interval]
        if not self._is_marked and any(each.is_ready() for each in self._all()):
            self._is_marked = self._has_served = True
            self._server.mark_serving()
        return shortest(*dues)

    def _all(self) -> list[Charge]:
        return list(self._charges.values())

    def _staying(self) -> list[Charge]:
        return [each for each in self._all() if each.ending is None]

    def _is_outdated(self, charge: Charge) -> bool:
        return charge.slot.generation != self._board.generation or bool(charge.slot.is_due)

    def _abort_hung(self) -> None:
        for charge in self._all():
            if not charge.is_hung and self._hang_watch.is_hung(charge.slot):
                report_hung(charge)
                self._call(self._plan.on_worker_timeout, charge.worker)
                charge.abort()

    def _level(self, waiter: Waiter) -> float | None:
        """Start the workers that are missing, and retire those that are too many or outdated."""
        staying = self._staying()
        target = self._find_target(staying)
        outdated = [each for each in staying if self._is_outdated(each)]
        wanted = target + min(self._plan.reload_step, len(outdated))
        due = self._start_missing(wanted, waiter)
        self._retire_surplus(target)
        return due

    def _find_target(self, staying: list[Charge]) -> int:
        sizing = self._plan.sizing
        now = time.monotonic()
        if now >= self._ask_at:
            self._ask_at = now + (sizing.interval or 0.0)
            self._target = sizing.wanted(len(staying), sum(each.is_spare() for each in staying))
        return self._target

    def _start_missing(self, wanted: int, waiter: Waiter) -> float | None:
        while len(self._staying()) < wanted and not self._stop.is_set():
            due = self._restarts.remaining()
            if due > 0.0:
                return due
            try:
                if not self._start(waiter):
                    return None  # until one has ended
            except OSError as error:
                _logger.warning("no worker could be started: %s", error)
                self._restarts.postpone()
        return None

    def _retire_surplus(self, target: int) -> None:
        staying = self._staying()
        surplus = len(staying) - target
        ready = sum(each.is_ready() for each in staying)
        outdated = [each for each in staying if self._is_outdated(each)]
        # The youngest of those that have nothing to do, where none is outdated.
        others = sorted(staying, key=lambda each: (not each.is_spare(), each.worker.age))
        for charge in (outdated or others)[: max(0, surplus)]:
            if charge.is_ready():
                if ready <= target:
                    continue
                ready -= 1
            charge.retire(self._server.grace_period)

    # One worker

    def _start(self, waiter: Waiter) -> bool:
        """Fork a worker; False if there is no slot for it."""
        slot = self._board.take({each.slot.number for each in self._all()}, time.monotonic())
        if slot is None:
            return False
        charge = Charge(slot, self._stop.child(), self._hang_watch.new_stack())
        try:
            self._children.fork(
                partial(self._work, charge, waiter.wake),
                partial(self._begin, charge),
                partial(self._end, charge),
            )
        except OSError:
            charge.close()
            raise
        return True

    def _work(self, charge: Charge, ring: Callable[[], None]) -> int:
        plan = self._plan
        for other in self._all():
            if other.stack is not None:
                other.stack.close()
        charge.worker.pid = os.getpid()
        write_stack_when_aborted(charge.stack)
        plan.become_worker(self._board.inside(charge.slot))

        def on_start() -> None:
            if plan.on_worker_start is not None:
                plan.on_worker_start(charge.worker)

        recycling = Recycling(plan.max_requests, plan.max_requests_jitter, plan.max_memory)
        stop = charge.stop_signal
        return work(self._server, stop, plan.inner, charge.slot, recycling, on_start, ring)

    def _begin(self, charge: Charge, pid: int) -> None:
        charge.worker.pid = charge.slot.pid = pid
        self._charges[pid] = charge
        self._server.add_watched(self._children)

    def _end(self, charge: Charge, pid: int, status: int) -> None:
        if charge.status is not None:
            return
        self._charges.pop(pid, None)
        charge.status = status
        if not self._children.pids():
            self._server.remove_watched(self._children)
        report_stack(charge)
        self._call(self._plan.on_worker_exit, charge.worker, status)
        charge.slot.pid = 0
        charge.close()
        if self._stop.is_set():
            self._all_drained = self._all_drained and status == 0
        elif charge.ending is None or charge.is_hung:
            self._note_death(charge, status)

    def _note_death(self, charge: Charge, status: int) -> None:
        how = f"was ended by signal {-status}" if status < 0 else f"exited with {status}"
        if not self._has_served:
            text = f"\n{charge.slot.text}" if charge.slot.text else ""
            self._failure = WorkerStartError(f"worker {charge.pid} {how} at its start{text}")
            return
        _logger.warning("worker %d %s: replacing it", charge.pid, how)
        try:
            self._restarts.note_death(charge.worker.age, how)
        except CrashLoopError as error:
            self._failure = error

    def _call(self, hook: Callable[..., object] | None, *arguments: Any) -> None:
        if hook is not None:
            try:
                hook(*arguments)
            except Exception:
                _logger.exception("a hook of Prefork failed")
