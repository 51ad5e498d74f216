"""The contract between a server and its strategy: four questions, and what a strategy may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .expression import expression

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from .drain_report import ConnectionFate, DrainReport
    from .drainable import Drainable
    from .in_flight import InFlight
    from .stop_signal import StopSignal
    from .waiter import Wait, Waiter
    from .watched import Watched


class Server(Protocol):
    """What a strategy is handed: the part of a server that a strategy may use.

    Attributes:
        socket: the listener.
        in_flight: the connections that this process handles by the strategy; those of the one
            before it, which may still drain, are not among them. See `InFlight`.
        grace_period: how long `server_close` waits for what is in flight, in seconds; None: for
            ever.
    """

    socket: socket.socket
    in_flight: InFlight
    grace_period: float | None

    def fileno(self) -> int:
        """The listener's descriptor."""
        raise NotImplementedError

    def accept_until_stopped(self, stop: StopSignal, wait: Wait | None = None) -> None:
        """Accept, one connection at a time, until `stop` is heard.

        Asks the strategy's `ready` before each accept and waits, without ticking, while it says
        no. Several threads may call this at the same time.

        Args:
            stop: ends it.
            wait: for a strategy with an event loop: blocks, while the loop runs, until one of the
                descriptors in its first argument is readable, for at most the seconds in its
                second (None: for ever), and returns those that are. What it raises goes through.
                By default a system call blocks the thread.
        """

    def accept_one(self) -> None:
        """Accept one connection if there is one and `ready` says yes; never waits for either.

        It does not tell which. Who waits for the listener himself must leave it alone while there
        is no room, or he spins: `accept_until_stopped` with a `wait` does that, and hears when
        room has come back.
        """

    def mark_serving(self) -> None:
        """Say that connections are being accepted, which ends `wait_until_serving`.

        `accept_until_stopped` says it by itself.
        """

    def is_led(self) -> bool:
        """Whether one thread accepts and handles alone, because all get no more done.

        Others wait in the backlog then, though `ready` says that there is room.
        """
        raise NotImplementedError

    def complete_request(self, request: Any, client_address: Any) -> None:
        """Run the handler, report its error, close the connection.

        Never raises an `Exception`. Raises another `BaseException` (SystemExit,
        KeyboardInterrupt) only in the thread that called `serve_forever` or `handle_request`,
        where the standard library lets it through too.
        """

    def close_request(self, request: Any) -> None:
        """Drop this process's copy of the connection, after a child took it over."""

    def refuse_request(self, request: Any, client_address: Any) -> None:
        """Close the connection without a handler, as if `verify_request` had refused it.

        In the place of `complete_request`, and within `process_request`. It is no error. What a
        subclass took for the connection it gives back, as in `end_child`. A datagram is dropped.
        """

    def address_beside_child(self, client_address: Any) -> Any:
        """What a parent keeps as the address of a connection that its child handles.

        That is what `end_child` needs, and nothing else that only the child is to have open.
        """

    def end_child(self, request: Any, client_address: Any) -> None:
        """Note that the child which handled the connection has ended. For its parent.

        A subclass that takes something in `verify_request` or `process_request`, and gives it back
        around `process_request_thread`, gave it back in the child only, so that is done here too.
        """

    def add_watched(self, watched: Watched) -> None:
        """Have every acceptor of this process wait for `watched` as well."""

    def remove_watched(self, watched: Watched) -> None:
        """Take `add_watched` back."""

    def wait_with_watched(self, waiter: Waiter, timeout: float | None) -> set[int]:
        """Wait by `waiter` and for what is watched, for at most `timeout` seconds (None: for ever).

        For a strategy whose `serve` does not accept by itself, so that all children are reaped: its
        own, and those of the strategy before it.

        Returns:
            What `Waiter.wait` does.
        """
        raise NotImplementedError

    def become_child(self) -> None:
        """Turn this copy of the server into that of a forked child, which handles one connection.

        Forgets what the parent has in flight, and closes the listener, unless the handler answers
        on it, as that of a datagram does.
        """

    def become_worker(self, stop: StopSignal) -> None:
        """Turn this copy of the server into that of a forked worker, which accepts until `stop`.

        Keeps the listener, and forgets what the parent has in flight.
        """

    def cut_in_flight(self) -> None:
        """Cut what is in flight, and report whom: the grace period is over."""

    def drain_or_cut(self, strategy: Drainable, timeout: float | None) -> bool:
        """Close the listener, drain `strategy` for `timeout` seconds, cut and report the rest.

        A listener on which the handlers answer is closed at the end.

        Returns:
            Whether everything ended by itself.
        """
        raise NotImplementedError

    @property
    def drain_report(self) -> DrainReport | None:
        """What became of what this process had in flight when `drain_or_cut` began, so far.

        None before.
        """
        raise NotImplementedError

    @property
    def drain_began(self) -> float | None:
        """When the drain began of which `drain_report` tells, in seconds of `time.monotonic`.

        None before.
        """
        raise NotImplementedError

    def note_fates(self, fates: Iterable[ConnectionFate]) -> None:
        """Add to the `drain_report` what became of connections that the strategy had elsewhere.

        Those of its workers, say. To be called within `drain`; at any other time it does nothing.
        """


