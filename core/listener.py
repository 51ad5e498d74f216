"""The socket at which a server waits, whatever its class has put there."""

from __future__ import annotations

import _socket
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, TypeVar

from . import standard

_Function = TypeVar("_Function", bound=Callable[..., Any])

# How long a worker may wait for a datagram that another worker was faster to take, in seconds.
_PATIENCE = 0.001

_Socket = socket.socket
_accept = socket.socket.accept
# A program may have put another class there before it imports this package, as gevent advises.
_is_plain = (_Socket.__module__, _Socket.__base__) == (socket.__name__, _socket.socket)
_family = _socket.socket.family.__get__
_type = _socket.socket.type.__get__
_protocol = _socket.socket.proto.__get__


_NEVER_BLOCKING: set[object] = {standard.TCPServer.get_request}


def never_blocks(get_request: _Function) -> _Function:
    """Mark a `get_request` that does not block where the listener does not."""
    _NEVER_BLOCKING.add(get_request)
    return get_request


class Listener:
    """What is done to a server's `socket`: the bound socket, or whatever else is in its place.

    That may be a wrapper which offers only part of a socket's methods, and it may be replaced at
    any time; a class that is built on `BaseServer` may have none at all, and only a `fileno`.
    """

    def __init__(self) -> None:
        self._unblocked: Any = None
        self._timeout_before: float | None = None

    def unblock(self, server: Any) -> float | None:
        """Make it non-blocking if it accepts, since another process may be faster to accept.

        It stays so: its open file description is shared with the workers. A datagram socket is
        left as it is, because the handlers answer on it.

        Returns:
            Its timeout, in seconds, as the application set it; None: it has none.
        """
        listener: Any = getattr(server, "socket", None)
        if fileno(listener) != fileno(server) or not hasattr(listener, "gettimeout"):
            _unblock_descriptor(fileno(server))
            return None
        timeout: float | None = listener.gettimeout()
        if self._unblocked is listener and timeout == 0.0:
            return self._timeout_before
        if not accepts(listener):
            return timeout
        self._unblocked = listener
        self._timeout_before = timeout
        listener.setblocking(False)
        return timeout

    def may_be_tried(self, server: Any) -> bool:
        """Whether `get_request` may be called though nobody has said that there is a connection.

        Where others call theirs, one is readable. So that of a subclass may block without one: it
        may take connections from elsewhere. So does that of a datagram server.
        """
        listener: Any = getattr(server, "socket", None)
        if self._unblocked is not listener or listener is None or listener.gettimeout() != 0.0:
            return False
        return getattr(server.get_request, "__func__", None) in _NEVER_BLOCKING

    def accepts(self, listener: Any) -> bool:
        """Whether connections are accepted from it; the system is asked only if `unblock` was not.

        A listening socket stays one. Asking costs a child two system calls and 16 pages.
        """
        return (listener is not None and listener is self._unblocked) or accepts(listener)


def _unblock_descriptor(fd: int) -> None:
    """Make what is no `socket` of the server non-blocking, if it accepts."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as listener:
        if accepts(listener):
            os.set_blocking(fd, False)


def fileno(server: Any) -> int:
    """The descriptor to wait for; -1 if there is none any more."""
    try:
        return int(server.fileno())
    except (AttributeError, OSError, TypeError, ValueError):  # what is behind it was taken away
        return -1


def is_plain(listener: Any) -> bool:
    """Whether it is a `socket.socket` itself, and that is the standard library's."""
    is_standard = socket.socket is _Socket and _Socket.accept is _accept and _is_plain
    return is_standard and type(listener) is _Socket


def accept(listener: Any) -> tuple[Any, Any]:
    """What `listener.accept()` returns or raises, at two thirds of the cost for a plain socket.

    `socket.socket.accept` turns the family and the type into members of enums, for a constructor
    that turns them into numbers again.
    """
    if not is_plain(listener):
        return listener.accept()  # type: ignore[no-any-return]
    fd, address = listener._accept()
    request = _Socket(_family(listener), _type(listener), _protocol(listener), fd)
    if listener.gettimeout() and socket.getdefaulttimeout() is None:
        request.setblocking(True)  # as it is there, for systems that hand O_NONBLOCK down
    return request, address


def accepts(listener: Any) -> bool:
    """Whether connections are accepted from it; if not, the handlers use it themselves."""
    try:
        if listener.type != socket.SOCK_STREAM:
            return False
        return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except (AttributeError, OSError):  # no socket, closed, or a system that cannot tell
        return getattr(listener, "type", None) == socket.SOCK_STREAM


def share(server: Any) -> None:
    """Prepare a datagram socket for several processes that receive from it, each in its own way.

    Where another process was faster, a `get_request` that is not ours would block, and with a
    timeout that the application set, ours would too: deaf to the stop.
    """
    listener: Any = getattr(server, "socket", None)
    if getattr(listener, "type", None) != socket.SOCK_DGRAM:
        return
    with contextlib.suppress(OSError, AttributeError):
        timeout = listener.gettimeout()
        if timeout:
            # By its own timeout, Python waits in spite of every flag. The answers keep it.
            _set_timeout(listener, socket.SO_SNDTIMEO, timeout)
            listener.settimeout(None)
        _set_timeout(listener, socket.SO_RCVTIMEO, _PATIENCE)


def _set_timeout(listener: Any, option: int, timeout: float) -> None:
    seconds, fraction = divmod(timeout, 1)
    timeval = struct.pack("@ll", int(seconds), int(1_000_000 * fraction))
    listener.setsockopt(socket.SOL_SOCKET, option, timeval)


def close(server: Any) -> None:
    """Close it, if there is something to close."""
    listener: Any = getattr(server, "socket", None)
    if hasattr(listener, "close"):
        listener.close()
