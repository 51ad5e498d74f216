"""Every hook is honoured, in the order and with the fate of errors of the standard library."""

from __future__ import annotations

import logging
import select
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from probes import wait_until
from serverstrategy import BaseRequestHandler, StopSignal, Strategy, TCPServer
from serverstrategy.strategies import Synchronous, Threaded, ThreadPool

PATIENCE = 20.0
ANY_PORT = ("127.0.0.1", 0)

IN_PROCESS = [Synchronous, Threaded, lambda: ThreadPool(2)]
NAMES = ["Synchronous", "Threaded", "ThreadPool"]
each_strategy = pytest.mark.parametrize("strategy", IN_PROCESS, ids=NAMES)
THREADS = [Threaded, lambda: ThreadPool(1)]
each_with_threads = pytest.mark.parametrize("strategy", THREADS, ids=["Threaded", "ThreadPool"])

OF_EVERY_CONNECTION = [
    "_handle_request_noblock",
    "get_request",
    "verify_request",
    "process_request",
    "finish_request",
    "shutdown_request",
    "close_request",
]
HOOKS = [
    *OF_EVERY_CONNECTION,
    "server_bind",
    "server_activate",
    "handle_timeout",
    "handle_error",
    "service_actions",
]


class Hello(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"hello")


class Failing(BaseRequestHandler):
    def handle(self) -> None:
        raise LookupError("the handler's own")


class Exiting(BaseRequestHandler):
    def handle(self) -> None:
        raise SystemExit(3)


class Interrupted(BaseRequestHandler):
    def handle(self) -> None:
        raise KeyboardInterrupt


