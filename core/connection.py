"""One connection in flight."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hook_wait import HookWait
    from .in_flight import InFlight


class Connection:
    """One connection in flight.

    Attributes:
        request: what `get_request` returned: a connected socket, for a stream server.
        client_address: the peer, as `get_request` returned it.
        started: when it was accepted, in seconds of `time.monotonic`.
        is_taken: whether the strategy has it.
        is_begun: whether a handler has it.
        thread: the identifier of the thread that has it: of that which accepted it, until the
            strategy has it, and of that which runs its handler; None in between.
        has_failed: whether an error was reported for it.
        is_cut: whether it was ended from outside.
        child: the process identifier of the child that handles it; None if this process does.
        part: the register of those that were accepted for the same strategy.
        hook_wait: goes on while the server's hooks have it, until the strategy has; None: nothing.
    """

    # A dictionary of its own would be a fourth of what it costs to make and to drop one.
    __slots__ = (
        "__weakref__",
        "child",
        "client_address",
        "has_failed",
        "hook_wait",
        "is_begun",
        "is_cut",
        "is_taken",
        "part",
        "request",
        "started",
        "thread",
    )

    child: int | None
    hook_wait: HookWait | None

    def __init__(
        self, request: Any, client_address: Any, part: InFlight, thread: int | None = None
    ) -> None:
        self.request = request
        self.client_address = client_address
        self.part = part
        self.thread = thread
        self.started = time.monotonic()
        self.is_taken = self.is_begun = self.has_failed = self.is_cut = False
        self.child = self.hook_wait = None

    @property
    def age(self) -> float:
        """Seconds since it was accepted."""
        return time.monotonic() - self.started

    def __repr__(self) -> str:
        by = ""
        if self.child is not None:
            by = f" in child {self.child}"
        elif self.thread is not None:
            by = f" in thread {self.thread}"
        return f"<connection from {self.client_address!r}{by}, {self.age:.3f} s>"

    def status(self) -> dict[str, Any]:
        """It as plain data: its peer, its age in seconds, its thread, its child."""
        return {
            "peer": plain_address(self.client_address),
            "age": self.age,
            "thread": self.thread,
            "child": self.child,
        }

    def cut(self) -> None:
        """End it from outside: its handler reads the end of file, or its child is killed."""
        self.is_cut = True
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)
        elif hasattr(self.request, "shutdown"):
            # OSError: the peer is gone already, or the handler has closed it. Others: what
            # `get_request` returned is not quite a socket. The next one is to be cut all the same.
            with contextlib.suppress(Exception):
                self.request.shutdown(socket.SHUT_RDWR)


_PLAIN = {str, bytes, int, bool, type(None)}


def plain_address(address: Any) -> Any:
    """The address as JSON takes it: a tuple as a list; whatever JSON has no form for, as text."""
    if isinstance(address, tuple | list):
        return [plain_address(part) for part in address]
    return address if isinstance(address, str | int | float | None) else repr(address)


def without_resources(client_address: Any) -> Any:
    """The address, as text if it holds anything but plain values: a socket, say."""
    parts = client_address if isinstance(client_address, tuple) else (client_address,)
    is_plain = _PLAIN.issuperset(map(type, parts)) or all(
        isinstance(part, str | bytes | int | None) for part in parts
    )
    return client_address if is_plain else repr(client_address)
