"""One child that was forked ahead: the way on which a connection gets to it."""

from __future__ import annotations

import _socket
import marshal
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from serverstrategy.strategy import Server

# What a message may take up, in bytes: no more than what goes through the socket pair in one piece.
_LONGEST = 4096

_FD_SIZE = 4

_Socket = socket.socket
# A program may have put another class there, as gevent does.
_is_plain = (_Socket.__module__, _Socket.__base__) == (socket.__name__, _socket.socket)
# Without the enums, into members of which `socket.socket` turns them.
_family = _socket.socket.family.__get__
_type = _socket.socket.type.__get__
_protocol = _socket.socket.proto.__get__

_SEND_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
_RECEIVE_FLAGS: int = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

OnExit = Callable[[int, int], None]


class Duty(NamedTuple):
    """What the spare children of a strategy are for.

    Attributes:
        server: whose connections they take.
        handle: called in a child with the server, a request and its client's address; returns the
            exit status.
        is_urgent: whether a connection waits that can be accepted, which is to come first.
        on_end: called when a child has ended that had no connection.
    """

    server: Server
    handle: Callable[[Server, Any, Any], int]
    is_urgent: Callable[[], bool]
    on_end: Callable[[], None]


def pack(request: Any, client_address: Any) -> bytes | None:
    """What a child needs besides the descriptor; None if the connection cannot be sent.

    That is so if it is no plain socket (one with TLS has state in this process, and a datagram has
    a socket beside it), or has an address of other than plain values.
    """
    if type(request) is not _Socket or not _is_plain:
        return None
    what = _family(request), _type(request), _protocol(request), request.gettimeout()
    try:
        # Not pickle, which would be imported for what the system's addresses do not need.
        message = marshal.dumps((what, client_address))
    except ValueError:
        return None
    return message if len(message) <= _LONGEST else None


class Spare:
    """A child that waits for one connection, or had been given one.

    The parent holds both ends of a socket pair, and the child the receiving one. So the child reads
    the end of file when the parent is killed; and what a child has not taken when it dies is still
    there for another one.

    Opens two file descriptors; `close` gives them back.

    Attributes:
        pid: the child's process identifier; 0 before it is forked.
        started: when the child was forked, in seconds of `time.monotonic`.
        status: with which the child has ended; 0 while it has not.
        on_start: see `Spares.give`; None while it waits.
        on_exit: see `Spares.give`; None while it waits.

    Raises:
        OSError: no file descriptor is left (EMFILE, ENFILE).
    """

    def __init__(self) -> None:
        self.pid = self.status = 0
        self.started = 0.0
        self.on_start: Callable[[int], None] | None = None
        self.on_exit: OnExit | None = None
        self._sender, self._receiver = socket.socketpair()

    def send(self, request: Any, message: bytes) -> None:
        """Give the child a connection, with what `pack` has returned.

        Raises:
            OSError: it cannot be sent.
        """
        fd = request.fileno().to_bytes(_FD_SIZE, sys.byteorder)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd)]
        if self._sender.sendmsg([message], rights, _SEND_FLAGS) != len(message):
            raise OSError("the connection was not sent in one piece")
        self._sender.close()

    def is_taken(self) -> bool:
        """Whether the child has what was sent to it, or there was nothing."""
        try:
            return not self._receiver.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:  # nothing there, or closed
            return True

    def receive(self) -> tuple[Any, Any] | None:
        """Wait for a connection. In the child.

        Returns:
            The request and the client's address; None if there will be none: the parent has closed
            its end, or is gone.
        """
        with self._receiver:
            space = socket.CMSG_SPACE(_FD_SIZE)
            message, rights, _, _ = self._receiver.recvmsg(_LONGEST, space, _RECEIVE_FLAGS)
        if not message:
            return None
        ((_, _, data),) = rights
        fd = int.from_bytes(data[:_FD_SIZE], sys.byteorder)
        if not _RECEIVE_FLAGS:
            os.set_inheritable(fd, False)
        (family, kind, protocol, timeout), client_address = marshal.loads(message)
        request = _Socket(family, kind, protocol, fd)
        if request.gettimeout() != timeout:  # else it is in force, and setting it a system call
            request.settimeout(timeout)
        return request, client_address

    def close(self) -> None:
        """Give the descriptors back; a child that waits for a connection exits."""
        self._sender.close()
        self._receiver.close()

    def leave_to_parent(self, *, is_own: bool) -> None:
        """Close this process's copies: it was forked from the parent.

        Args:
            is_own: whether it may be the child that is to receive.
        """
        for end in (self._sender,) if is_own else (self._sender, self._receiver):
            fd = end.detach()
            if fd != -1:
                os.close(fd)


def wait(duty: Duty, spare: Spare) -> int:
    """What a spare child does: wait for a connection, and handle it. Returns the exit status."""
    duty.server.become_child()
    connection = spare.receive()
    if connection is None:
        return 0
    status = duty.handle(duty.server, *connection)
    # The system likes to run the child, and the peer if it is on this machine, where the parent
    # runs: who is woken there would wait for this exit, which takes longer than all else here.
    if hasattr(os, "sched_yield"):
        os.sched_yield()
    return status