class Strategy:
    """How a server runs the handlers of its connections.

    A strategy answers four questions; each answer here is that of a server that handles one
    connection at a time in the thread that accepts. Override what differs.

    A constructor starts nothing, neither thread nor process nor descriptor: a strategy may be
    built in one process and used in another. It checks its arguments, and keeps each under its own
    name, since `repr` reads them back from there.

    Attributes:
        multithread: whether handlers may run in several threads of one process.
        multiprocess: whether handlers may run in several processes, that is, whether it forks.
        threads_accept: whether the thread that has ended a connection may accept the next one, in
            the place of an acceptor that waits for room, or that leaves it to one thread because
            several get no more done. Then `complete_request` calls `ready` and `process_request`,
            in several threads at a time, after the connection has ended.
        datagrams: whether it can handle datagrams. A datagram server refuses one that cannot.
        unsupported: why this platform cannot run it, as text; None if it can. Constructors do not
            mind; a server refuses a strategy that has a reason.
    """

    multithread: bool = False
    multiprocess: bool = False
    datagrams: bool = True
    threads_accept: bool = False
    unsupported: str | None = None

    def serve(self, server: Server, stop: StopSignal) -> None:
        """Who accepts? Returns when accepting has stopped, not before `stop`.

        The work that was begun may go on: `drain` waits for it.
        """
        server.accept_until_stopped(stop)

    def ready(self, server: Server) -> bool:
        """May one more be accepted? Never blocks.

        While it says no, connections wait in the kernel's backlog, where another process can take
        them. It is asked again when a connection ends.
        """
        return True

    def process_request(self, server: Server, request: Any, client_address: Any) -> None:
        """Who handles this connection? Calls `server.complete_request` once, here or elsewhere.

        If it raises instead, the connection goes back to the server, which reports the error and
        closes it.
        """
        server.complete_request(request, client_address)

    def drain(self, server: Server, timeout: float | None) -> bool:
        """Has everything that I started ended? Waits at most `timeout` seconds (None: for ever).

        Called when nothing is accepted for it any more. If it says no, the server cuts what is in
        flight and asks once more, maybe while another thread still waits in this method. Afterwards
        the strategy can be used again.
        """
        return server.in_flight.wait_for_none(timeout)

    def status(self, server: Server) -> dict[str, Any]:
        """What is it doing? As dicts, lists, texts, numbers and None, which `json.dumps` takes.

        No question of the server's, but one of the application's, by `server.status()`: at any
        time, from any thread or signal handler, so it takes no lock and never blocks. Whoever
        overrides it adds to what this one returns.

        Returns:
            "strategy": the `repr`. "inner": the status of the strategy in the attribute `inner`, if
            there is one; if not, this is the one that handles, and shows "connections": for each in
            flight, "peer", "age" in seconds, "thread" (the identifier of the thread that has it;
            None if it waits for one) and "child" (the process identifier of the child that has it;
            None if this process does).
        """
        shown: dict[str, Any] = {"strategy": repr(self)}
        inner = getattr(self, "inner", None)
        if isinstance(inner, Strategy):
            shown["inner"] = inner.status(server)
        else:
            shown["connections"] = [connection.status() for connection in server.in_flight]
        return shown

    def __repr__(self) -> str:
        """The expression that builds it, as `serverstrategy.strategies.parse` reads it."""
        return expression(self)
