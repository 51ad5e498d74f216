"""A server whose handler sleeps for longer than its grace period."""

from __future__ import annotations

import signal
import threading

from serverstrategy import BaseRequestHandler, TCPServer
from serverstrategy.strategies import Threaded


class Sleeper(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"!")
        threading.Event().wait(60)


with TCPServer(("127.0.0.1", 0), Sleeper, strategy=Threaded()) as server:
    server.grace_period = 0.05
    signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
    print(server.server_address[1], flush=True)
    server.serve_forever()
