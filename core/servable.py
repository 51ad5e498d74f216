"""What the application calls on a server: to serve, to stop, to close."""

from __future__ import annotations

import os
import socket
from typing import Literal, overload

from . import listener
from .active_children import ActiveChildren
from .drain_report import DrainReport
from .generation import CUT_TIME
from .server_status import StatusMethod
from .services import Services
from .standard_flags import IsShutDown, ShutdownRequest


class Servable(Services, StatusMethod):
    """The methods for the application, under the names of `socketserver.BaseServer`.

    Attributes:
        timeout: how long `handle_request` waits for a connection, in seconds; None: for ever.
        grace_period: how long `server_close` waits for what is in flight before it cuts it, in
            seconds; None: for ever, as the standard library does.
        make_strategy: called without arguments for the strategy of a server that is given none.
    """

    timeout: float | None
    socket: socket.socket

    # Names without mangling: those that the mangling of `socketserver.BaseServer` makes.
    _BaseServer__shutdown_request = ShutdownRequest()
    _BaseServer__is_shut_down = IsShutDown()

    active_children = ActiveChildren()

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
        state = self._serverstrategy
        state.belong_to_this_process()
        state.reopen(self)
        entered: list[int] = []
        try:
            stop = state.serving.begin(poll_interval, entered)
            if stop is None:
                return
            if state.is_over(self):
                raise ValueError("serve_forever() on a server that is closed: build another")
            state.listener.unblock(self)
            state.succession.serve(self, stop)
        finally:
            if entered:
                state.serving.end()

    @overload
    def shutdown(self) -> None: ...
    @overload
    def shutdown(self, *, drain: Literal[True]) -> DrainReport | None: ...
    def shutdown(self, *, drain: bool = False) -> DrainReport | None:
        """Stop `serve_forever`, and wait until it has returned.

        Where the thread that accepts is busy with a handler (`Synchronous`), it waits no longer
        than until that is so: such a thread asks for the stop before it accepts again. Workers are
        told to stop; a connection that one of them accepts at that moment is still handled.

        May be called more than once and from anywhere: from any thread; from a handler, a signal
        handler or the serving thread, which are not made to wait for themselves; from a child
        process, which asks its parent; before `serve_forever`, which then returns at once. The
        work that was begun goes on: `server_close` waits for it.

        Args:
            drain: whether to call `server_close` as well, which drains.

        Returns:
            The `drain_report`, if it is to drain; in a child or a worker, which cannot, None.
        """
        state = self._serverstrategy
        if state.serving.signal is None:  # nobody serves whom a forked process could ask
            state.belong_to_this_process()
        state.serving.stop()
        if state.is_here():
            state.serving.wait_until_stopped()
        if not drain:
            return None
        self.server_close()
        return self.drain_report

    def wait_until_serving(self, timeout: float | None = None) -> bool:
        """Block until the server accepts connections, at most `timeout` seconds (None: for ever).

        After a strategy was assigned, until that one accepts.

        Returns:
            Whether it does.
        """
        state = self._serverstrategy
        state.belong_to_this_process()
        return state.serving.wait_until_accepting(timeout)

    def handle_request(self) -> None:
        """Accept one connection and hand it to the strategy. Calls `handle_timeout` if none comes.

        Waits for a connection, and for room, at most the shorter of `timeout` and the listener's
        own timeout, as the standard library does. Returns if the server is closed meanwhile.

        Raises:
            ValueError: the server is closed.
            OSError: no file descriptor is left (EMFILE, ENFILE).
        """
        state = self._serverstrategy
        state.reopen(self)
        if state.is_over(self):
            raise ValueError("handle_request() on a server that is closed: build another")
        state.belong_to_this_process()
        if not state.serving.is_ours():
            state.succession.take_over(self)
        timeouts = (self.timeout, state.listener.unblock(self))
        shortest = min((each for each in timeouts if each is not None), default=None)
        with state.serving.acceptors.caller(self) as acceptor:  # type: ignore[arg-type]
            if acceptor.wait_for_connection(shortest):
                self._handle_request_noblock()
            elif not state.is_over(self):
                self.handle_timeout()

    def collect_children(self, *, blocking: bool = False) -> None:
        """Reap the children that have ended, as `socketserver.ForkingMixIn` does it.

        Nobody has to call it: the acceptor hears of each exit.

        Args:
            blocking: whether to wait until all that is in flight has ended.
        """
        state = self._serverstrategy
        if state.is_here():
            for watched in state.succession.watched():
                watched.check()
            if blocking:
                state.succession.drain(self, None)

    def server_close(self) -> None:
        """Stop serving, close the listener, and wait for what is in flight.

        Waits for `grace_period` seconds. What is left then is cut (`SHUT_RDWR`; a child process
        is killed) and reported; a thread that does not notice even that is abandoned and reported.
        An exception meanwhile, such as a second Ctrl-C, cuts at once. In a handler, it does not
        wait for that handler; the next call elsewhere does. May be called from any thread, more
        than once. A listener on which the handlers answer (that of a datagram server) is closed at
        the end. `drain_report` tells then what became of each connection.

        In a child or a worker it asks the parent to stop serving, and closes the listener in this
        process, unless handlers answer on it. In any other process that was forked from the
        server's it only closes the listener in that process.
        """
        state = self._serverstrategy
        if state.pid != os.getpid():
            listener.close(self)
        elif state.is_child:
            state.serving.stop_now()
            if listener.accepts(getattr(self, "socket", None)):
                listener.close(self)
        elif not state.is_drained:
            in_a_handler = state.in_flight.is_here()
            if in_a_handler and state.is_closed:
                return  # two handlers would wait for each other
            state.is_closed = True
            state.serving.stop_now()
            state.serving.acceptors.wake()
            try:
                self.drain_or_cut(state.succession, self.grace_period)
                if not in_a_handler:
                    state.serving.wait_until_returned(CUT_TIME)
            finally:
                state.serving.acceptors.close_spare()
                if not in_a_handler:
                    state.drain_record.end()
                    state.is_drained = True
                    state.succession.close(self)
