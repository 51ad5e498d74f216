"""The strategies of one server, one after the other."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from . import ownership
from .generation import Generation, remaining
from .in_flight import InFlight
from .retired import Retired, leave_no_thread
from .stop_signal import StopSignal
from .strategy import Strategy
from .waiter import Waiter
from .watched import Watched

if TYPE_CHECKING:
    from .serving import Serving


class Succession:
    """The generations of one server, in one process.

    The stop of `serve_forever` is handed down to each generation as a signal of its own, so that
    one can be stopped while the server goes on. The listener stays open all the time: what comes
    between two generations waits in the backlog.

    Attributes:
        current: the generation that has the listener.
        retired: those before it that still drain.
    """

    def __init__(self, strategy: Strategy, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self.current = Generation(strategy, in_flight)
        in_flight.enter_in(self.current.in_flight)
        self.retired = Retired(self._release)
        # Reentrant, because a signal handler runs inside whatever the main thread is doing. That
        # may be something that holds the lock of `in_flight`, which is not taken inside this one.
        self._lock = threading.RLock()
        self._next: Strategy | None = None
        self._signal: StopSignal | None = None
        self._waiter: Waiter | None = None

    def start_afresh(self, in_flight: InFlight) -> None:
        """Forget what another process has: this one was forked from it."""
        self._in_flight = in_flight
        self.current.start_afresh(in_flight)
        in_flight.enter_in(self.current.in_flight)
        self.retired = Retired(self._release)
        self._lock = threading.RLock()
        self._next = self._signal = self._waiter = None

    @property
    def newest(self) -> Strategy:
        """The strategy that was assigned last: the current one, or the one that comes next."""
        following = self._next  # which need not be true: it may have a length
        return self.current.strategy if following is None else following

    # The application's side

    def assign(self, server: Any, strategy: Strategy) -> None:
        """Have `strategy` come next, at `take_over`, and end the `serve` of the current one.

        Returns at once.

        Raises:
            ValueError: `strategy` serves another server.
        """
        with self._lock:
            ownership.claim(strategy, server)
            if server._serverstrategy.is_drained:  # meanwhile, and nobody would let go of it
                ownership.release(strategy, server)
                self.replace_closed(strategy)
                return
            superseded, self._next = self._next, strategy
            if strategy is self.current.strategy:
                self._next = None
            if superseded is not None:
                self._release(server, superseded)
            if server._serverstrategy.serving.is_ours():
                server._serverstrategy.serving.unmark()
        # Who sets `_signal` looks at `_next` afterwards: one of the two sees the other.
        signal = self._signal
        if signal is not None:
            signal.set()
        self.wake()

    def replace_closed(self, strategy: Strategy) -> None:
        """Have `strategy` be that of a server which is closed."""
        self.current = Generation(strategy, self._in_flight)
        self._in_flight.enter_in(self.current.in_flight)

    # The side of the thread that serves

    def serve(self, server: Any, stop: StopSignal) -> None:
        """Serve, one generation after the other, until `stop`.

        Raises:
            Exception: what a strategy's `serve` raises.
        """
        state = server._serverstrategy
        goes_on = True
        try:
            while goes_on and not state.is_over(server):
                self.take_over(server)
                self._wait_while_held(server, stop)
                goes_on = not stop.is_set() and self._serve_once(server, stop)
        finally:
            stop.end_parts()  # once more, for what Ctrl-C may have interrupted
            state.close_nudge()

    def _serve_once(self, server: Any, stop: StopSignal) -> bool:
        """Serve by the current generation; whether another one is to go on."""
        try:
            self._signal = signal = stop.child()
            if self._next is not None:
                return True
            generation, state = self.current, server._serverstrategy
            if generation.strategy.multiprocess:
                state.open_nudge()
            generation.strategy.serve(generation.facing(server), signal)
            return signal.is_set() and not stop.is_set()
        finally:
            self._signal = None
            stop.end_parts()

    def _wait_while_held(self, server: Any, stop: StopSignal) -> None:
        """Wait until the current generation may accept, or for `stop` or another assignment."""
        before = self.current.after
        if not before:
            return
        if not all(each.threads or each.is_over for each in before):
            self.retired.drain_beside(server, self.current)  # Ctrl-C came before it
        waiter = Waiter()
        try:
            self._waiter = waiter
            for fd in stop.filenos():
                waiter.watch(fd)
            with waiter:
                while self.current.is_held() and self._next is None and not stop.is_set():
                    server.wait_with_watched(waiter, None)
        finally:
            self._waiter = None
            waiter.close()
        if not self.current.is_held():
            leave_no_thread(before)

    def take_over(self, server: Any, *, in_background: bool = True) -> None:
        """Make the strategy that was assigned the current one, and have the one before it drain.

        Args:
            server: whose strategy it is.
            in_background: whether to go on at once; if not, wait for at most the grace period.
        """
        with self._lock:
            strategy = self._next
            if strategy is None:
                return
            old, new = self.current, Generation(strategy, self._in_flight)
            # In this order, so that Ctrl-C in between loses none.
            self.retired.add(old)
            retired = self.retired.generations
            new.after = tuple(each for each in retired if each.must_end_before(strategy))
            self.current = new
            self._in_flight.enter_in(new.in_flight)
            if self._next is strategy:  # a signal handler may have assigned another one
                self._next = None
        server._serverstrategy_given(strategy)
        if in_background:
            self.retired.drain_beside(server, new)
            return
        try:
            self.retired.drain(server, server.grace_period)
        finally:
            new.after = ()
            server._serverstrategy.serving.acceptors.wake()

    # The side of those who accept

    def ready(self, server: Any) -> bool:
        """Whether the current strategy has room, and may use it."""
        generation = self.current
        if generation.after and generation.is_held():
            return False
        return generation.strategy.ready(generation.view or generation.facing(server))

    def mark(self, serving: Serving) -> None:
        """Note that connections are being accepted, unless it is by a strategy that is to end."""
        with self._lock:
            if self._next is not None:
                return
            serving.mark()
        self._in_flight.poke()

    def of(self, part: InFlight) -> Generation:
        """The generation for which a connection was accepted, from the `part` of the connection."""
        retired = self.retired.generations
        return next((each for each in retired if each.in_flight is part), self.current)

    def watched(self) -> tuple[Watched, ...]:
        """What all generations have the acceptors watch."""
        watched = self.current.watched
        for each in self.retired.generations:
            watched += each.watched
        return watched

    def wake(self) -> None:
        """Have the thread that waits until the current one may begin ask again."""
        waiter = self._waiter
        if waiter is not None:
            waiter.wake()

    # The end

    def drain(self, server: Any, timeout: float | None) -> bool:
        """Drain all generations, for at most `timeout` seconds together (None: for ever).

        Returns:
            Whether everything has ended by itself.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        have_ended = self.retired.drain(server, timeout)
        return self.current.drain(server, remaining(deadline)) and have_ended

    def close(self, server: Any) -> None:
        """Let all strategies serve other servers."""
        with self._lock:
            strategies: list[Strategy] = []
            for each in (*self.retired.generations, self.current):
                each.leave()
                strategies.append(each.strategy)
            self.retired.clear()
            if self._next is not None:
                strategies.append(self._next)
                self.replace_closed(self._next)
                self._next = None
        for strategy in strategies:
            ownership.release(strategy, server)

    def _release(self, server: Any, strategy: Strategy) -> None:
        ownership.release(strategy, server)
        # It, or a part of it, may be in use still.
        for each in (*self.retired.generations, self.current):
            ownership.claim(each.strategy, server)
        if self._next is not None:
            ownership.claim(self._next, server)
