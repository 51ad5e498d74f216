"""The threads that handle connections, for the strategies that use threads."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections import deque
from typing import Any

from serverstrategy.strategy import Server

_Job = tuple[Server, Any, Any]


class Crew:
    """Threads that take connections from one queue, started as they are needed.

    They are daemons, so that a handler which never ends cannot keep the program from ending;
    whoever uses a crew waits for it by `end`.

    Args:
        limit: how many threads at most; None: as many as there are connections.
        idle_timeout: seconds after which a thread without work ends; None: it stays.
    """

    def __init__(self, limit: int | None, idle_timeout: float | None) -> None:
        self._pid = os.getpid()
        self._limit = limit
        self._idle_timeout = idle_timeout
        # Reentrant, because a signal handler runs inside whatever the main thread is doing.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._leaving: list[threading.Thread] = []
        # A token for each thread that waits for work and to which none was promised; the ends of a
        # deque take no lock. At the limit, where no thread is started anyway, a job that waits for
        # a thread leaves a token too many.
        self._free: deque[None] = deque()
        # By thread: the connection that it has, and the job that it has given itself after that.
        self._current: dict[int, Any] = {}
        self._next_own: dict[int, _Job] = {}
        self._is_ending = False

    def is_ending(self) -> bool:
        """Whether no work may be added: `end` was called, or the threads are another process's."""
        return self._is_ending or not self.is_here()

    def is_here(self) -> bool:
        """Whether the threads are this process's: they do not survive a fork."""
        return self._pid == os.getpid()

    def __len__(self) -> int:
        """How many threads there are."""
        return len(self._threads) if self.is_here() else 0

    def idents(self) -> set[int]:
        """The identifiers of the threads. Takes no lock."""
        threads = tuple(self._threads) if self.is_here() else ()
        return {thread.ident for thread in threads if thread.ident is not None}

    def is_gone(self) -> bool:
        """Whether no thread is left."""
        return not self._threads

    def add(self, job: _Job) -> None:
        """Have the next free thread, or a new one, call `server.complete_request`.

        Never blocks for long: starting a thread takes some 50 microseconds.

        Raises:
            RuntimeError: no thread can be started, and none of the crew is free.
        """
        if self._keeps(job):
            return
        if not self._free and self._may_grow():
            # A thread that is about to be free costs less than a new one, so let them run.
            time.sleep(0)
        try:
            self._free.pop()
        except IndexError:
            with self._lock:
                if self._may_grow():
                    self._start(job)
                    return
        self._jobs.put(job)

    def end(self, timeout: float | None) -> bool:
        """Have every thread end once the work is done, and wait at most `timeout` seconds.

        Called in a handler, it does not wait for that handler's own thread. May be called again
        to wait for longer.

        Returns:
            Whether all have ended.
        """
        me = threading.current_thread()
        with self._changed:
            self._is_ending = True
            # The thread that takes it passes it on. So a call that Ctrl-C interrupts is made good
            # by the next one.
            self._jobs.put(None)
            # Not by Thread.join: interrupted by Ctrl-C, that of CPython 3.11 and 3.12 takes a
            # thread that runs for one that has ended.
            ended = self._changed.wait_for(lambda: self._threads <= {me}, timeout)
            leaving, self._leaving = self._leaving, []
        for thread in leaving:
            thread.join()
        return ended

    def dismiss(self) -> None:
        """Have every thread end that is without work; wait for none.

        Takes no lock: it is called where an object is collected, which may be anywhere.
        """
        self._is_ending = True
        self._jobs.put(None)

    def _keeps(self, job: _Job) -> bool:
        """Have the calling thread do the job next, if it has just ended one; whether it does.

        Not while others wait for a thread: it is their turn.
        """
        me = threading.get_ident()
        in_flight = job[0].in_flight
        if me not in self._current or me in self._next_own or self._current[me] in in_flight:
            return False
        if self._limit is not None and len(in_flight) > self._limit:
            return False
        self._next_own[me] = job
        return True

    def _may_grow(self) -> bool:
        return self._limit is None or len(self._threads) < self._limit

    def _start(self, job: _Job) -> None:
        thread = threading.Thread(target=self._run, args=([job],), daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except Exception:  # not after Ctrl-C: then it may have started
            self._threads.discard(thread)
            raise
        self._leaving = [each for each in self._leaving if each.is_alive()]

    def _run(self, first: list[_Job]) -> None:
        job: _Job | None = first.pop()  # since the thread keeps its arguments
        me = threading.get_ident()
        try:
            while job is not None:
                server, request, client_address = job
                self._current[me] = request
                server.complete_request(request, client_address)
                # An idle thread keeps nothing alive.
                del self._current[me], job, server, request, client_address
                job = self._next_own.pop(me, None) or self._next()
        finally:
            self._current.pop(me, None)
            with self._changed:
                if self._is_ending:
                    self._jobs.put(None)
                self._threads.discard(threading.current_thread())
                self._leaving.append(threading.current_thread())
                self._changed.notify_all()

    def _next(self) -> _Job | None:
        self._free.append(None)
        try:
            return self._jobs.get(timeout=self._idle_timeout)
        except queue.Empty:
            if not self._is_ending:
                with contextlib.suppress(IndexError):
                    self._free.pop()
                    return None
        # A job was promised to this thread while it gave up.
        return self._jobs.get()
