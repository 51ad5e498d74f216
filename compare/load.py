"""The load: one thread, one loop, many connections at a time.

It is a closed loop: a connection that ends makes room for the next one, so the server is never
asked for more than it answers, and when the load is the slower of the two it sets the rate.
"""

from __future__ import annotations

import errno
import itertools
import selectors
import socket
import time
from dataclasses import dataclass

from .outcome import Outcome

REPLY_TIMEOUT = 5.0  # seconds from connect to the end of file, after which a connection is given up
TICK = 0.010  # seconds between two rounds of giving up and filling up

ERROR_NAMES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
}


class AbandonedError(Exception):
    """The command that asked for the load is gone."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection: connect, send a line, read it back, see the server close."""

    socket: socket.socket
    line: bytes
    started: float
    reply: bytes = b""
    latency: float = 0.0


class Load:
    """Drives connections at a server on the loopback and records what comes back.

    Args:
        port: the server's port on 127.0.0.1.
        concurrency: connections open at a time.
        duration: seconds in which new connections are made.
        reply_timeout: seconds after which a connection counts as an error.
        lifeline: a file descriptor; when it can be read, the load is given up.
    """

    def __init__(
        self,
        port: int,
        concurrency: int,
        duration: float,
        reply_timeout: float = REPLY_TIMEOUT,
        lifeline: int | None = None,
    ) -> None:
        self._address = ("127.0.0.1", port)
        self._concurrency = concurrency
        self._reply_timeout = reply_timeout
        self._numbers = itertools.count(1)
        self._open: dict[Connection, None] = {}  # in the order of their start
        self._selector = selectors.DefaultSelector()
        if lifeline is not None:
            self._selector.register(lifeline, selectors.EVENT_READ, None)
        self._outcome = Outcome(duration)
        self._end = 0.0

    def run(self) -> Outcome:
        """Drive the load; takes the duration, and `reply_timeout` more if the server hangs.

        Raises:
            AbandonedError: the lifeline could be read.
        """
        tick = time.perf_counter()
        self._end = tick + self._outcome.duration
        try:
            while True:
                now = time.perf_counter()
                if now >= tick:
                    self._give_up_overdue(now)
                    self._fill_up(now)
                    tick = now + TICK
                if now >= self._end and not self._open:
                    return self._outcome
                for key, events in self._selector.select(tick - now):
                    if key.data is None:
                        raise AbandonedError
                    self._advance(key.data, events)
        finally:
            for connection in list(self._open):
                self._close(connection)
            self._selector.close()

    def _fill_up(self, now: float) -> None:
        """Start what is missing. Failures wait for this tick, so a dead server is not hammered."""
        if now < self._end:
            for _ in range(self._concurrency - len(self._open)):
                self._start()

    def _give_up_overdue(self, now: float) -> None:
        for connection in list(self._open):
            if now - connection.started < self._reply_timeout:
                break
            self._fail(connection, "timeout")

    def _start(self) -> None:
        # A number makes every line another, so that the answer to somebody else's is noticed.
        line = b"line %d\n" % next(self._numbers)
        started = time.perf_counter()
        try:
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            self._outcome.errors[error_name(error.errno)] += 1
            return
        client.setblocking(False)
        connection = Connection(client, line, started)
        self._open[connection] = None
        failure = client.connect_ex(self._address)
        if failure not in (0, errno.EINPROGRESS):
            self._fail(connection, error_name(failure), registered=False)
            return
        self._selector.register(client, selectors.EVENT_WRITE, connection)

    def _advance(self, connection: Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                connection.socket.send(connection.line)  # raises what became of the connect
                self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
            else:
                self._receive(connection)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(connection, error_name(error.errno))

    def _receive(self, connection: Connection) -> None:
        piece = connection.socket.recv(4096)
        if piece:
            connection.reply += piece
            if connection.reply == connection.line:
                connection.latency = time.perf_counter() - connection.started
            elif not connection.line.startswith(connection.reply):
                self._fail(connection, "wrong reply")
        elif connection.latency:
            self._complete(connection)
        else:
            self._fail(connection, "closed early")

    def _complete(self, connection: Connection) -> None:
        # The server has closed first: TIME_WAIT, and the port it keeps, are on the server's side
        # of the address pair, and this side may use the port for another connection at once.
        # A load that closes first runs out of ports after some 28,000 connections on Linux.
        self._close(connection)
        outcome = self._outcome
        outcome.completed += 1
        outcome.latencies.append(connection.latency)
        if time.perf_counter() <= self._end:
            outcome.completed_in_time += 1
            self._start()

    def _fail(self, connection: Connection, kind: str, *, registered: bool = True) -> None:
        self._outcome.errors[kind] += 1
        self._close(connection, registered=registered)

    def _close(self, connection: Connection, *, registered: bool = True) -> None:
        del self._open[connection]
        if registered:
            self._selector.unregister(connection.socket)
        connection.socket.close()


def error_name(number: int | None) -> str:
    """The kind of an error, from its `errno`: a plain word, or else the symbol."""
    if number is None:
        return "unknown"
    return ERROR_NAMES.get(number) or errno.errorcode.get(number, str(number))