class Recording:
    """Mixed into a server, remembers the calls of its hooks."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.calls: list[str] = []
        super().__init__(*arguments, **keywords)


def _recorded(name: str) -> Callable[..., Any]:
    def hook(self: Any, *arguments: Any) -> Any:
        self.calls.append(name)
        return getattr(super(Recording, self), name)(*arguments)

    return hook


for _name in HOOKS:
    setattr(Recording, _name, _recorded(_name))


class Ours(Recording, TCPServer):
    pass


class Theirs(Recording, socketserver.TCPServer):
    pass


@contextmanager
def serving(server: TCPServer, poll_interval: float = 60) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(poll_interval,))
    thread.start()
    try:
        assert server.wait_until_serving(PATIENCE)
        yield
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def connect(server: Any) -> socket.socket:
    return socket.create_connection(server.server_address[:2], PATIENCE)


def read_all(client: socket.socket) -> bytes:
    """What the server sends until it closes, in an orderly way or not."""
    received = b""
    try:
        while chunk := client.recv(4096):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def ask(server: Any) -> bytes:
    with connect(server) as client:
        return read_all(client)


def is_idle(server: TCPServer) -> bool:
    return wait_until(lambda: len(server.in_flight) == 0, PATIENCE)


# The order


class _Refused:
    def verify_request(self, request: Any, client_address: Any) -> bool:
        self.calls.append("verify_request")  # type: ignore[attr-defined]
        return False


class _NobodyThere:
    def get_request(self) -> Any:
        self.calls.append("get_request")  # type: ignore[attr-defined]
        raise OSError("the client has gone away")


class _ProcessingFails:
    def process_request(self, request: Any, client_address: Any) -> None:
        self.calls.append("process_request")  # type: ignore[attr-defined]
        raise LookupError("no room")


class _AsBefore:
    pass


def calls_of(
    base: type, changed: type, handler: Callable[..., Any], *, error: type[BaseException] | None
) -> list[str]:
    server_class = type("Changed", (changed, base), {})
    with server_class(ANY_PORT, handler) as server:
        server.calls.append("constructed")
        with connect(server) as client:
            if error is None:
                server.handle_request()
            else:
                with pytest.raises(error):
                    server.handle_request()
            client.shutdown(socket.SHUT_WR)
            if changed is not _NobodyThere:
                read_all(client)
        return server.calls


@pytest.mark.parametrize(
    ("changed", "handler", "error"),
    [
        (_AsBefore, Hello, None),
        (_AsBefore, Failing, None),
        (_AsBefore, Exiting, SystemExit),
        (_AsBefore, Interrupted, KeyboardInterrupt),
        (_Refused, Hello, None),
        (_NobodyThere, Hello, None),
        (_ProcessingFails, Hello, None),
    ],
    ids=["success", "error", "exit", "Ctrl-C", "refused", "get_request", "process_request"],
)
@pytest.mark.usefixtures("capsys")  # the standard library prints its errors
def test_the_order_of_calls_is_that_of_the_standard_library(
    changed: type, handler: Callable[..., Any], error: type[BaseException] | None
) -> None:
    theirs = calls_of(Theirs, changed, handler, error=error)
    assert theirs[:3] == ["server_bind", "server_activate", "constructed"]
    assert len(theirs) > 4
    assert calls_of(Ours, changed, handler, error=error) == theirs


def test_the_order_of_a_timeout_is_that_of_the_standard_library() -> None:
    found = []
    for server_class in (Ours, Theirs):
        with server_class(ANY_PORT, Hello) as server:
            server.timeout = 0
            server.handle_request()
            found.append(server.calls)
    ours, theirs = found
    assert ours == theirs == ["server_bind", "server_activate", "handle_timeout"]


def test_the_order_of_a_success() -> None:
    """Spelled out, so that the two above cannot be wrong together."""
    with Ours(ANY_PORT, Hello) as server, connect(server) as client:
        server.handle_request()
        assert read_all(client) == b"hello"
        assert server.calls[2:] == OF_EVERY_CONNECTION


@each_strategy
def test_the_order_in_the_accept_loop(strategy: Callable[[], Strategy]) -> None:
    with Ours(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"hello"
        assert is_idle(server)
        server.shutdown()
        calls = [name for name in server.calls if name in OF_EVERY_CONNECTION]
    assert calls == OF_EVERY_CONNECTION


# Each hook, on a subclass and on the instance


def _provoke(server: TCPServer, name: str) -> None:
    """Do what leads to a call of the hook `name`."""
    if name == "handle_timeout":
        server.timeout = 0
        server.handle_request()
        return
    if name == "service_actions":
        with serving(server):
            assert ask(server) == b"hello"
        return
    if name == "handle_error":
        server.RequestHandlerClass = Failing
    with connect(server) as client:
        server.handle_request()
        read_all(client)
    assert is_idle(server)


@each_strategy
@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_of_a_subclass_is_called(name: str, strategy: Callable[[], Strategy]) -> None:
    class Subclass(TCPServer):
        calls = 0

    def hook(self: Subclass, *arguments: Any) -> Any:
        self.calls += 1
        return getattr(super(Subclass, self), name)(*arguments)

    setattr(Subclass, name, hook)
    with Subclass(ANY_PORT, Hello, strategy=strategy()) as server:
        _provoke(server, name)
        assert server.calls >= 1


@each_strategy
@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_of_the_instance_is_called(name: str, strategy: Callable[[], Strategy]) -> None:
    calls = []
    with TCPServer(ANY_PORT, Hello, bind_and_activate=False, strategy=strategy()) as server:
        original = getattr(server, name)

        def hook(*arguments: Any) -> Any:
            calls.append(name)
            return original(*arguments)

        setattr(server, name, hook)
        server.server_bind()
        server.server_activate()
        _provoke(server, name)
    assert calls


@each_strategy
def test_a_connection_is_ended_once(strategy: Callable[[], Strategy]) -> None:
    with Ours(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        for _ in range(5):
            assert ask(server) == b"hello"
        assert is_idle(server)
        for name in ("finish_request", "shutdown_request", "close_request"):
            assert server.calls.count(name) == 5


@each_strategy
def test_verify_request_refuses(strategy: Callable[[], Strategy]) -> None:
    class Picky(TCPServer):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            return bool(client_address[1] == welcome)

    with (
        Picky(ANY_PORT, Hello, strategy=strategy()) as server,
        socket.socket() as friend,
        serving(server),
    ):
        friend.settimeout(PATIENCE)
        friend.bind(ANY_PORT)
        welcome = friend.getsockname()[1]
        assert ask(server) == b""
        friend.connect(server.server_address)
        assert read_all(friend) == b"hello"
        assert is_idle(server)


@each_strategy
def test_the_handler_gets_what_get_request_returns(strategy: Callable[[], Strategy]) -> None:
    class Wrapped:
        def __init__(self, wrapped: socket.socket) -> None:
            self.socket = wrapped

        def sendall(self, text: bytes) -> None:
            self.socket.sendall(text.upper())

        def shutdown(self, how: int) -> None:
            self.socket.shutdown(how)

        def close(self) -> None:
            self.socket.close()

    class Wrapping(TCPServer):
        def get_request(self) -> tuple[Any, Any]:
            request, client_address = super().get_request()
            return Wrapped(request), client_address

    with Wrapping(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"HELLO"
        assert is_idle(server)


@each_strategy
def test_finish_request_can_do_without_a_handler(strategy: Callable[[], Strategy]) -> None:
    class Direct(TCPServer):
        def finish_request(self, request: Any, client_address: Any) -> None:
            request.sendall(b"direct")

    with Direct(ANY_PORT, Failing, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"direct"


@each_strategy
def test_handle_request_noblock_can_leave_the_connection_alone(
    strategy: Callable[[], Strategy],
) -> None:
    class Hesitating(TCPServer):
        refusals = 3

        def _handle_request_noblock(self) -> None:
            if self.refusals:
                self.refusals -= 1
            else:
                super()._handle_request_noblock()

    with Hesitating(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"hello"
        assert server.refusals == 0


# service_actions


@each_strategy
def test_service_actions_ticks_if_it_is_overridden(strategy: Callable[[], Strategy]) -> None:
    ticks = threading.Semaphore(0)

    class Ticking(TCPServer):
        def service_actions(self) -> None:
            ticks.release()

    with Ticking(ANY_PORT, Hello, strategy=strategy()) as server, serving(server, 0.01):
        assert all(ticks.acquire(timeout=PATIENCE) for _ in range(5))


def test_service_actions_ticks_if_it_is_replaced_on_the_instance() -> None:
    ticks = threading.Semaphore(0)
    with TCPServer(ANY_PORT, Hello) as server:
        server.service_actions = ticks.release  # type: ignore[method-assign]
        with serving(server, 0.01):
            assert all(ticks.acquire(timeout=PATIENCE) for _ in range(5))


def test_service_actions_is_called_after_each_connection() -> None:
    calls = threading.Semaphore(0)

    class Counting(TCPServer):
        def service_actions(self) -> None:
            calls.release()

    with Counting(ANY_PORT, Hello) as server, serving(server, 3600):
        for _ in range(3):
            assert ask(server) == b"hello"
            assert calls.acquire(timeout=PATIENCE)


def test_service_actions_can_stop_the_server() -> None:
    class OneTick(TCPServer):
        def service_actions(self) -> None:
            self.shutdown()

    with OneTick(ANY_PORT, Hello) as server:
        server.serve_forever(0.01)


def test_an_error_of_service_actions_ends_serving() -> None:
    class Broken(TCPServer):
        def service_actions(self) -> None:
            raise LookupError("mine")

    with Broken(ANY_PORT, Hello) as server, pytest.raises(LookupError, match="mine"):
        server.serve_forever(0.01)


# handle_error


@each_strategy
def test_handle_error_is_called_inside_the_except_clause(
    strategy: Callable[[], Strategy],
) -> None:
    seen: list[Any] = []

    class Reporting(TCPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            seen.append((sys.exc_info()[1], request.fileno() >= 0, client_address))

    with Reporting(ANY_PORT, Failing, strategy=strategy()) as server:
        with serving(server), connect(server) as client:
            peer = client.getsockname()
            assert read_all(client) == b""
        ((error, was_open, client_address),) = seen
        assert isinstance(error, LookupError)
        assert error.args == ("the handler's own",)
        assert was_open
        assert client_address == peer
        seen.clear()


@pytest.mark.parametrize("name", ["verify_request", "process_request", "finish_request"])
@each_strategy
def test_an_error_of_a_hook_goes_to_handle_error(
    name: str, strategy: Callable[[], Strategy]
) -> None:
    seen: list[Any] = []

    def fail(*arguments: Any) -> None:
        raise LookupError(name)

    with TCPServer(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        server.handle_error = lambda *_: seen.append(str(sys.exc_info()[1]))  # type: ignore
        original = getattr(server, name)
        setattr(server, name, fail)
        assert ask(server) == b""
        assert is_idle(server)
        setattr(server, name, original)
        assert ask(server) == b"hello"
    assert seen == [name]


@each_strategy
def test_an_error_is_logged_with_its_traceback_and_its_peer(
    strategy: Callable[[], Strategy],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TCPServer(ANY_PORT, Failing, strategy=strategy()) as server, connect(server) as client:
        server.handle_request()
        assert read_all(client) == b""
        peer = client.getsockname()
        assert is_idle(server)
    (record,) = caplog.records
    assert record.name == "serverstrategy"
    assert record.levelno == logging.ERROR
    assert str(peer) in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)
    assert "the handler's own" in caplog.text
    assert "in handle\n" in caplog.text
    assert capsys.readouterr() == ("", "")
    caplog.clear()


def test_a_success_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with TCPServer(ANY_PORT, Hello, strategy=Threaded()) as server, serving(server):
        assert ask(server) == b"hello"
    assert caplog.records == []


@each_strategy
def test_a_get_request_that_fails_by_oserror_is_no_error(
    strategy: Callable[[], Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    class Unlucky(Ours):
        failures = 3

        def get_request(self) -> tuple[Any, Any]:
            if self.failures:
                self.failures -= 1
                raise ConnectionAbortedError
            return super().get_request()  # type: ignore[no-any-return, misc]

    with Unlucky(ANY_PORT, Hello, strategy=strategy()) as server:
        with serving(server):
            assert ask(server) == b"hello"
        assert "handle_error" not in server.calls
    assert caplog.records == []


@each_strategy
def test_a_get_request_that_fails_otherwise_costs_one_attempt(
    strategy: Callable[[], Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    class Unlucky(TCPServer):
        failures = 3

        def get_request(self) -> tuple[Any, Any]:
            if self.failures:
                self.failures -= 1
                raise LookupError("mine")
            return super().get_request()

    with Unlucky(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"hello"
    assert "mine" in caplog.text
    caplog.clear()


@each_strategy
def test_a_handle_error_that_raises_closes_the_connection(
    strategy: Callable[[], Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(TCPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            raise ArithmeticError("in handle_error")

    with Broken(ANY_PORT, Failing, strategy=strategy()) as server, serving(server):
        assert ask(server) == b""
        assert ask(server) == b""
        assert is_idle(server)
    assert caplog.text.count("handle_error failed") == 2
    assert "in handle_error" in caplog.text
    caplog.clear()


def test_a_handle_error_that_exits_closes_the_connection_and_propagates() -> None:
    class Strict(TCPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            raise SystemExit("the first error is the last")

    with Strict(ANY_PORT, Failing) as server, connect(server) as client:
        with pytest.raises(SystemExit):
            server.handle_request()
        assert read_all(client) == b""
        assert len(server.in_flight) == 0


@each_with_threads
def test_a_handle_error_that_exits_in_a_thread_ends_no_thread(
    strategy: Callable[[], Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    class Strict(TCPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            raise SystemExit("the first error is the last")

    with Strict(ANY_PORT, Failing, strategy=strategy()) as server, serving(server):
        assert ask(server) == b""
        server.RequestHandlerClass = Hello
        assert ask(server) == b"hello"
    caplog.clear()


# BaseException


@pytest.mark.parametrize(
    ("handler", "error"), [(Exiting, SystemExit), (Interrupted, KeyboardInterrupt)]
)
def test_an_exit_in_handle_request_closes_the_connection_and_propagates(
    handler: Any, error: type[BaseException]
) -> None:
    with Ours(ANY_PORT, handler) as server, connect(server) as client:
        with pytest.raises(error):
            server.handle_request()
        assert read_all(client) == b""
        assert len(server.in_flight) == 0
        assert "handle_error" not in server.calls
        server.RequestHandlerClass = Hello
        with connect(server) as next_client:
            server.handle_request()
            assert read_all(next_client) == b"hello"


@pytest.mark.parametrize(
    ("handler", "error"), [(Exiting, SystemExit), (Interrupted, KeyboardInterrupt)]
)
def test_an_exit_in_serve_forever_closes_the_connection_and_propagates(
    handler: Any, error: type[BaseException]
) -> None:
    with Ours(ANY_PORT, handler) as server, connect(server) as client:
        with pytest.raises(error):
            server.serve_forever()
        assert read_all(client) == b""
        assert len(server.in_flight) == 0
        assert "handle_error" not in server.calls
        server.RequestHandlerClass = Hello
        with serving(server):
            assert ask(server) == b"hello"


@pytest.mark.parametrize("name", ["verify_request", "process_request", "finish_request"])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_exit_of_a_hook_closes_the_connection_and_propagates(
    name: str, error: type[BaseException]
) -> None:
    def leave(*arguments: Any) -> None:
        raise error

    with TCPServer(ANY_PORT, Hello) as server, connect(server) as client:
        setattr(server, name, leave)
        with pytest.raises(error):
            server.handle_request()
        assert read_all(client) == b""
        assert len(server.in_flight) == 0


@each_with_threads
@pytest.mark.parametrize("handler", [Exiting, Interrupted])
def test_an_exit_in_a_thread_is_an_error_of_its_connection(
    handler: Any, strategy: Callable[[], Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    with Ours(ANY_PORT, handler, strategy=strategy()) as server, serving(server):
        for _ in range(3):
            assert ask(server) == b""
        assert is_idle(server)
        assert server.calls.count("handle_error") == 3
        server.RequestHandlerClass = Hello
        assert ask(server) == b"hello"
    caplog.clear()


# shutdown_request and close_request that fail


@each_strategy
def test_a_shutdown_request_that_raises_still_closes(
    strategy: Callable[[], Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(TCPServer):
        def shutdown_request(self, request: Any) -> None:
            raise LookupError("in shutdown_request")

    with Broken(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"hello"
        assert ask(server) == b"hello"
        assert is_idle(server)
    assert "in shutdown_request" in caplog.text
    caplog.clear()


@each_strategy
def test_a_close_request_that_raises_ends_nothing_else(
    strategy: Callable[[], Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(TCPServer):
        def close_request(self, request: Any) -> None:
            request.close()
            raise LookupError("in close_request")

    with Broken(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"hello"
        assert ask(server) == b"hello"
        assert is_idle(server)
    assert "in close_request" in caplog.text
    caplog.clear()


@each_strategy
def test_a_handler_may_close_its_connection(strategy: Callable[[], Strategy]) -> None:
    class Closing(BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"closed")
            self.request.close()

    with TCPServer(ANY_PORT, Closing, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"closed"
        assert is_idle(server)


@each_with_threads
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["shutdown_request", "close_request"])
def test_an_exit_while_closing_in_a_thread_ends_no_thread(
    name: str,
    error: type[BaseException],
    strategy: Callable[[], Strategy],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: dead.append(args.exc_type))

    def leave(request: Any) -> None:
        request.close()
        setattr(server, name, original)
        raise error

    with TCPServer(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        server.grace_period = 0.1
        original = getattr(server, name)
        setattr(server, name, leave)
        assert ask(server) == b"hello"
        with connect(server) as client:
            assert read_all(client) == b"hello"
    assert dead == []
    caplog.clear()


def test_an_exit_in_shutdown_request_still_closes_and_propagates() -> None:
    kept = []

    class Interrupting(TCPServer):
        def shutdown_request(self, request: Any) -> None:
            kept.append(request)
            raise KeyboardInterrupt

    with Interrupting(ANY_PORT, Hello) as server, connect(server) as client:
        with pytest.raises(KeyboardInterrupt):
            server.handle_request()
        was_open = kept[0].fileno() != -1
        kept.pop().close()
        assert not was_open
        assert read_all(client) == b"hello"
        assert len(server.in_flight) == 0


# process_request in the old style


class OwnThread(TCPServer):
    """Starts a thread for each connection, as programs did before there were strategies."""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.thread = threading.Thread(target=self.handle, args=(request, client_address))
        self.thread.start()

    def handle(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001 - as socketserver's ThreadingMixIn does
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)


class MixedIn(socketserver.ThreadingMixIn, TCPServer):
    pass


class InPlace(TCPServer):
    """Handles by itself, in the thread that accepts."""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.finish_request(request, client_address)
        self.shutdown_request(request)


OLD_STYLES = [OwnThread, MixedIn, InPlace]


@pytest.mark.parametrize("server_class", OLD_STYLES)
@each_strategy
def test_an_old_process_request_works_and_leaves_nothing_in_flight(
    server_class: type[TCPServer], strategy: Callable[[], Strategy]
) -> None:
    with server_class(ANY_PORT, Hello, strategy=strategy()) as server:
        server.grace_period = None
        with serving(server):
            assert [ask(server) for _ in range(5)] == [b"hello"] * 5
        assert is_idle(server)


@pytest.mark.parametrize("server_class", OLD_STYLES)
def test_an_old_process_request_works_in_handle_request(server_class: type[TCPServer]) -> None:
    with server_class(ANY_PORT, Hello) as server, connect(server) as client:
        server.grace_period = None
        server.handle_request()
        assert read_all(client) == b"hello"
        assert is_idle(server)


@pytest.mark.parametrize("server_class", OLD_STYLES)
@pytest.mark.parametrize("handler", [Failing, lambda *_: 1 / 0])
def test_an_error_under_an_old_process_request_leaves_nothing_in_flight(
    server_class: type[TCPServer], handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with server_class(ANY_PORT, handler) as server:
        with serving(server):
            assert ask(server) == b""
            assert is_idle(server)
        server.grace_period = None
    assert len(caplog.records) == 1
    caplog.clear()


@pytest.mark.parametrize("server_class", OLD_STYLES)
def test_an_old_process_request_does_not_fill_the_strategy(server_class: type[TCPServer]) -> None:
    with server_class(ANY_PORT, Hello, strategy=Threaded(limit=1)) as server, serving(server):
        for _ in range(5):
            assert ask(server) == b"hello"


@pytest.mark.parametrize("server_class", OLD_STYLES)
@pytest.mark.parametrize("name", ["close_request", "shutdown_request"])
def test_old_hooks_that_do_everything_themselves_leave_nothing_in_flight(
    server_class: type[TCPServer], name: str
) -> None:
    class Subclass(server_class):  # type: ignore[misc, valid-type]
        pass

    setattr(Subclass, name, lambda self, request: request.close())
    with Subclass(ANY_PORT, Hello) as server, connect(server) as client:
        server.grace_period = 0.05
        server.handle_request()
        assert read_all(client) == b"hello"
        assert wait_until(lambda: len(server.in_flight) == 0, PATIENCE)


class Late(BaseRequestHandler):
    """Answers when the test says so."""

    begun: threading.Event
    go_on: threading.Event

    def handle(self) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        self.request.sendall(b"late")


def late_handler() -> type[Late]:
    return type("Late", (Late,), {"begun": threading.Event(), "go_on": threading.Event()})


def test_server_close_does_not_wait_for_a_thread_of_an_old_process_request() -> None:
    """It does not know of it, as in the standard library, and leaves its connection alone."""
    handler = late_handler()
    server = OwnThread(ANY_PORT, handler)
    with connect(server) as client:
        server.handle_request()
        assert handler.begun.wait(PATIENCE)
        server.server_close()
        assert server.thread.is_alive()
        handler.go_on.set()
        assert read_all(client) == b"late"
    server.thread.join(PATIENCE)
    assert not server.thread.is_alive()


def test_server_close_of_the_mixin_waits_for_its_threads() -> None:
    handler = late_handler()
    server = MixedIn(ANY_PORT, handler)
    with connect(server) as client:
        server.handle_request()
        assert handler.begun.wait(PATIENCE)
        closer = threading.Thread(target=server.server_close)
        closer.start()
        assert wait_until(lambda: server.fileno() == -1, PATIENCE)
        assert closer.is_alive()
        handler.go_on.set()
        assert read_all(client) == b"late"
        closer.join(PATIENCE)
        assert not closer.is_alive()


@each_strategy
def test_a_process_request_may_call_the_strategy_later(strategy: Callable[[], Strategy]) -> None:
    class Later(Ours):
        def process_request(self, request: Any, client_address: Any) -> None:
            arguments = (request, client_address)
            self.thread = threading.Thread(target=super().process_request, args=arguments)  # type: ignore[misc]
            self.thread.start()

    with Later(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        for _ in range(3):
            assert ask(server) == b"hello"
            server.thread.join(PATIENCE)
        assert is_idle(server)
        assert server.calls.count("finish_request") == 3
        assert server.calls.count("shutdown_request") == 3
        assert server.calls.count("close_request") == 3


# process_request that raises late


@each_strategy
def test_a_process_request_that_raises_after_the_end_closes_once(
    strategy: Callable[[], Strategy],
) -> None:
    seen = []

    class Late(Ours):
        def process_request(self, request: Any, client_address: Any) -> None:
            super().process_request(request, client_address)  # type: ignore[misc]
            assert self.in_flight.wait_for_none(PATIENCE)
            raise LookupError("too late")

        def handle_error(self, request: Any, client_address: Any) -> None:
            seen.append(str(sys.exc_info()[1]))

    with Late(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"hello"
        assert wait_until(lambda: bool(seen), PATIENCE)
        server.shutdown()
        assert server.calls.count("shutdown_request") == 1
        assert server.calls.count("close_request") == 1
    assert seen == ["too late"]


@each_with_threads
def test_a_process_request_that_raises_leaves_the_connection_to_a_running_handler(
    strategy: Callable[[], Strategy],
) -> None:
    begun, reported = threading.Event(), threading.Event()

    class Waiting(BaseRequestHandler):
        def handle(self) -> None:
            begun.set()
            assert reported.wait(PATIENCE)
            self.request.sendall(b"hello")

    class Hasty(Ours):
        def process_request(self, request: Any, client_address: Any) -> None:
            super().process_request(request, client_address)  # type: ignore[misc]
            assert begun.wait(PATIENCE)
            raise LookupError("too early")

        def handle_error(self, request: Any, client_address: Any) -> None:
            reported.set()

    with Hasty(ANY_PORT, Waiting, strategy=strategy()) as server, serving(server):
        assert ask(server) == b"hello"
        assert is_idle(server)
        assert server.calls.count("shutdown_request") == 1
        assert server.calls.count("close_request") == 1


@each_strategy
def test_a_process_request_that_raises_at_once_closes_the_connection(
    strategy: Callable[[], Strategy], caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing(Ours):
        def process_request(self, request: Any, client_address: Any) -> None:
            raise LookupError("never")

    with Refusing(ANY_PORT, Hello, strategy=strategy()) as server, serving(server):
        assert ask(server) == b""
        assert is_idle(server)
        assert server.calls.count("shutdown_request") == 1
        assert server.calls.count("finish_request") == 0
    caplog.clear()


# handle_request


class Timed(TCPServer):
    """Counts its timeouts."""

    timeouts = 0

    def handle_timeout(self) -> None:
        self.timeouts += 1


class Telling(Strategy):
    """Says when it is asked for room, that is, when somebody is about to wait."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def ready(self, server: Any) -> bool:
        self.asked.set()
        return True


