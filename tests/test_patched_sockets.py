"""Programs that put another class in the place of `socket.socket`."""

from __future__ import annotations

import subprocess
import sys

PATCHED_FIRST = """
from gevent import monkey

monkey.patch_all()

import socket
import threading

from serverstrategy import TCPServer

with TCPServer(("127.0.0.1", 0), lambda request, *_: request.sendall(b"bye")) as server:
    threading.Thread(target=server.serve_forever).start()
    for _ in range(40):
        with socket.create_connection(server.server_address, 5) as client:
            assert client.recv(16) == b"bye"
    server.shutdown()
"""


def test_a_program_that_gevent_has_patched_first_is_served() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PATCHED_FIRST], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
