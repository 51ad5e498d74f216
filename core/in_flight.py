"""The register of the connections that are being handled."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from .connection import Connection
from .observer import Observer


class Wakeable(Protocol):
    """What waits until a connection ends."""

    def wake(self) -> None:
        """Go on. From any thread; never blocks, never raises."""


class InFlight:
    """The connections of one server, in this process, from hand-over to close.

    A strategy sees those that were accepted in its own time; the application sees all. Iterating
    gives a snapshot. Safe to use from any thread.

    Args:
        whole: the register of which this is a part; None: this is a whole.

    Attributes:
        parked: those who wait until a connection ends, see `park`.
    """

    # What each connection goes through takes no lock. Who waits says so first and asks second; who
    # changes something does so first and looks for those who wait second: one sees the other.

    def __init__(self, whole: InFlight | None = None) -> None:
        whole = self if whole is None else whole
        self._whole: InFlight = whole
        if whole is self:
            # Reentrant, because a signal handler runs inside whatever the main thread is doing.
            self._lock = threading.RLock()
            self._changed = threading.Condition(self._lock)
            self.parked: deque[Wakeable] = deque()
            self._observers: tuple[Observer, ...] = ()
        else:
            self._lock, self._changed, self.parked = whole._lock, whole._changed, whole.parked
        self._waiting = 0
        self._connections: dict[int, Connection] = {}
        self._newest: InFlight = self

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        # A copy of a dict is made in one step, which no other thread can come into.
        return iter(self._connections.copy().values())

    def __contains__(self, request: object) -> bool:
        return id(request) in self._connections

    def observe(self, observer: Observer) -> None:
        """Have `observer` told of the connections of the server from now on."""
        self._whole._observers += (observer,)

    def forget_observer(self, observer: Observer) -> None:
        """Have `observer` told no more."""
        whole = self._whole
        whole._observers = tuple(each for each in whole._observers if each is not observer)

    def tell_accepting(self) -> None:
        """Tell the observers that connections are accepted from here on."""
        for observer in self._whole._observers:
            observer.accepting()

    def oldest(self) -> Connection | None:
        """The one that was accepted first, of those that no child process has; None: there is none.

        Takes no lock, and makes no copy, since it is asked for each connection.
        """
        while True:
            try:
                for connection in self._connections.values():
                    if connection.child is None:
                        return connection
            except RuntimeError:  # another thread, or a signal handler, has entered one meanwhile
                continue
            return None

    def find(self, request: Any) -> Connection | None:
        """The connection of which this is the request; None: it is not, or no longer, in flight."""
        return self._whole._connections.get(id(request))

    def enter_in(self, part: InFlight) -> None:
        """Enter the connections that come from now on in `part` as well. Takes no lock."""
        self._whole._newest = part

    def add(self, request: Any, client_address: Any, thread: int | None = None) -> Connection:
        """Enter a connection that was accepted, by the thread with the identifier `thread`."""
        whole = self._whole
        part = whole._newest
        connection = Connection(request, client_address, part, thread)
        key = id(request)
        whole._connections[key] = part._connections[key] = connection
        for observer in whole._observers:
            observer.began(connection)
        return connection

    def take(self, request: Any, client_address: Any) -> Connection:
        """Note that the strategy has the connection from here on, wherever it was accepted."""
        connection = self._whole._connections.get(id(request))
        if connection is None:
            connection = self.add(request, client_address)
        connection.is_taken = True
        connection.thread = None
        return connection

    def begin(self, request: Any, client_address: Any) -> None:
        """Note that the calling thread handles the connection from here on."""
        connection = self._whole._connections.get(id(request))
        if connection is None:
            connection = self.add(request, client_address)
        connection.thread = threading.get_ident()
        connection.is_taken = connection.is_begun = True
        if self._whole._waiting:
            self.poke()

    def hand_to_child(self, request: Any, pid: int, client_address: Any = None) -> None:
        """Note that the child process `pid` handles the connection from here on.

        Args:
            request: which connection.
            pid: the child's process identifier.
            client_address: what to keep as the peer's address; None: the one that was entered.
        """
        connection = self.find(request)
        if connection is not None:
            connection.is_begun = True
            connection.child = pid
            if client_address is not None:
                connection.client_address = client_address
            for observer in self._whole._observers:
                observer.handed_to_child(connection)
            self.poke()

    def is_begun(self, request: Any) -> bool:
        """Whether a handler has the connection: whoever runs that handler closes it."""
        connection = self.find(request)
        return connection is not None and connection.is_begun

    def remove(self, request: Any) -> None:
        """Strike a connection off: it is closed. Unknown ones are ignored."""
        if self.strike_off(request) is not None:
            self.pass_on()

    def strike_off(self, request: Any) -> InFlight | None:
        """Like `remove`, but leave it to the caller to `pass_on` the room.

        Returns:
            The part that the connection was in; None if it is unknown.
        """
        whole = self._whole
        key = id(request)
        connection = whole._connections.pop(key, None)
        if connection is None:
            return None
        part = connection.part
        part._connections.pop(key, None)
        for observer in whole._observers:
            observer.ended(connection)
        if whole._waiting:
            self.poke()
        return part

    def handled_by(self, thread: int) -> bool:
        """Whether the thread with the identifier `thread` is running a handler."""
        return any(connection.thread == thread and connection.is_begun for connection in self)

    def is_here(self) -> bool:
        """Whether the calling thread has one of the connections: it is in a handler or a hook."""
        me = threading.get_ident()
        return any(connection.thread == me for connection in self)

    def park(self, waiter: Wakeable) -> None:
        """Wake `waiter`, once, when the next connection ends whose room no thread takes by itself.

        The caller asks again whether there is room after this call and before it waits: an end in
        between would be missed otherwise.
        """
        self.parked.append(waiter)

    def unpark(self, waiter: Wakeable) -> None:
        """Take `park` back, if the wake-up has not come yet."""
        if waiter in self.parked:
            with contextlib.suppress(ValueError):  # it has come at this moment
                self.parked.remove(waiter)

    def pass_on(self) -> None:
        """Wake the next one that is parked: for room that came, or that the caller leaves to it."""
        if self.parked:
            with contextlib.suppress(IndexError):  # nobody is any more
                self.parked.popleft().wake()

    def wait_until(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Block until `condition()` is true, at most `timeout` seconds (None: for ever).

        It is asked again whenever a connection begins or ends, and after `poke`.

        Returns:
            The last answer of `condition`.
        """
        with self._changed:
            self._whole._waiting += 1
            try:
                return self._changed.wait_for(condition, timeout)
            finally:
                self._whole._waiting -= 1

    def poke(self) -> None:
        """Have every `wait_until` ask its condition again."""
        if self._whole._waiting:
            with self._lock:
                self._changed.notify_all()

    def wait_for_none(self, timeout: float | None) -> bool:
        """Block until no connection is left, at most `timeout` seconds (None: for ever).

        Called in a handler, it does not wait for that handler's own connection.

        Returns:
            Whether none is left.
        """
        return self.wait_until(lambda: not self.others(), timeout)

    def cut(self) -> list[Connection]:
        """Cut every connection but the calling handler's own: `SHUT_RDWR`, or SIGKILL to a child.

        Returns:
            The connections that were cut. Their handlers may still need a moment to notice.
        """
        others = self.others()
        for connection in others:
            connection.cut()
        return others

    def others(self) -> list[Connection]:
        """The connections but the calling handler's own."""
        me = threading.get_ident()
        return [connection for connection in self if connection.thread != me]