@pytest.mark.parametrize(
    ("timeout", "of_the_listener"),
    [(0.03, None), (None, 0.03), (0.03, 60), (60, 0.03), (0.03, 0.03)],
)
def test_handle_request_waits_for_the_shorter_timeout(
    timeout: float | None, of_the_listener: float | None
) -> None:
    with Timed(ANY_PORT, Hello) as server:
        server.timeout = timeout
        server.socket.settimeout(of_the_listener)
        for count in (1, 2):  # the second, too: the listener's own timeout is not forgotten
            started = time.monotonic()
            server.handle_request()
            elapsed = time.monotonic() - started
            assert server.timeouts == count
            assert 0.029 < elapsed < PATIENCE


@pytest.mark.parametrize(("timeout", "of_the_listener"), [(0, None), (None, 0), (0, 60), (60, 0)])
def test_handle_request_with_a_timeout_of_zero_only_looks(
    timeout: float | None, of_the_listener: float | None
) -> None:
    with Timed(ANY_PORT, Hello) as server:
        server.timeout = timeout
        server.socket.settimeout(of_the_listener)
        server.handle_request()
        assert server.timeouts == 1
        with connect(server) as client:
            server.handle_request()
            assert read_all(client) == b"hello"
        assert server.timeouts == 1


def test_a_new_timeout_of_the_listener_is_respected() -> None:
    with Timed(ANY_PORT, Hello) as server:
        for of_the_listener in (0.01, 0.02, 0.01):
            server.socket.settimeout(of_the_listener)
            server.handle_request()
        assert server.timeouts == 3
        server.socket.settimeout(None)
        with connect(server) as client:
            server.handle_request()
            assert read_all(client) == b"hello"


