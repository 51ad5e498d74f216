"""Guests that speak HTTP: Werkzeug and Flask, wsgiref and bottle, prometheus_client, and others."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Callable, Iterable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from guests_common import (
    HOST,
    ONE_AT_A_TIME,
    PROCESSES,
    THREADS,
    Gift,
    Guest,
    Room,
    Visit,
    announced,
    ask,
    check_pages,
    check_web,
    http,
)
from probes import PATIENCE


def flask_app() -> Any:
    import flask

    app = flask.Flask("guest")
    app.add_url_rule("/hello", "hello", lambda: f"hello {flask.request.args['name']}")
    app.add_url_rule("/shout", "shout", lambda: flask.request.get_data().upper(), methods=["POST"])
    app.add_url_rule("/error", "error", lambda: {}["no such key"])
    app.add_url_rule("/pid", "pid", lambda: str(os.getpid()))
    return app


class Werkzeug(Guest):
    """One of Werkzeug's three servers. It closes every connection after the answer."""

    packages = ("werkzeug", "flask")

    def __init__(self, class_name: str, room: Room) -> None:
        super().__init__()
        self.class_name = class_name
        self.room = room

    def make(self, gift: Gift, **options: Any) -> Any:
        from werkzeug import serving

        cls = gift.to_class(getattr(serving, self.class_name))
        return gift.to_instance(cls(HOST, 0, flask_app(), **options))

    def exercise(self, visit: Visit) -> None:
        check_web(visit)


class WerkzeugTLS(Werkzeug):
    """Over TLS, for which it replaces its listening socket after it is bound."""

    packages = ("werkzeug", "flask", "cryptography")

    def make(self, gift: Gift, **options: Any) -> Any:
        return super().make(gift, ssl_context="adhoc")

    def exercise(self, visit: Visit) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

        def browser(number: int) -> None:
            connection = HTTPSConnection(*visit.address, timeout=PATIENCE, context=context)
            with contextlib.closing(connection):
                check_pages(visit, connection, number, keeps=None)

        visit.together(browser)


class FlaskRun(Guest):
    """`Flask.run`. It looks up `make_server` in Werkzeug's module: that is where one gets at it."""

    packages = ("werkzeug", "flask")
    ways = ("adopt",)
    room = THREADS

    def run(self, gift: Gift, announce: Callable[[Any], None]) -> None:
        from werkzeug import serving

        make_server = serving.make_server

        def make_and_give(*args: Any, **options: Any) -> Any:
            server = gift.to_instance(make_server(*args, **options))
            announce(server)
            return server

        serving.make_server = make_and_give
        flask_app().run(HOST, 0)

    def exercise(self, visit: Visit) -> None:
        check_web(visit)


def wsgi_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    query = parse_qs(environ["QUERY_STRING"])
    answers: dict[str, Callable[[], bytes]] = {
        "/hello": lambda: f"hello {query['name'][0]}".encode(),
        "/shout": lambda: environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).upper(),
        "/pid": lambda: str(os.getpid()).encode(),
    }
    body = answers[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Wsgiref(Guest):
    """`wsgiref.simple_server`, which speaks HTTP/1.0."""

    def make(self, gift: Gift) -> Any:
        from wsgiref.simple_server import WSGIServer, make_server

        server = make_server(HOST, 0, wsgi_app, gift.to_class(WSGIServer))
        return gift.to_instance(server)

    def exercise(self, visit: Visit) -> None:
        check_web(visit)


class BottleRun(Guest):
    """`bottle.run`, which builds a server of wsgiref, of the class that it is given."""

    packages = ("bottle",)
    ways = ("class",)

    def run(self, gift: Gift, announce: Callable[[Any], None]) -> None:
        from wsgiref.simple_server import WSGIServer

        import bottle

        app = bottle.Bottle()
        app.get("/hello", callback=lambda: f"hello {bottle.request.query.name}")
        app.post("/shout", callback=lambda: bottle.request.body.read().upper())
        app.get("/error", callback=lambda: {}["no such key"])
        app.get("/pid", callback=lambda: str(os.getpid()))
        server_class = announced(gift.to_class(WSGIServer), announce)
        bottle.run(app, host=HOST, port=0, quiet=True, server_class=server_class)

    def exercise(self, visit: Visit) -> None:
        check_web(visit)


class HTTPServer(Guest):
    """`http.server`, serving the files of a folder, with HTTP/1.1."""

    room = THREADS

    def make(self, gift: Gift) -> Any:
        from functools import partial
        from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        for number in range(9):
            Path(folder, f"{number}.txt").write_text(f"file {number}\n" * 20_000)
        persistent = {"protocol_version": "HTTP/1.1"}
        handler: Any = type("Handler", (SimpleHTTPRequestHandler,), persistent)
        cls = gift.to_class(ThreadingHTTPServer)
        return gift.to_instance(cls((HOST, 0), partial(handler, directory=folder)))

    def exercise(self, visit: Visit) -> None:
        def browser(number: int) -> None:
            file = (200, f"file {number}\n".encode() * 20_000)
            with http(visit) as connection:
                assert ask(connection, "GET", f"/{number}.txt") == file
                first = connection.sock
                status, listing = ask(connection, "GET", "/")
                assert status == 200
                assert f'href="{number}.txt"'.encode() in listing
                assert ask(connection, "HEAD", f"/{number}.txt") == (200, b"")
                assert connection.sock is first is not None
                # An error closes the connection, so that the next request is in a new one.
                assert ask(connection, "GET", "/nothing.txt")[0] == 404
                assert ask(connection, "POST", "/", b"a body")[0] == 501
                assert ask(connection, "GET", f"/{number}.txt") == file

        visit.long_lived(browser)


class MkDocs(Guest):
    """The server of `mkdocs serve`, which serves in a thread and builds in the main one."""

    packages = ("mkdocs",)
    room = THREADS

    def run(self, gift: Gift, announce: Callable[[Any], None]) -> None:
        from mkdocs.livereload import LiveReloadServer

        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        Path(folder, "index.html").write_text("<p>the manual</p>")
        cls = announced(gift.to_class(LiveReloadServer), announce)
        # It is bound by `serve`, after it has got its strategy.
        server = gift.to_instance(cls(lambda: None, HOST, 0, folder))
        server.serve()
        server.serve_thread.join()

    def exercise(self, visit: Visit) -> None:
        def browser(number: int) -> None:
            with http(visit) as connection:
                page = (200, b"<p>the manual</p>")
                assert ask(connection, "GET", "/") == page
                assert ask(connection, "GET", f"/{number}")[0] == 404
                # A zero byte is in no name of a file, and an error of its own to `open`.
                assert ask(connection, "GET", "/%00")[0] == 500
                status, epoch = ask(connection, "GET", "/livereload/0/1")
                assert status == 200
                assert int(epoch) > 0
                assert ask(connection, "GET", "/index.html") == page

        visit.together(browser)


GUESTS: dict[str, Callable[[], Guest]] = {
    "werkzeug": lambda: Werkzeug("BaseWSGIServer", ONE_AT_A_TIME),
    "werkzeug-threaded": lambda: Werkzeug("ThreadedWSGIServer", THREADS),
    "werkzeug-forking": lambda: Werkzeug("ForkingWSGIServer", PROCESSES),
    "werkzeug-tls": lambda: WerkzeugTLS("ThreadedWSGIServer", THREADS),
    "flask-run": FlaskRun,
    "wsgiref": Wsgiref,
    "bottle-run": BottleRun,
    "http-server": HTTPServer,
    "mkdocs": MkDocs,
}
