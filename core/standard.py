"""The classes of `socketserver`, as they are when this package is imported.

Programs put ours in their place in that module, or classes of their own.
"""

from __future__ import annotations

import socketserver

MODULE: str = socketserver.__name__
BaseServer = socketserver.BaseServer
TCPServer = socketserver.TCPServer
UDPServer = socketserver.UDPServer
ThreadingMixIn = socketserver.ThreadingMixIn
ForkingMixIn: type | None = getattr(socketserver, "ForkingMixIn", None)

MIX_INS: list[type] = [ThreadingMixIn] if ForkingMixIn is None else [ThreadingMixIn, ForkingMixIn]
SERVERS: list[type] = [
    each
    for each in vars(socketserver).values()
    if isinstance(each, type) and issubclass(each, BaseServer)
]
