"""One thread's wait at the listener: for a connection, for room, or for the stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from .accepting import AcceptingServer
from .listener import fileno
from .poll_set import is_readable
from .semaphore import BinarySemaphore
from .service_actions import is_overridden
from .stop_signal import StopSignal
from .waiter import Wait, Waiter, shortest

# How long an acceptor waits for room before it waits for all else as well, in seconds. Handlers
# that are faster than that need no system call to let it go on, only a lock.
_MOMENT = 0.005

# How long an acceptor goes on without a wait, in seconds: the wait is where it hears of all else.
_WITHOUT_WAIT = 0.01

# After how many connections an acceptor that has found no backlog makes an attempt without a wait.
_ATTEMPT_AFTER = 16


class Acceptor:
    """Waits until a connection can be accepted and there is room for it.

    Opens two file descriptors, three in a worker; `close` gives them back.

    Args:
        server: asks the strategy for room, and accepts.
        wait: see `Waiter`.

    Raises:
        OSError: no file descriptor is left (EMFILE, ENFILE).
    """

    def __init__(self, server: AcceptingServer, wait: Wait | None = None) -> None:
        self._server = server
        # Workers share the listener: each connection is to wake one of them.
        state = server._serverstrategy
        self._nudge = state.nudge if state.is_child and wait is None else None
        self._nudged = -1 if self._nudge is None else self._nudge.fileno()
        self._waiter = Waiter(wait, may_exclude=self._nudged != -1)
        if self._waiter.excludes:
            self._waiter.watch_edges(self._nudged)
        self._listener = -1
        self._until_attempt = _ATTEMPT_AFTER
        self._room = BinarySemaphore()
        self._may_block = wait is None  # if not, an event loop is to run meanwhile
        self._stop: StopSignal | None = None

    def run(self, stop: StopSignal, poll_interval: float | None) -> None:
        """Accept until `stop` is heard, or until the listener is closed.

        Args:
            stop: ends it.
            poll_interval: how often to call `service_actions`, in seconds, if it is overridden.
        """
        server, state = self._server, self._server._serverstrategy
        self._stop = stop
        stop_fds = set(stop.filenos())
        for fd in stop_fds:
            self._waiter.watch(fd)
        with self._waiter:
            server.mark_serving()
            while not self._is_closed():
                has_actions = is_overridden(server)
                ready = self._wait(poll_interval if has_actions else None)
                if not stop_fds.isdisjoint(ready) and stop.is_set():
                    if self._nudge is not None and self._listener in ready:
                        self._nudge.send()  # nobody else may have been woken for it
                    break
                if self._listener in ready:
                    until = time.monotonic() + _WITHOUT_WAIT
                    left = state.left
                    if not (state.relay.leader.leads and self._leaves_it_to_one()):
                        server._handle_request_noblock()
                    if self._nudge is not None and state.left != left:
                        self._nudge.send()
                    if not has_actions:
                        self._accept_more(stop, until)
                if has_actions:
                    server.service_actions()

    def goes_on(self) -> bool:
        """Whether it accepts, and has not heard the stop."""
        return self._stop is not None and not self._stop.is_known()

    def wait_for_connection(self, timeout: float | None) -> bool:
        """Block for at most `timeout` seconds (None: for ever) until one can be accepted.

        Returns:
            Whether one can. False after the timeout, or if the server is closed meanwhile.
        """
        return self._wait_until(lambda ready: self._listener in ready, timeout)

    def wait_for_room(self, timeout: float) -> bool:
        """Block for at most `timeout` seconds until there is room for a connection.

        Returns:
            Whether there is. False after the timeout, or if the server is closed meanwhile.
        """
        state = self._server._serverstrategy

        def is_room(_: object) -> bool:
            return not state.shortage.remaining() and state.succession.ready(self._server)

        return is_room(None) or self._wait_until(is_room, timeout)

    def wake(self) -> None:
        """Have the wait look at the server's state again. From any thread."""
        self._waiter.wake()

    def close(self) -> None:
        """Give the file descriptors back."""
        self._waiter.close()

    def _accept_more(self, stop: StopSignal, until: float) -> None:
        """Accept without a wait before each one, as long as there is a backlog.

        No longer than until the time `until` of `time.monotonic`.

        To find none costs as much as several waits, so where there was none the last time, only
        one connection in so many is followed by another attempt. And a `get_request` that may
        block is called only where there is something for it: it would be deaf to the stop.
        """
        self._until_attempt -= 1
        server, state = self._server, self._server._serverstrategy
        if self._until_attempt > 0 or not self._may_block:
            return
        threads_accept = state.succession.current.strategy.threads_accept
        turn = state.relay.begin_turn(state)
        has_backlog = state.relay.leader.leads
        while not stop.is_known() and time.monotonic() < until:
            if has_backlog and self._leaves_it_to_one():
                continue
            # Asked each time: a handler may have changed it.
            if not state.listener.may_be_tried(server) and not is_readable(server):
                return
            before = state.accepted
            server._handle_request_noblock()
            if state.accepted == before:
                if state.succession.ready(server):
                    self._until_attempt = _ATTEMPT_AFTER
                    return
                if not self._leaves_it_to_one() and not self._has_room_soon():
                    break  # all threads were busy all the time
            has_backlog = threads_accept  # for others it does not matter
        state.relay.end_turn(state, turn)

    def _leaves_it_to_one(self) -> bool:
        """Let one thread accept for a moment, if that may be; whether it is to go on."""
        # An event loop has to run meanwhile.
        return self._may_block and self._server._serverstrategy.relay.leave_to_one(
            self._server, self._room
        )

    def _wait_until(self, condition: Callable[[set[int]], bool], timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._waiter:
            while not self._is_closed():
                remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
                if condition(self._wait(remaining)):
                    return True
                if remaining == 0.0:
                    break
        return False

    def _wait(self, timeout: float | None) -> set[int]:
        """Wait once, for at most `timeout` seconds; the listener takes part only if there is room.

        Returns:
            The descriptors that are readable, the listener's only if one may be accepted.
        """
        ready = self._wait_once(timeout)
        if self._nudged in ready and self._listener not in ready:
            self._watch_listener(wanted=False)  # the next time it is looked at anew
        return ready

    def _wait_once(self, timeout: float | None) -> set[int]:
        server, state, waiter = self._server, self._server._serverstrategy, self._waiter
        if pause := state.shortage.remaining():
            self._watch_listener(wanted=False)
            return server.wait_with_watched(waiter, shortest(timeout, pause))
        is_short = timeout is not None and timeout < _MOMENT
        if state.succession.ready(server) or (not is_short and self._has_room_soon()):
            self._watch_listener(wanted=True)
            return server.wait_with_watched(waiter, timeout)
        try:
            # The order matters: what ends after `park` wakes us, what ended before is asked for.
            state.in_flight.park(waiter)
            self._watch_listener(wanted=state.succession.ready(server))
            return server.wait_with_watched(waiter, timeout)
        finally:
            state.in_flight.unpark(waiter)

    def _has_room_soon(self) -> bool:
        """Wait for room for a moment, without hearing of anything else."""
        state = self._server._serverstrategy
        # The end of what is watched, which makes room, is heard of in the wait for all else only.
        if not self._may_block or state.succession.watched():
            return False
        try:
            state.in_flight.park(self._room)
            # Whether it is still there is asked before each accept.
            return state.succession.ready(self._server) or self._room.wait(_MOMENT)
        finally:
            state.in_flight.unpark(self._room)

    def _watch_listener(self, wanted: bool) -> None:
        fd = fileno(self._server) if wanted else -1
        if fd != self._listener:
            if self._listener != -1:
                self._waiter.unwatch(self._listener)
            if fd != -1:
                # It may be another one than before.
                self._server._serverstrategy.listener.unblock(self._server)
                self._waiter.watch(fd, exclusive=True)
            self._listener = fd

    def _is_closed(self) -> bool:
        return self._server._serverstrategy.is_over(self._server)
