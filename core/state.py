"""What a server keeps for itself, under one attribute that no subclass takes for its own."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

from . import ownership
from .drain_record import DrainRecord
from .in_flight import InFlight
from .listener import Listener, fileno
from .nudge import Nudge
from .relay import Relay
from .serving import Serving
from .shortage import Shortage
from .stop_signal import StopSignal
from .strategy import Strategy
from .succession import Succession

NAME = "_serverstrategy"
"""The attribute of a server under which its state is."""


class State:
    """The state of one server, in one process.

    Attributes:
        in_flight: the connections that this process handles.
        shortage: whether accepting is paused.
        listener: what is done to the listener.
        serving: the state of `serve_forever`.
        succession: the strategies, one after the other.
        relay: accepts in the threads that end connections.
        admission: held from the question for room to the entry in `in_flight`.
        accepted: how many connections were accepted.
        left: how often a connection was left in the backlog that may have been there.
        nudge: wakes all processes that share the listener; None while there is but one.
        drain_record: what becomes of the connections when the server drains.
        is_closed: whether `server_close` was called.
        is_drained: whether it has returned.
        is_child: whether this is a child's or a worker's copy.
        pid: the process that this state belongs to.
        settled: by `id`, the connections that need no handler here, while they are dealt with: a
            child has handled it, or it is refused.
        handling_method: the `process_request_thread` that `wraps_handling` is about.
        wraps_handling: whether that one does something around ours.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.in_flight = InFlight()
        self.drain_record = DrainRecord(self.in_flight)
        self.succession = Succession(strategy, self.in_flight)
        self.shortage = Shortage()
        self.listener = Listener()
        self.serving = Serving(self.in_flight)
        self.admission = threading.Lock()
        self.relay = Relay()
        self.accepted = self.left = 0
        self.nudge: Nudge | None = None
        self.is_closed = False
        self.is_drained = False
        self.is_child = False
        self.pid = os.getpid()
        self.settled: set[int] = set()
        self.handling_method: object = None
        self.wraps_handling = False
        self._belonging = threading.RLock()
        self._for_child: Serving | None = Serving(InFlight())

    @property
    def strategy(self) -> Strategy:
        """The object that runs the handlers: the one that was assigned last."""
        return self.succession.newest

    def is_over(self, server: object) -> bool:
        """Whether `server_close` was called, or somebody closed the listener."""
        return self.is_closed or fileno(server) < 0

    def reopen(self, server: object) -> None:
        """Begin anew if the server was closed, and has got another listener since.

        Raises:
            OSError, ValueError: see `ownership.claim`; the strategy may serve another meanwhile.
        """
        if self.is_drained and fileno(server) >= 0:
            ownership.claim(self.strategy, server)
            self.drain_record = DrainRecord(self.in_flight)
            self.is_closed = self.is_drained = False

    def open_nudge(self) -> None:
        """Make `nudge`, before other processes are forked."""
        if self.nudge is None:
            with contextlib.suppress(OSError):  # then each connection wakes all of them
                self.nudge = Nudge()

    def close_nudge(self) -> None:
        """Give the descriptor of `nudge` back, if there is one."""
        nudge, self.nudge = self.nudge, None
        if nudge is not None:
            nudge.close()

    def is_here(self) -> bool:
        """Whether this process is the one that serves, not one that was forked from it."""
        return self.pid == os.getpid() and not self.is_child

    def belong_to_this_process(self) -> None:
        """Forget what another process has in flight: this one was forked from it by the program.

        A daemon, say, is forked between the server's construction and its service.
        """
        with self._belonging:
            if self.pid != os.getpid():
                self._start_afresh(None)

    def become_worker(self, stop: StopSignal) -> None:
        """Become the state of a worker, which `stop` stops."""
        self.is_child = True
        self._start_afresh(stop)

    def become_child(self) -> None:
        """Become the state of a child, which handles one connection and accepts none.

        What only an acceptor needs stays as it was: each object that is made in a child, and each
        function that runs there, copies pages of its parent's memory. So what the child has of its
        own was made beforehand, once for all: each gets a copy, which nobody has used.
        """
        self.is_child = True
        self.pid = os.getpid()
        before = self.serving
        before.acceptors.close_inherited()
        after, self._for_child = self._for_child or Serving(InFlight()), None
        after.signal, after.poll_interval = before.signal, before.poll_interval
        self.in_flight = self.succession.current.in_flight = after.in_flight
        self.serving = after

    def _start_afresh(self, stop: StopSignal | None) -> None:
        self.pid = os.getpid()
        self.serving.acceptors.close_inherited()
        self.admission = threading.Lock()
        self.relay = Relay()
        self.accepted = self.left = 0
        self.in_flight = InFlight()
        self.drain_record = DrainRecord(self.in_flight)
        self.succession.start_afresh(self.in_flight)
        self.serving = Serving(self.in_flight, stop, self.serving.poll_interval)


class StateAttribute:
    """Makes a server's state when it is asked for, if no constructor of ours has made it.

    A class that was written for `socketserver` may have an `__init__` that calls none of its base
    classes'.
    """

    def __get__(self, server: Any, owner: type | None = None) -> State:
        if server is None:
            raise AttributeError(f"only a server has {NAME}, not its class")
        make_strategy = type(server).make_strategy
        state = keep(server, make_strategy())
        if make_strategy is not Strategy:  # the default, which nobody has chosen
            server._serverstrategy_given(state.strategy)
        return state


def keep(server: object, strategy: object) -> State:
    """Give `server` a state with `strategy`, unless it has a state; return it.

    Raises:
        TypeError: `strategy` is no strategy.
        OSError, ValueError: see `ownership.claim`.
    """
    checked = ownership.check_strategy(strategy)
    # From here on the instance's own entry is found first: only a data descriptor would win.
    state = vars(server).setdefault(NAME, State(checked))
    if state.strategy is checked:
        try:
            ownership.claim(checked, server)
        except BaseException:
            del vars(server)[NAME]
            raise
    return state  # type: ignore[no-any-return]


MakeStrategy = Callable[[], Strategy]
