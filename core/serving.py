"""Whether a server is serving: its beginning, its end, and who waits for which."""

from __future__ import annotations

import threading

from .acceptors import Acceptors
from .in_flight import InFlight
from .stop_signal import StopSignal

UNKNOWN_THREAD = -1
"""Stands for a thread that serves, of which the identifier is not known yet."""


class Serving:
    """The state of one server's `serve_forever`, in one process.

    Attributes:
        thread: the identifier of the thread in `serve_forever`, or `UNKNOWN_THREAD`; None while
            nobody is.
        signal: what stops it; None while there is nothing to stop.
        poll_interval: the argument of `serve_forever`, in seconds.
        acceptors: the threads that accept.
        in_flight: the connections of the server, whose changes are waited for.
        is_accepting: whether connections are accepted.
    """

    def __init__(
        self,
        in_flight: InFlight,
        signal: StopSignal | None = None,
        poll_interval: float | None = None,
    ) -> None:
        self.thread: int | None = None
        self.signal = signal
        self.poll_interval = poll_interval
        self.in_flight = in_flight
        # The system's thread, which greenlets share.
        self._native_thread: int | None = None
        self.is_accepting = False
        self._stop_is_wanted = False
        self._is_stopping = False
        self._is_elsewhere = False
        self._lock = threading.Lock()
        self.acceptors = Acceptors(in_flight)

    def begin(self, poll_interval: float | None, entered: list[int]) -> StopSignal | None:
        """Enter `serve_forever`.

        Args:
            poll_interval: see `serve_forever`.
            entered: gets an item once `end` must be called, which is to hold at any moment at
                which Ctrl-C may come.

        Returns:
            The signal that stops it; None if the stop was asked for before.

        Raises:
            RuntimeError: another thread serves.
            OSError: no file descriptor is left.
        """
        with self._lock:
            if self.thread is not None:
                raise RuntimeError(
                    "serve_forever() is running already, in this thread or another: call "
                    "shutdown() first"
                )
            entered.append(threading.get_ident())
            self.thread = threading.get_ident()
            self._native_thread = threading.get_native_id()
        self.poll_interval = poll_interval
        # The signal first, the question second; `stop` does it the other way round. So whichever
        # comes first, one of the two sees the other, and neither takes a lock.
        self.signal = StopSignal()
        return None if self._stop_is_wanted else self.signal

    def end(self) -> None:
        """Leave `serve_forever`."""
        stop, self.signal = self.signal, None
        if stop is not None:
            stop.set()
            stop.close()
        self._stop_is_wanted = self._is_stopping = False
        self.is_accepting = False
        self.thread = self._native_thread = None
        self.in_flight.poke()

    def begin_elsewhere(self, thread: int | None = None) -> None:
        """Note that a loop which is not ours serves, in `thread` (by default the calling one)."""
        with self._lock:
            if self.thread is None:
                self.thread = threading.get_ident() if thread is None else thread
                self._is_elsewhere = True
                self.mark()
        self.in_flight.poke()

    def end_elsewhere(self) -> None:
        """Note the end of the loop that is not ours."""
        if self._is_elsewhere:
            self._is_elsewhere = False
            self.end()

    def is_stopping(self) -> bool:
        """Whether the loop that serves, or the next one, is to end. Such a loop asks it."""
        if self.thread == UNKNOWN_THREAD:
            self.thread = threading.get_ident()
        return self._stop_is_wanted or self._is_stopping

    def is_ours(self) -> bool:
        """Whether `serve_forever` of ours serves, not a loop of somebody else's."""
        return self.thread is not None and not self._is_elsewhere

    def mark(self) -> None:
        """Note that connections are being accepted. Who waits for it hears of it by `poke`."""
        self.is_accepting = True

    def unmark(self) -> None:
        """Note that connections wait in the backlog until the next `mark`."""
        self.is_accepting = False

    def wait_until_accepting(self, timeout: float | None) -> bool:
        """Block until connections are accepted, at most `timeout` seconds (None: for ever)."""
        return self.in_flight.wait_until(lambda: self.is_accepting, timeout)

    def stop(self) -> None:
        """Ask for the end of `serve_forever`; if nobody is in it, of the next one.

        Takes no lock and never blocks: it may be called from a signal handler. In a forked child
        it asks the parent.
        """
        self._stop_is_wanted = True
        self.stop_now()

    def stop_now(self) -> None:
        """Like `stop`, but means this `serve_forever` only."""
        self._is_stopping = self.thread is not None
        stop = self.signal
        if stop is not None:
            stop.ask()

    def wait_until_stopped(self, timeout: float | None = None) -> None:
        """Block until nothing more can be accepted, at most `timeout` seconds (None: for ever).

        That is when `serve_forever` has returned, or when every thread that accepts for it is
        busy with a handler: each of them asks for the stop before it accepts again. Returns at
        once in the thread that serves and in a handler, which would wait for themselves; among
        greenlets, in each of them, since a signal handler runs where none of them can wait.
        """
        is_the_serving_one = (
            self.thread == threading.get_ident() or self._native_thread == threading.get_native_id()
        )
        if not is_the_serving_one and not self.in_flight.is_here():
            self.in_flight.wait_until(self._has_stopped, timeout)

    def wait_until_listener_is_left(self, timeout: float | None) -> None:
        """Block until no thread waits at the listener, at most `timeout` seconds (None: for ever).

        Returns at once in the thread that serves.
        """
        if self.thread != threading.get_ident():
            self.in_flight.wait_until(self._listener_is_left, timeout)

    def wait_until_returned(self, timeout: float | None) -> None:
        """Block until `serve_forever` has returned, at most `timeout` seconds (None: for ever).

        Returns at once in the thread that serves and in a handler.
        """
        if self.thread != threading.get_ident() and not self.in_flight.is_here():
            self.in_flight.wait_until(lambda: self.thread is None, timeout)

    def is_caller(self) -> bool:
        """Whether the calling thread is the application's own: it called the server to serve."""
        return self.thread == threading.get_ident() or self.acceptors.has_caller_here()

    def _has_stopped(self) -> bool:
        return self.thread is None or self.acceptors.are_busy()

    def _listener_is_left(self) -> bool:
        return self._has_stopped() and self.acceptors.callers_are_busy()
