"""gevent's own server, a greenlet for each connection."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from .duty import ADDRESS, BACKLOG, SLEEP, Duty, tell


def serve(_name: str, duty: Duty) -> None:
    """Serve."""
    gevent: Any = importlib.import_module("gevent")
    server_module: Any = importlib.import_module("gevent.server")
    answer = duty.answer(partial(gevent.sleep, SLEEP) if duty.name == "sleep" else None)

    def handle(connection: Any, _: Any) -> None:
        answer(connection)
        connection.close()

    server = server_module.StreamServer(ADDRESS, handle, backlog=BACKLOG)
    server.start()
    tell(server.address)
    server.serve_forever()
