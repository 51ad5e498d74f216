"""A server in a process of its own, of any class, whose handler tells where it runs.

    python migrating_server.py WAY CLASS STRATEGY PATH

WAY is "ours" or "adopted"; PATH is the address of a Unix server. SIGTERM makes it tell what is in
flight, and end.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import socketserver
import sys
import threading
from typing import Any

import serverstrategy
from serverstrategy import BaseRequestHandler, adopt
from serverstrategy.strategies import parse


class Told(BaseRequestHandler):
    """Tells where it runs; keeps the connection until the client has said something."""

    def handle(self) -> None:
        server: Any = self.server
        server.visits += 1
        self.told = {
            "pid": os.getpid(),
            "is_main": threading.current_thread() is threading.main_thread(),
            "visits": server.visits,
            "around": server.around,
            "listener": server.fileno(),
            "ignores_sigint": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
            "has_receive_timeout": self.has_timeout(socket.SO_RCVTIMEO),
            "has_send_timeout": self.has_timeout(socket.SO_SNDTIMEO),
        }
        if isinstance(self.request, tuple):
            self.request[1].sendto(self.answer(), self.client_address)
            return
        self.request.sendall(self.answer())
        wish = self.request.recv(1)
        if wish == b"s":
            server.shutdown()
        elif wish == b"t":
            threading.Thread(target=self.go_on).start()

    def has_timeout(self, option: int) -> bool:
        if isinstance(self.request, tuple):
            listener: socket.socket = self.request[1]
            return any(listener.getsockopt(socket.SOL_SOCKET, option, 16))
        return False

    def go_on(self) -> None:
        """Tell by the standard error, after the handler has returned."""
        threading.Event().wait(0.02)
        os.write(2, b"the thread has ended\n")

    def answer(self) -> bytes:
        return json.dumps(self.told).encode() + b"\n"


class Around:
    """Mixed into every class here."""

    request_queue_size = 128
    max_children = 1
    visits = 0
    around = 0

    def server_bind(self) -> None:
        super().server_bind()  # type: ignore[misc]
        listener: socket.socket = self.socket  # type: ignore[attr-defined]
        if listener.type == socket.SOCK_DGRAM:
            listener.settimeout(60)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self.around = os.getpid()
        super().process_request_thread(request, client_address)  # type: ignore[misc]


def build(way: str, name: str, strategy: str, address: Any) -> Any:
    base = getattr(serverstrategy if way == "ours" else socketserver, name)
    cls: Any = type(name, (Around, base), {})
    if way == "ours":
        return cls(address, Told, strategy=parse(strategy))
    return adopt(cls(address, Told), parse(strategy))


def main() -> None:
    way, name, strategy, path = sys.argv[1:]
    server = build(way, name, strategy, path if "Unix" in name else ("127.0.0.1", 0))

    def stop(*_: object) -> None:
        in_flight = sorted(each.child for each in server.in_flight if each.child is not None)
        state = {"in_flight": in_flight, "active_children": sorted(server.active_children)}
        os.write(1, json.dumps(state).encode() + b"\n")
        server.shutdown()

    signal.signal(signal.SIGTERM, stop)
    address = server.server_address
    os.write(1, json.dumps({"address": address, "pid": os.getpid()}).encode() + b"\n")
    with server:
        server.serve_forever(60)


if __name__ == "__main__":
    main()