def test_the_timeout_of_a_subclass_is_respected() -> None:
    class Short(Timed):
        timeout = 0.01

    with Short(ANY_PORT, Hello) as server:
        server.handle_request()
        assert server.timeouts == 1


def test_a_timeout_does_not_concern_the_handler() -> None:
    seen: list[Any] = []

    class Looking(BaseRequestHandler):
        def handle(self) -> None:
            seen.append(self.request.gettimeout())

    with Timed(ANY_PORT, Looking) as server, connect(server) as client:
        server.timeout = 5
        server.socket.settimeout(7)
        server.handle_request()
        assert read_all(client) == b""
    assert seen == [None]


def test_serve_forever_calls_no_handle_timeout() -> None:
    with Timed(ANY_PORT, Hello) as server:
        server.timeout = 0
        with serving(server):
            assert ask(server) == b"hello"
        assert server.timeouts == 0


def test_handle_request_returns_if_the_connection_is_gone_meanwhile() -> None:
    class Gone(Timed):
        def get_request(self) -> Any:
            raise ConnectionAbortedError

    with Gone(ANY_PORT, Hello) as server, connect(server):
        server.handle_request()
        assert server.timeouts == 0


class Holding(BaseRequestHandler):
    """Holds its connection until the test lets it go."""

    begun: threading.Event
    go_on: threading.Event

    def handle(self) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        self.request.sendall(b"hello")


