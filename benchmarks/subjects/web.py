"""Servers of WSGI applications."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterable
from typing import Any

from benchmarks.kinds import number_in

from .duty import ADDRESS, BACKLOG, BODY, Duty, tell


def application(_environment: Any, start_response: Any) -> Iterable[bytes]:
    """Answer hello."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))])
    return [BODY]


def serve(name: str, _duty: Duty) -> None:
    """Serve.

    Args:
        name: "wsgiref", "waitress(8)", "cheroot(8)" (threads), "gunicorn sync(2)" (workers), or
            "gunicorn gthread(2, 8)" (workers, threads of each).
    """
    kind, _, rest = name.partition("(")[0].partition(" ")
    if kind == "wsgiref":
        _serve_wsgiref()
    elif kind == "waitress":
        _serve_waitress(number_in(name, 8))
    elif kind == "cheroot":
        _serve_cheroot(number_in(name, 8))
    else:
        threads = name.partition(",")[2].strip(" )")
        _serve_gunicorn(rest, number_in(name, 2), int(threads or 1))


def _serve_wsgiref() -> None:
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Server(WSGIServer):
        request_queue_size = BACKLOG

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with make_server(*ADDRESS, application, Server, Quiet) as server:
        tell(server.server_address)
        server.serve_forever()


def _serve_waitress(threads: int) -> None:
    waitress: Any = importlib.import_module("waitress")
    server = waitress.create_server(
        application, sockets=[_listener()], threads=threads, backlog=BACKLOG, connection_limit=2000
    )
    tell(server.socket.getsockname())
    server.run()


def _serve_cheroot(threads: int) -> None:
    wsgi: Any = importlib.import_module("cheroot.wsgi")
    server = wsgi.Server(
        ADDRESS, application, numthreads=threads, max=threads, request_queue_size=BACKLOG
    )
    server.prepare()
    tell(server.bind_addr)
    server.serve()


def _serve_gunicorn(worker: str, workers: int, threads: int) -> None:
    base: Any = importlib.import_module("gunicorn.app.base")
    listener = _listener()
    settings = {
        "bind": f"fd://{listener.fileno()}",
        "backlog": BACKLOG,
        "workers": workers,
        "worker_class": worker,
        "threads": threads,
        "loglevel": "error",
        "control_socket_disable": True,
    }

    class Application(base.BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for key, value in settings.items():
                if key in self.cfg.settings:  # not every version has each
                    self.cfg.set(key, value)

        def load(self) -> Any:
            return application

    tell(listener.getsockname())
    Application().run()


def _listener() -> socket.socket:
    return socket.create_server(ADDRESS, backlog=BACKLOG)
