"""What is the same for every kind of socket: serving, stopping and closing."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from . import ownership
from .in_flight import InFlight
from .services import CUT_TIME, Services
from .serving import Serving
from .shortage import Shortage
from .strategy import Strategy, Watched


class BaseServer(Services):
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
        self._belonging = threading.RLock()
        self._unblocked: socket.socket | None = None
        self._timeout_before: float | None = None
        ownership.claim(self._strategy, self)

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
        if self._serving.signal is None:  # nobody serves whom a forked process could ask
            self._belong_to_this_process()
        self._serving.stop()
        if self._pid == os.getpid() and not self._is_child:
            self._serving.wait_until_stopped()

    def wait_until_serving(self, timeout: float | None = None) -> bool:
        """Block until the server accepts connections, at most `timeout` seconds (None: for ever).

        Returns:
            Whether it does.
        """
        self._belong_to_this_process()
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
                    self._serving.wait_until_returned(CUT_TIME)
            finally:
                self._serving.close_spare()
                if not in_a_handler:
                    self._is_drained = True
                    ownership.release(self._strategy, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.server_close()

    def _belong_to_this_process(self) -> None:
        """Forget what another process has in flight: this one was forked from it by the program.

        A daemon, say, is forked between the server's construction and its service.
        """
        with self._belonging:
            if self._pid != os.getpid():
                self._start_afresh(None)

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