@pytest.fixture
def holding() -> Iterator[type[Holding]]:
    class Mine(Holding):
        begun, go_on = threading.Event(), threading.Event()

    yield Mine
    Mine.go_on.set()


FULL = [lambda: Threaded(limit=1), lambda: ThreadPool(1)]
each_that_is_full = pytest.mark.parametrize("strategy", FULL, ids=["Threaded", "ThreadPool"])


@each_that_is_full
def test_handle_request_leaves_the_connection_while_the_strategy_is_full(
    strategy: Callable[[], Strategy], holding: type[Holding]
) -> None:
    with (
        Timed(ANY_PORT, holding, strategy=strategy()) as server,
        connect(server) as first,
        connect(server) as second,
    ):
        server.timeout = 0.02
        server.handle_request()
        assert holding.begun.wait(PATIENCE)
        server.handle_request()
        assert server.timeouts == 1
        assert len(server.in_flight) == 1
        holding.go_on.set()
        assert read_all(first) == b"hello"
        server.timeout = PATIENCE
        server.handle_request()
        assert read_all(second) == b"hello"
        assert server.timeouts == 1


@each_that_is_full
def test_handle_request_waits_for_room(
    strategy: Callable[[], Strategy], holding: type[Holding]
) -> None:
    with (
        Timed(ANY_PORT, holding, strategy=strategy()) as server,
        connect(server) as first,
        connect(server) as second,
    ):
        server.handle_request()
        assert holding.begun.wait(PATIENCE)
        waiting = threading.Thread(target=server.handle_request)
        waiting.start()
        holding.go_on.set()
        assert read_all(first) == b"hello"
        assert read_all(second) == b"hello"
        waiting.join(PATIENCE)
        assert not waiting.is_alive()
        assert server.timeouts == 0


