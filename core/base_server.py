"""What is the same for every kind of socket: serving, stopping, closing, and the strategy."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from . import ownership
from .handling import Handling
from .hooks import Hooks
from .in_flight import InFlight
from .serving import Serving
from .shortage import Shortage
from .stop_signal import StopSignal
from .strategy import Strategy, Watched

_logger = logging.getLogger("serverstrategy")

# How long handlers may take to notice that their connection was cut, in seconds.
_CUT_TIME = 1.0


class BaseServer(Handling):
    """A server without a socket. Use `TCPServer`.

    Attributes:
        timeout: how long `handle_request` waits for a connection, in seconds; None: for ever.
        grace_period: how long `server_close` waits for what is in flight before it cuts it, in
            seconds; None: for ever, as the standard library does.
        server_address: where the server listens.
        RequestHandlerClass: called with (request, client_address, server) for each connection.
        socket: the listener.
        in_flight: the connections that this process handles. See `InFlight`.
    """

    timeout: float | None = None
    grace_period: float | None = 30.0
    socket: socket.socket

    def __init__(
        self,
        server_address: Any,
        RequestHandlerClass: Callable[[Any, Any, Any], Any],  # noqa: N803 - its name is public
        *,
        strategy: Strategy | None = None,
    ) -> None:
        self._strategy = ownership.check_strategy(Strategy() if strategy is None else strategy)
        self.server_address = server_address
        self.RequestHandlerClass = RequestHandlerClass
        self.in_flight = InFlight()
        self.shortage = Shortage()
        self.watched: tuple[Watched, ...] = ()
        self._serving = Serving(self.in_flight)
        self._admission = threading.Lock()
        self._is_closed = False
        self._is_drained = False
        self._is_child = False
        self._pid = os.getpid()
        self._unblocked: socket.socket | None = None
        self._timeout_before: float | None = None
        ownership.claim(self._strategy, self)

    @property
    def strategy(self) -> Strategy:
        """The object that runs the handlers. Can be replaced while the server does not serve.

        Raises:
            TypeError: what is assigned is no strategy.
            ValueError: it serves another server.
            RuntimeError: this server is serving.
        """
        return self._strategy

    @strategy.setter
    def strategy(self, strategy: Strategy) -> None:
        ownership.check_strategy(strategy)
        if self._serving.thread is not None:
            raise RuntimeError("the strategy of a server cannot be replaced while it serves")
        before = self._strategy
        if not self._is_drained:
            ownership.claim(strategy, self)
            if strategy is not before:
                before.drain(self, self.grace_period)
                ownership.release(before, self)
                ownership.claim(strategy, self)  # one of the two may be a part of the other
        self._strategy = strategy

    # For the caller

    def serve_forever(self, poll_interval: float | None = 0.5) -> None:
        """Accept connections, in the way of the strategy, until `shutdown` or `server_close`.

        Args:
            poll_interval: how often `service_actions` is called, in seconds, if a subclass
                overrides it. It has no other effect: a stop is heard at once.

        Raises:
            RuntimeError: it is running already.
            ValueError: the server is closed.
            OSError: no file descriptor is left to begin with (EMFILE, ENFILE).
        """
        self._belong_to_this_process()
        entered: list[int] = []
        try:
            stop = self._serving.begin(poll_interval, entered)
            if stop is None:
                return
            if self.is_closed():
                raise ValueError("serve_forever() on a server that is closed: build another")
            self._unblock_listener()
            self._strategy.serve(self, stop)
        finally:
            if entered:
                self._serving.end()

    def shutdown(self) -> None:
        """Stop `serve_forever`, and wait until it has returned.

        Where the thread that accepts is busy with a handler (`Synchronous`), it waits no longer
        than until that is so: such a thread asks for the stop before it accepts again. Workers are
        told to stop; a connection that one of them accepts at that moment is still handled.

        May be called more than once and from anywhere: from any thread; from a handler, a signal
        handler or the serving thread, which are not made to wait for themselves; from a child
        process, which asks its parent; before `serve_forever`, which then returns at once. The
        work that was begun goes on: `server_close` waits for it.
        """
        self._serving.stop()
        if self._pid == os.getpid() and not self._is_child:
            self._serving.wait_until_stopped()

    def wait_until_serving(self, timeout: float | None = None) -> bool:
        """Block until the server accepts connections, at most `timeout` seconds (None: for ever).

        Returns:
            Whether it does.
        """
        return self._serving.wait_until_accepting(timeout)

    def handle_request(self) -> None:
        """Accept one connection and hand it to the strategy. Calls `handle_timeout` if none comes.

        Waits for a connection, and for room, at most the shorter of `timeout` and the listener's
        own timeout, as the standard library does. Returns if the server is closed meanwhile.

        Raises:
            ValueError: the server is closed.
            OSError: no file descriptor is left (EMFILE, ENFILE).
        """
        if self.is_closed():
            raise ValueError("handle_request() on a server that is closed: build another")
        self._belong_to_this_process()
        timeouts = (self.timeout, self._unblock_listener())
        shortest = min((each for each in timeouts if each is not None), default=None)
        with self._serving.caller(self) as acceptor:
            if acceptor.wait_for_connection(shortest):
                self._handle_request_noblock()
            elif not self.is_closed():
                self.handle_timeout()

    def server_close(self) -> None:
        """Stop serving, close the listener, and wait for what is in flight.

        Waits for `grace_period` seconds. What is left then is cut (`SHUT_RDWR`; a child process
        is killed) and reported; a thread that does not notice even that is abandoned and reported.
        An exception meanwhile, such as a second Ctrl-C, cuts at once. In a handler, it does not
        wait for that handler; the next call elsewhere does. May be called from any thread, more
        than once.

        In a child or a worker it asks the parent to stop serving, and closes the listener in this
        process. In any other process that was forked from the server's it does the latter only.
        """
        if self._pid != os.getpid():
            self.socket.close()
        elif self._is_child:
            self._serving.stop_now()
            self.socket.close()
        elif not self._is_drained:
            in_a_handler = self.in_flight.is_here()
            if in_a_handler and self._is_closed:
                return  # two handlers would wait for each other
            self._is_closed = True
            self._serving.stop_now()
            self._serving.wake_callers()
            try:
                self.drain_or_cut(self._strategy, self.grace_period)
                if not in_a_handler:
                    self._serving.wait_until_returned(_CUT_TIME)
            finally:
                self._serving.close_spare()
                if not in_a_handler:
                    self._is_drained = True
                    ownership.release(self._strategy, self)

    def fileno(self) -> int:
        """The listener's descriptor; -1 if it is closed."""
        return self.socket.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.server_close()

    # For strategies: what `serverstrategy.Server` promises

    def accept_until_stopped(self, stop: StopSignal) -> None:
        """See `Server.accept_until_stopped`."""
        with self._serving.acceptor(self) as acceptor:
            acceptor.run(stop)

    def mark_serving(self) -> None:
        """See `Server.mark_serving`."""
        self._serving.mark()

    def watch(self, watched: Watched) -> None:
        """See `Server.watch`."""
        if watched not in self.watched:
            self.watched = (*self.watched, watched)

    def unwatch(self, watched: Watched) -> None:
        """See `Server.unwatch`."""
        self.watched = tuple(each for each in self.watched if each is not watched)

    def become_child(self) -> None:
        """See `Server.become_child`."""
        self._leave_parent(self._serving.signal)
        self.socket.close()

    def become_worker(self, stop: StopSignal) -> None:
        """See `Server.become_worker`."""
        stop.leave_siblings()
        self._leave_parent(stop)

    def drain_or_cut(self, strategy: Strategy, timeout: float | None) -> bool:
        """See `Server.drain_or_cut`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            # A handler cannot be made to wait for ever for a loop that waits for that handler. And
            # a grace of 0 is none for connections: the loop still gets the time to end.
            bound = None if timeout is None else max(timeout, _CUT_TIME)
            self._serving.wait_until_listener_is_left(
                _CUT_TIME if self.in_flight.is_here() else bound
            )
            self.socket.close()
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            if strategy.drain(self, remaining):
                return True
        except BaseException:
            self._cut(strategy)
            raise
        self._cut(strategy)
        return False

    def is_closed(self) -> bool:
        """Whether `server_close` was called, or somebody closed the listener."""
        return self._is_closed or self.socket.fileno() < 0

    def service_interval(self) -> float | None:
        """How often `service_actions` is due, in seconds; None: nobody overrides it."""
        is_ours = type(self).service_actions is Hooks.service_actions
        if is_ours and "service_actions" not in vars(self):
            return None
        return self._serving.poll_interval

    def cut(self) -> None:
        """See `Server.cut`."""
        # Said before it is done: a worker may be gone as soon as its handler notices.
        for connection in self.in_flight.others():
            _logger.warning("closing: cut the %s", connection)
        self.in_flight.cut()

    def _cut(self, strategy: Strategy) -> None:
        self.cut()
        strategy.drain(self, _CUT_TIME)
        for connection in self.in_flight.others():
            _logger.warning("closing: abandoned the %s: its handler goes on", connection)

    def _belong_to_this_process(self) -> None:
        """Forget what another process has in flight: this one was forked from it by the program.

        A daemon, say, is forked between the server's construction and its service.
        """
        if self._pid != os.getpid():
            self._start_afresh(None)

    def _start_afresh(self, stop: StopSignal | None) -> None:
        self._pid = os.getpid()
        self._serving.close_inherited()
        self._admission = threading.Lock()
        self.watched = ()
        self.in_flight = InFlight()
        self._serving = Serving(self.in_flight, stop, self._serving.poll_interval)

    def _leave_parent(self, stop: StopSignal | None) -> None:
        self._is_child = True
        self._start_afresh(stop)

    def _unblock_listener(self) -> float | None:
        """Make the listener non-blocking, since another process may be faster to accept.

        It stays so: its open file description is shared with the workers.

        Returns:
            The listener's timeout, in seconds, as the application set it.
        """
        timeout = self.socket.gettimeout()
        if self._unblocked is not self.socket or timeout != 0.0:
            self._unblocked = self.socket
            self._timeout_before = timeout
            self.socket.setblocking(False)
        return self._timeout_before
