"""Guests that bring their own way to serve HTTP: Django, prometheus_client, and XML-RPC."""

from __future__ import annotations

import gzip
import os
import socketserver
import tempfile
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guests_common import (
    HOST,
    ONE_AT_A_TIME,
    THREADS,
    Gift,
    Guest,
    Room,
    Visit,
    announced,
    ask,
    check_web,
    http,
)


def django_urls() -> Any:
    from django.db import connection
    from django.http import HttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    def hello(request: Any) -> Any:
        # Through the database, whose connections belong to a thread.
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'hello ' || %s", [request.GET["name"]])
            return HttpResponse(cursor.fetchone()[0])

    def error(request: Any) -> Any:
        raise ValueError("as the client wished")

    class Urls:
        urlpatterns = [  # noqa: RUF012 - Django looks it up here
            path("hello", hello),
            path("shout", csrf_exempt(lambda request: HttpResponse(request.body.upper()))),
            path("error", error),
            path("pid", lambda request: HttpResponse(str(os.getpid()))),
        ]

    return Urls


class Django(Guest):
    """Django's development server, built directly."""

    packages = ("django",)
    class_name = "WSGIServer"
    persistent: int | None = 0

    def app(self) -> Any:
        from django.conf import settings
        from django.core.wsgi import get_wsgi_application
        from django.db import connections

        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        settings.configure(
            ALLOWED_HOSTS=[HOST],
            SECRET_KEY="not secret",
            LOGGING_CONFIG=None,
            # It adds the Content-Length, without which the connection is closed.
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
            DATABASES={
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": Path(folder, "db.sqlite3"),
                    "CONN_MAX_AGE": self.persistent,
                }
            },
        )
        application = get_wsgi_application()
        settings.ROOT_URLCONF = django_urls()
        self.stack.callback(connections.close_all)
        return application

    def make(self, gift: Gift) -> Any:
        from django.core.servers import basehttp

        cls = gift.to_class(getattr(basehttp, self.class_name))
        server = cls((HOST, 0), basehttp.WSGIRequestHandler)
        server.set_app(self.app())
        return gift.to_instance(server)

    def exercise(self, visit: Visit) -> None:
        # Django asks isinstance(server, ThreadingMixIn) whether to keep a connection open.
        check_web(visit, keeps=visit.room.threads)


class DjangoThreaded(Django):
    """The server of Django's live tests.

    Connections to the database outlive a request here. They belong to the thread, and its
    `close_request`, called in that thread, is what closes them.
    """

    class_name = "ThreadedWSGIServer"
    room = THREADS
    persistent = None  # for ever


class DjangoRun(Django):
    """`run` of `manage.py runserver`, which puts ThreadingMixIn before the class it is given."""

    ways = ("class",)

    def __init__(self, threading: bool, room: Room) -> None:
        super().__init__()
        self.threading = threading
        self.room = room

    def run(self, gift: Gift, announce: Callable[[Any], None]) -> None:
        from django.core.servers import basehttp

        server_cls = announced(gift.to_class(basehttp.WSGIServer), announce)
        basehttp.run(HOST, 0, self.app(), threading=self.threading, server_cls=server_cls)


class Prometheus(Guest):
    """The exporter of prometheus_client, built as its `start_http_server` builds it."""

    packages = ("prometheus_client",)
    room = THREADS

    def registry(self) -> Any:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Metric

        class Broken:
            def describe(self) -> list[Any]:
                return [Metric("broken", "raises when it is collected", "gauge")]

            def collect(self) -> Any:
                raise ValueError("as the client wished")

        registry = CollectorRegistry()
        Gauge("pid", "the process", registry=registry).set_function(os.getpid)
        Counter("visits", "has a label", ["who"], registry=registry).labels("guest").inc(42)
        registry.register(Broken())
        return registry

    def make(self, gift: Gift) -> Any:
        from wsgiref.simple_server import make_server

        from prometheus_client import exposition

        app = exposition.make_wsgi_app(self.registry())
        cls = gift.to_class(exposition.ThreadingWSGIServer)
        server = make_server(HOST, 0, app, cls, handler_class=exposition._SilentHandler)
        return gift.to_instance(server)

    def exercise(self, visit: Visit) -> None:
        from prometheus_client.parser import text_string_to_metric_families

        wanted = "/metrics?name[]=visits_total&name[]=pid"

        def scraper(number: int) -> None:
            with http(visit) as connection:
                status, text = ask(connection, "GET", wanted)
                assert status == 200
                families = text_string_to_metric_families(text.decode())
                samples = {sample.name: sample for each in families for sample in each.samples}
                assert samples["visits_total"].labels == {"who": "guest"}
                assert samples["visits_total"].value == 42
                visit.check_pid(int(samples["pid"].value))
                assert ask(connection, "POST", "/metrics", b"a body")[0] == 405
                assert ask(connection, "GET", "/metrics?name[]=broken")[0] == 500
                packed = ask(connection, "GET", wanted, headers={"Accept-Encoding": "gzip"})
                assert b'visits_total{who="guest"} 42.0' in gzip.decompress(packed[1])

        visit.together(scraper)


class PrometheusStart(Prometheus):
    """`start_http_server` itself. It serves in a daemon thread, with a subclass of its own.

    So the class in its module is the only thing that can be given a strategy.
    """

    ways = ("class",)

    def run(self, gift: Gift, announce: Callable[[Any], None]) -> None:
        from prometheus_client import exposition

        exposition.ThreadingWSGIServer = gift.to_class(exposition.ThreadingWSGIServer)
        server, thread = exposition.start_http_server(0, HOST, self.registry())
        announce(server)
        thread.join()


class XMLRPC(Guest):
    """`xmlrpc.server`, with its own client."""

    def __init__(self, bases: tuple[type, ...], room: Room) -> None:
        super().__init__()
        self.bases = bases
        self.room = room

    def make(self, gift: Gift) -> Any:
        from xmlrpc.server import SimpleXMLRPCServer

        cls: Any = type("Server", (*self.bases, SimpleXMLRPCServer), {})
        server = gift.to_class(cls)((HOST, 0), logRequests=False, allow_none=True)
        server.register_introspection_functions()
        server.register_multicall_functions()
        server.register_function(pow)
        server.register_function(os.getpid)
        return gift.to_instance(server)

    def exercise(self, visit: Visit) -> None:
        def client(number: int) -> None:
            with xmlrpc.client.ServerProxy(f"http://{visit.host}:{visit.port}") as proxy:
                assert proxy.pow(number, 3) == number**3
                assert proxy.system.listMethods()[:2] == ["getpid", "pow"]
                with pytest.raises(xmlrpc.client.Fault, match="base is not invertible"):
                    proxy.pow(2, -1, 4)
                calls = xmlrpc.client.MultiCall(proxy)
                for exponent in range(50):
                    calls.pow(number, exponent, 1000)
                assert list(calls()) == [pow(number, exponent, 1000) for exponent in range(50)]
                visit.check_pid(int(str(proxy.getpid())))

        visit.together(client)


GUESTS: dict[str, Callable[[], Guest]] = {
    "django": Django,
    "django-threaded": DjangoThreaded,
    "django-run": lambda: DjangoRun(False, ONE_AT_A_TIME),
    "django-run-threading": lambda: DjangoRun(True, THREADS),
    "prometheus": Prometheus,
    "prometheus-start": PrometheusStart,
    "xmlrpc": lambda: XMLRPC((), ONE_AT_A_TIME),
    "xmlrpc-threading": lambda: XMLRPC((socketserver.ThreadingMixIn,), THREADS),
}