def test_handle_request_returns_when_another_thread_closes_the_server() -> None:
    strategy = Telling()
    server = Timed(ANY_PORT, Hello, strategy=strategy)
    waiting = threading.Thread(target=server.handle_request)
    waiting.start()
    assert strategy.asked.wait(PATIENCE)
    server.server_close()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert server.timeouts == 0


@each_that_is_full
def test_handle_request_without_room_returns_when_another_thread_closes_the_server(
    strategy: Callable[[], Strategy], holding: type[Holding]
) -> None:
    server = Timed(ANY_PORT, holding, strategy=strategy())
    server.grace_period = 0.0
    with connect(server):
        server.handle_request()
        assert holding.begun.wait(PATIENCE)
        asked = threading.Event()
        ready = server.strategy.ready

        def tell(of: Any) -> bool:
            asked.set()
            return ready(of)

        server.strategy.ready = tell  # type: ignore[method-assign]
        waiting = threading.Thread(target=server.handle_request)
        waiting.start()
        assert asked.wait(PATIENCE)
        closer = threading.Thread(target=server.server_close)
        closer.start()
        waiting.join(PATIENCE)
        assert not waiting.is_alive()
        holding.go_on.set()
        closer.join(PATIENCE)
        assert not closer.is_alive()
        del server.strategy.ready


