"""The servers of the standard library's family."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from . import ownership
from .base_server import BaseServer
from .datagrams import DatagramHooks
from .listener import accept, never_blocks
from .socket_file import SocketFile
from .strategy import Strategy

# On POSIX, SO_REUSEADDR lets a server bind while connections of its predecessor are in TIME_WAIT.
# On Windows and Cygwin it lets two servers bind the same port.
_REUSE_ADDRESS_IS_SAFE = os.name == "posix" and sys.platform != "cygwin"

_AF_UNIX: int = getattr(socket, "AF_UNIX", -1)

# accept(2): on Linux a connection does not inherit O_NONBLOCK from the listener; on BSD it does.
_INHERITS_NONBLOCKING = not sys.platform.startswith("linux")


class TCPServer(BaseServer):
    """A TCP server with the interface of `socketserver.TCPServer`.

    Args:
        server_address: (host, port); port 0 lets the system choose, see `server_address` then.
        RequestHandlerClass: called with (request, client_address, server) for each connection: a
            subclass of `StreamRequestHandler` or `BaseRequestHandler`.
        bind_and_activate: whether to bind and listen now, instead of by calls of `server_bind`
            and `server_activate`.
        strategy: how to run the handlers; one connection at a time if none is given.

    Raises:
        OSError: the address cannot be bound, or the platform cannot run `strategy`.
        TypeError: `strategy` is no strategy.
        ValueError: `strategy` serves another server, or cannot handle the datagrams of this one.

    Attributes, which may be set on a subclass:
        address_family: `AF_INET`; an IPv6 literal as the host makes it `AF_INET6`, unless a
            subclass sets it.
        socket_type: `SOCK_STREAM`.
        request_queue_size: the length of the backlog; as long as the system allows
            (`SOMAXCONN`), where the standard library has 5.
        allow_reuse_address: whether to set `SO_REUSEADDR`: yes on POSIX, where it is safe.
        allow_reuse_port: whether to set `SO_REUSEPORT`: no.
    """

    address_family: int = socket.AF_INET
    socket_type: int = socket.SOCK_STREAM
    request_queue_size: int = socket.SOMAXCONN
    allow_reuse_address: bool = _REUSE_ADDRESS_IS_SAFE
    allow_reuse_port: bool = False

    def __init__(
        self,
        server_address: Any,
        RequestHandlerClass: Callable[[Any, Any, Any], Any],  # noqa: N803 - its name is public
        bind_and_activate: bool = True,
        *,
        strategy: Strategy | None = None,
    ) -> None:
        super().__init__(server_address, RequestHandlerClass, strategy=strategy)
        if self._family_is_ours() and _is_ipv6_literal(server_address):
            self.address_family = socket.AF_INET6
        try:
            self.socket = socket.socket(self.address_family, self.socket_type)
        except BaseException:
            ownership.release(self.strategy, self)
            raise
        if bind_and_activate:
            try:
                self.server_bind()
                self.server_activate()
            except BaseException:
                self.server_close()
                raise

    def server_bind(self) -> None:
        """Bind the listener, and read `server_address` back from it."""
        if self.allow_reuse_address and hasattr(socket, "SO_REUSEADDR"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Linux refuses SO_REUSEPORT for any other family since 6.12.9.
        has_ports = self.address_family in (socket.AF_INET, socket.AF_INET6)
        if self.allow_reuse_port and has_ports and hasattr(socket, "SO_REUSEPORT"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def server_activate(self) -> None:
        """Have the listener listen, with a backlog of `request_queue_size`."""
        self.socket.listen(self.request_queue_size)

    def fileno(self) -> int:
        """The listener's descriptor; -1 if it is closed."""
        return self.socket.fileno()

    @never_blocks
    def get_request(self) -> tuple[Any, Any]:
        """Accept: return the connected socket and its peer's address.

        Raises:
            OSError: see accept(2); `BlockingIOError` if another process was faster.
        """
        request, client_address = accept(self.socket)
        if _INHERITS_NONBLOCKING and socket.getdefaulttimeout() is None:
            request.setblocking(True)
        return request, client_address

    def shutdown_request(self, request: Any) -> None:
        """Send the end of file to the peer, and close the connection."""
        try:  # noqa: SIM105 - contextlib.suppress takes as long as the close
            request.shutdown(socket.SHUT_WR)
        except OSError:  # the peer is gone already (ENOTCONN), or the handler has closed it
            pass
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        """Close this process's copy of the connection."""
        request.close()

    def _family_is_ours(self) -> bool:
        owner = next(cls for cls in type(self).__mro__ if "address_family" in vars(cls))
        return owner is TCPServer and "address_family" not in vars(self)


class UDPServer(DatagramHooks, TCPServer):
    """A UDP server with the interface of `socketserver.UDPServer`.

    Each datagram is a "connection" of its own: a strategy counts it, and hands it to one thread
    or process. The handler gets (datagram, socket) as its request, as `DatagramRequestHandler`
    expects it, and answers by the listener, which therefore stays open in a child, and at the end
    until the last handler has returned.

    Attributes, which may be set on a subclass:
        max_packet_size: the bytes of a datagram to receive; the rest of a longer one is lost.
        allow_reuse_address: no, since a second server could take the datagrams of the first.
    """

    socket_type: int = socket.SOCK_DGRAM
    max_packet_size: int = 8192
    allow_reuse_address: bool = False

    def server_activate(self) -> None:
        """Do nothing: a datagram socket does not listen."""

    def shutdown_request(self, request: Any) -> None:
        """Do nothing, but call `close_request`."""
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        """Do nothing: the socket is the listener."""


class UnixStreamServer(SocketFile, TCPServer):
    """A server at a path of the file system, as `socketserver.UnixStreamServer`."""

    address_family: int = _AF_UNIX


class UnixDatagramServer(SocketFile, UDPServer):
    """A datagram server at a path of the file system, as `socketserver.UnixDatagramServer`."""

    address_family: int = _AF_UNIX


def _is_ipv6_literal(server_address: Any) -> bool:
    if not (socket.has_ipv6 and isinstance(server_address, tuple) and server_address):
        return False
    host = server_address[0]
    if not (isinstance(host, str) and ":" in host):
        return False
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        return False
    return True
