"""The strategies that were replaced and still drain."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from .generation import CUT_TIME, Generation, remaining
from .strategy import Strategy
from .tasks import wait_until_threads_are_gone

_logger = logging.getLogger("serverstrategy")


class Retired:
    """The generations that do not accept any more, and have not ended yet, the oldest first.

    Each drains in one of three ways: in a thread; by those who wait at the listener, if it has
    children which are watched; or not before the server closes, if it has children of which only
    its strategy knows, and the next one forks too.

    Args:
        on_end: called with the server and the strategy of each that has ended.

    Attributes:
        generations: they.
    """

    def __init__(self, on_end: Callable[[Any, Strategy], None]) -> None:
        self._on_end = on_end
        self.generations: tuple[Generation, ...] = ()
        # Reentrant, because a signal handler runs inside whatever the main thread is doing.
        self._lock = threading.RLock()

    def add(self, generation: Generation) -> None:
        """Retire `generation`, once: Ctrl-C may have come after the last time, and before more."""
        with self._lock:
            if generation not in self.generations:
                self.generations = (*self.generations, generation)

    def clear(self) -> None:
        """Forget all of them."""
        self.generations = ()

    def drain_beside(self, server: Any, new: Generation) -> None:
        """Begin to drain what can drain beside `new`, or must do so before it accepts.

        What must is cut after the grace period.
        """
        if new.after and not self._start(server, new.after, server.grace_period):
            self._drain_or_cut(server, new.after, server.grace_period)
        if not new.strategy.multiprocess:
            for each in self.generations:
                if each.wants_a_thread():
                    self._start(server, (each,), None)
        self.attend(server)  # else an idle server would keep one whose children are gone

    def attend(self, server: Any) -> None:
        """Reap children, and forget the generations that have ended. Never blocks."""
        for each in self.generations:
            for watched in each.watched:
                watched.check()
            # One that was given up is not asked again: its strategy may serve anew.
            if each.has_ended() and (
                each.is_over or (not each.threads and _drain(each, server, 0.0))
            ):
                self.forget(each, server)

    def drain(self, server: Any, timeout: float | None) -> bool:
        """Drain all of them, for at most `timeout` seconds together (None: for ever).

        Returns:
            Whether everything has ended by itself.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        have_ended = True
        for each in self.generations:
            each.wait_until_begun(remaining(deadline))
            if not _drain(each, server, remaining(deadline)):
                have_ended = False
            elif not each.in_flight:  # as that of a handler which closes the server
                _join(each.threads)
                self.forget(each, server)
        return have_ended

    def forget(self, generation: Generation, server: Any) -> None:
        """Let go of a generation that has drained."""
        generation.is_over = True
        with self._lock:
            if generation in self.generations:
                others = tuple(each for each in self.generations if each is not generation)
                self.generations = others
                generation.leave()
                self._on_end(server, generation.strategy)

    def _start(
        self, server: Any, generations: tuple[Generation, ...], timeout: float | None
    ) -> bool:
        arguments = (server, generations, timeout)
        thread = threading.Thread(target=self._drain_or_cut, args=arguments, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # What need not be drained now is so when all its connections have ended: see `attend`.
            _logger.warning("no thread could be started to drain a strategy: %s", error)
            return False
        for each in generations:
            each.threads.append(thread)
        return True

    def _drain_or_cut(
        self, server: Any, generations: Iterable[Generation], timeout: float | None
    ) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        for each in generations:
            try:
                if each.drain_or_cut(server, remaining(deadline)):
                    self.forget(each, server)
            except Exception:
                _logger.exception("%r could not be drained", each.strategy)
            each.is_over = True
        server._serverstrategy.serving.acceptors.wake()
        server._serverstrategy.succession.wake()


def _drain(generation: Generation, server: Any, timeout: float | None) -> bool:
    """Have a generation drain; an error of its strategy's is logged, and costs no other one."""
    try:
        return generation.drain(server, timeout)
    except Exception:
        _logger.exception("%r could not be drained", generation.strategy)
        generation.is_over = True
        return False


def leave_no_thread(generations: Iterable[Generation]) -> None:
    """Wait until the threads of generations that have drained are gone: a fork is to find none."""
    for each in generations:
        if not each.in_flight:
            _join(each.threads)
    wait_until_threads_are_gone()


def _join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(CUT_TIME)