def test_two_threads_may_call_handle_request_at_the_same_time() -> None:
    with TCPServer(ANY_PORT, Hello) as server:
        threads = [threading.Thread(target=server.handle_request) for _ in range(2)]
        for thread in threads:
            thread.start()
        # A connection that both see is taken by one, and the other one returns empty-handed.
        with connect(server) as first, connect(server) as second:
            assert wait_until(lambda: not threads[0].is_alive() or not threads[1].is_alive())
            while any(thread.is_alive() for thread in threads):
                with connect(server):
                    threads[0].join(0.02)
                    threads[1].join(0.02)
            server.timeout = 0
            server.handle_request()
            server.handle_request()
            assert read_all(first) == read_all(second) == b"hello"


@each_strategy
def test_handle_request_on_a_closed_server(strategy: Callable[[], Strategy]) -> None:
    server = TCPServer(ANY_PORT, Hello, strategy=strategy())
    server.server_close()
    with pytest.raises(ValueError, match="closed"):
        server.handle_request()


# accept_one, which is for a strategy with a loop of its own


class OwnLoop(Strategy):
    """Waits for the listener itself; `room` says whether there is any."""

    def __init__(self) -> None:
        self.room = True
        self.before_room: list[int] = []

    def ready(self, server: Any) -> bool:
        return self.room

    def serve(self, server: Any, stop: StopSignal) -> None:
        server.mark_serving()
        while True:
            select.select([server, stop], [], [])
            if stop.is_set():
                return
            if not self.room:
                server.accept_one()
                self.before_room.append(len(server.in_flight))
                self.room = True
            server.accept_one()
            server.accept_one()  # nobody is there any more: it does not wait


def test_a_strategy_can_have_a_loop_of_its_own() -> None:
    with Ours(ANY_PORT, Hello, strategy=OwnLoop()) as server, serving(server):
        assert [ask(server) for _ in range(3)] == [b"hello"] * 3
        assert is_idle(server)
        assert server.calls.count("finish_request") == 3


def test_accept_one_accepts_nothing_while_there_is_no_room() -> None:
    strategy = OwnLoop()
    strategy.room = False
    with Ours(ANY_PORT, Hello, strategy=strategy) as server, serving(server):
        assert ask(server) == b"hello"
        assert strategy.before_room == [0]
        calls = [name for name in server.calls if name in OF_EVERY_CONNECTION]
    assert calls[0] == "get_request"


def test_tls_by_wrapping_the_listener() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TCPServer(ANY_PORT, Hello) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        assert isinstance(server.socket, ssl.SSLSocket)
        with connect(server) as client:
            client.sendall(b"no greeting of TLS\n")
            server.timeout = PATIENCE
            server.handle_request()  # the handshake fails in get_request, by an OSError
            assert read_all(client) != b"hello"
        assert len(server.in_flight) == 0
