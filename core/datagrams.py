"""How datagrams are received."""

from __future__ import annotations

import socket
from typing import Any

# recv(2): for one call, where O_NONBLOCK would be for everybody who uses the socket.
_DONT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)


class DatagramHooks:
    """The hook of every class of datagram servers, ours and adopted ones."""

    max_packet_size: int
    socket: socket.socket

    def get_request(self) -> tuple[Any, Any]:
        """Receive: return (datagram, socket), where the socket is for the answer, and the peer.

        Raises:
            OSError: see recvfrom(2); `BlockingIOError` if another process was faster.
        """
        data, client_address = self.socket.recvfrom(self.max_packet_size, _DONT_WAIT)
        return (data, self.socket), client_address
